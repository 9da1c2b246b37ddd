"""Bodies of multipart/form-data: what is read of them, and what is refused."""

from typing import Any

import pytest

from headrace.kernel.errors import InvalidRequest
from headrace.runtime.api import Call
from headrace.runtime.multipart import Form, is_multipart, multipart_form

BOUNDARY = "a-boundary"


def a_call(body: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Call:
    values: dict[str, Any] = {
        "caller": None,
        "path": {},
        "query": {},
        "headers": {"content-type": content_type},
        "body": None,
        "raw_body": body,
        "context": {},
    }
    return Call(**values)


def part(disposition: str, content: bytes, *more: str) -> bytes:
    head = "\r\n".join((f"Content-Disposition: form-data; {disposition}", *more))
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def form(*parts: bytes, end: bytes = END) -> Form:
    return multipart_form(a_call(b"".join(parts) + end))


def test_fields_and_a_file_are_read() -> None:
    content = bytes(range(256)) * 500 + b"\r\n--a-boundar"
    read = form(
        part('name="exactVersionMatch"', b"true"),
        part('name="file"; filename="set.zip"', content, "Content-Type: application/zip"),
    )
    assert read.fields == {"exactVersionMatch": "true"}
    assert (read.files["file"].name, read.files["file"].content) == ("set.zip", content)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/x.zip", "x.zip"),
        ("C:\\\\temp\\\\x.zip", "x.zip"),
        ("x.zip/", ""),
        ("b\u00fccher.zip", "b\u00fccher.zip"),
    ],
)
def test_a_file_has_no_folder(sent: str, name: str) -> None:
    assert form(part(f'name="file"; filename="{sent}"', b"x")).files["file"].name == name


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; charset=x"],
)
def test_a_form_needs_a_boundary(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        multipart_form(a_call(part('name="a"', b"b") + END, content_type))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"something else",
        part('name="a"', b"b"),
        part('name="a"', b"b")[:-10],
        b"--other\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--other--\r\n",
        b"--a-boundary\r\n\r\nno name\r\n" + END,
        part('name="a"', b"b", *(f"X-{n}: y" for n in range(50))) + END,
        b"".join(part(f'name="n{n}"', b"b") for n in range(50)) + END,
        part('name="a"', b"\xff\xfe") + END,
        part('name="a"', b"x" * 5000) + END,
        part('name="a"', b"b") + part('name="a"', b"c") + END,
        part('name="a"', b"b") + part('name="a"; filename="c"', b"c") + END,
    ],
    ids=[
        "nothing", "no form", "no end", "cut short", "another boundary",
        "no name", "many headers", "many parts", "no UTF-8", "long field", "twice",
        "field and file",
    ],
)  # fmt: skip
def test_what_is_no_form_or_not_a_whole_one_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        multipart_form(a_call(body))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("Multipart/Form-Data; boundary=x", True),
        ("application/json", False),
        ("", False),
        ("multipart/mixed; boundary=x", False),
    ],
)
def test_the_content_type_says_whether_it_is_one(content_type: str, expected: bool) -> None:
    assert is_multipart(a_call(b"", content_type)) is expected
