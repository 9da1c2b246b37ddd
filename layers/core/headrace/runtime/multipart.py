"""Bodies of multipart/form-data (RFC 7578): fields, and one file in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

from headrace.kernel.errors import InvalidRequest
from headrace.runtime.api import Call

MULTIPART = "multipart/form-data"
_MOST_PARTS = 20
_MOST_OF_A_FIELD = 1024


@dataclass(frozen=True)
class File:
    """A file of a form. ``name``: as its sender has it, without any folder."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Form:
    """What a form has, by name: each once."""

    fields: Mapping[str, str]
    files: Mapping[str, File]


def is_multipart(call: Call) -> bool:
    """Does the call say that its body is a form of this kind."""
    return _content_type(call).get_content_type() == MULTIPART


def multipart_form(call: Call) -> Form:
    """The form that the body is. Raises InvalidRequest for one that is none, or not whole."""
    from multipart import MultipartError  # noqa: PLC0415 — only where such a body comes

    boundary = _content_type(call).get_boundary()
    if not boundary:
        raise InvalidRequest("The Content-Type of a multipart form needs a boundary.")
    try:
        return _read(call.raw_body, boundary)
    except MultipartError:
        raise InvalidRequest("The body is no multipart form, or not a whole one.") from None
    except UnicodeDecodeError:
        raise InvalidRequest("The fields of a multipart form must be UTF-8.") from None


def _content_type(call: Call) -> Message:
    header = Message()
    header["Content-Type"] = call.headers.get("content-type", "")
    return header


def _read(body: bytes, boundary: str) -> Form:
    from multipart import MultipartSegment, PushMultipartParser  # noqa: PLC0415

    parts: list[tuple[MultipartSegment, bytearray]] = []
    with PushMultipartParser(
        boundary, len(body), max_segment_count=_MOST_PARTS, strict=True
    ) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                parts.append((event, bytearray()))
            elif event:
                parts[-1][1].extend(event)
    names = [part.name for part, _ in parts]
    if len(set(names)) != len(names):
        raise InvalidRequest("The form gives a field more than once.")
    fields = {part.name: content for part, content in parts if part.filename is None}
    if any(len(content) > _MOST_OF_A_FIELD for content in fields.values()):
        raise InvalidRequest("A field of the form is too long.")
    return Form(
        {name: content.decode() for name, content in fields.items()},
        {
            part.name: File(part.filename.replace("\\", "/").rpartition("/")[2], bytes(content))
            for part, content in parts
            if part.filename is not None
        },
    )
