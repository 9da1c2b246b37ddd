"""A parser that knows the elements of a payload and no others, and has no document type at all.

Without a DOCTYPE there are no entities but the five of XML's own: nothing expands, and nothing is
fetched. It is given the document piece by piece and holds one record at most.
"""

import re
from collections.abc import Callable, Mapping
from xml.parsers import expat

from headrace.adapters.payload.limits import Limits
from headrace.adapters.payload.xml_texts import text_of
from headrace.datasets.checking import MOST_MEMBERS
from headrace.datasets.payload import Record, Referred
from headrace.kernel.errors import PayloadRefused

Attributes = Mapping[str, str]

_CHILDREN: Mapping[str, tuple[str, ...]] = {
    "": ("dataSetPayload", "records"),
    "dataSetPayload": ("manifest", "records", "digest"),
    "records": ("record",),
    "record": ("value", "reference"),
    "reference": ("key",),
}
"""What may be within what; ``records`` may be at the top when they are read alone."""

_ATTRIBUTES: Mapping[str, tuple[frozenset[str], ...]] = {
    name: tuple(frozenset(one.split()) for one in forms)
    for name, forms in {
        "dataSetPayload": ("formatVersion",),
        "manifest": ("",),
        "records": ("table name complete",),
        "digest": ("table records sha256",),
        "record": ("item uuid",),
        "value": ("column", "column none"),
        "reference": ("column table uuid", "column none"),
        "key": ("", "none"),
    }.items()
}
_WITH_TEXT = {"manifest", "value", "key"}
_NUMBER = re.compile("0|[1-9][0-9]{0,17}")


class PayloadParser:
    """Calls back for what it finds: override what is wanted."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._expat = expat.ParserCreate("UTF-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._on_start
        self._expat.EndElementHandler = self._on_end
        self._expat.CharacterDataHandler = self._on_text
        # All that is neither element nor text nor a comment's like is refused.
        self._expat.StartDoctypeDeclHandler = self._doctype
        self._expat.EntityDeclHandler = self._doctype
        self._expat.ExternalEntityRefHandler = self._doctype
        self._expat.ProcessingInstructionHandler = self._doctype
        self._path = [""]
        self._text: list[str] = []
        self._record_at = 0
        self._none = False
        self._fed = 0
        self._item, self._uuid = 0, ""
        self._values: dict[str, str | None] = {}
        self._references: dict[str, Referred | None] = {}
        self._column, self._referred, self._refers = "", (0, ""), False
        self._key: list[str | None] = []

    # --- what is found ----------------------------------------------------------------------

    def manifest(self, text: str) -> None:
        """The manifest's text."""

    def records(self, attributes: Attributes) -> None:
        """A table begins."""

    def record(self, record: Record) -> None:
        """A record ended."""

    def digest(self, attributes: Attributes) -> None:
        """What is said of the table before."""

    # --- feeding ----------------------------------------------------------------------------

    @property
    def place(self) -> int:
        """Where in the bytes that were fed the present element begins, or its end tag."""
        return self._expat.CurrentByteIndex

    def feed(self, chunk: bytes, *, last: bool = False) -> None:
        """The next piece. Raises PayloadRefused, without a word of the document."""
        try:
            self._expat.Parse(chunk, last)
        except expat.ExpatError as error:
            raise PayloadRefused(
                f"The document is no XML, or not whole: line {error.lineno}."
            ) from None
        self._fed += len(chunk)
        # What the parser cannot tell the end of, a tag or a comment, it holds; and of a tag it
        # makes objects, many times as large, before anybody is asked.
        if self._fed - self._expat.CurrentByteIndex > self._limits.tag:
            raise PayloadRefused(
                f"The document has a tag or comment of more than {self._limits.tag} bytes."
            )

    # --- expat's calls ----------------------------------------------------------------------

    def _doctype(self, *_: object) -> int:
        raise PayloadRefused("The document has a DOCTYPE or an instruction; a payload has none.")

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        if name not in _CHILDREN.get(self._path[-1], ()):
            raise PayloadRefused("The document has an element that is none of a payload's.")
        if attributes.keys() not in _ATTRIBUTES[name] or attributes.get("none", "true") != "true":
            raise PayloadRefused("An element of the document has not the attributes of its kind.")
        self._path.append(name)
        if name == "key" and not self._refers:
            raise PayloadRefused("A reference of the document is none, and has a key.")
        self._none = "none" in attributes
        self._text = []
        if start := _STARTS.get(name):
            start(self, {key: text_of(value) for key, value in attributes.items()})

    def _on_text(self, text: str) -> None:
        if self._path[-1] in _WITH_TEXT and not self._none:
            self._text.append(text)
            self._limits.check_line(self.place - self._record_at)
        elif text.strip(" \t\r\n"):
            raise PayloadRefused("The document has text where a payload has none.")

    def _on_end(self, name: str) -> None:
        self._path.pop()
        if end := _ENDS.get(name):
            text = text_of("".join(self._text))
            self._text = []
            end(self, text)

    # --- elements ---------------------------------------------------------------------------

    def _begin_document(self, attributes: Attributes) -> None:
        if attributes["formatVersion"] != "1":
            raise PayloadRefused("The document is of a format that is not known here.")
        self._record_at = self.place

    def _begin_records(self, attributes: Attributes) -> None:
        self.records(attributes)

    def _begin_record(self, attributes: Attributes) -> None:
        self._item, self._uuid = number(attributes["item"]), attributes["uuid"]
        self._values, self._references = {}, {}
        self._record_at = self.place

    def _begin_value(self, attributes: Attributes) -> None:
        self._column = self._new_column(attributes)

    def _begin_reference(self, attributes: Attributes) -> None:
        self._column = self._new_column(attributes)
        self._refers = not self._none
        if self._refers:
            self._referred = number(attributes["table"]), attributes["uuid"]
        self._key = []

    def _new_column(self, attributes: Attributes) -> str:
        self._limits.check_line(self.place - self._record_at)
        column = attributes["column"]
        if column in self._values or column in self._references:
            raise PayloadRefused("A record of the document has a column twice.")
        if len(self._values) + len(self._references) >= MOST_MEMBERS:
            raise PayloadRefused("A record of the document has too many columns.")
        return column

    def _begin_digest(self, attributes: Attributes) -> None:
        self.digest(attributes)

    def _end_manifest(self, text: str) -> None:
        self.manifest(text)

    def _end_value(self, text: str) -> None:
        self._values[self._column] = None if self._none else text

    def _end_key(self, text: str) -> None:
        self._limits.check_line(self.place - self._record_at)
        self._key.append(None if self._none else text)
        if len(self._key) > MOST_MEMBERS:
            raise PayloadRefused("A reference of the document has too long a key.")

    def _end_reference(self, _: str) -> None:
        referred = Referred(*self._referred, tuple(self._key)) if self._refers else None
        self._references[self._column] = referred

    def _end_record(self, _: str) -> None:
        self.record(Record(self._item, self._uuid, self._values, self._references))


def number(text: str) -> int:
    """Of decimal digits, written in one way only. Raises PayloadRefused."""
    if not _NUMBER.fullmatch(text):
        raise PayloadRefused("A number of the document is none.")
    return int(text)


_STARTS: Mapping[str, Callable[[PayloadParser, Attributes], None]] = {
    "dataSetPayload": PayloadParser._begin_document,
    "digest": PayloadParser._begin_digest,
    "records": PayloadParser._begin_records,
    "record": PayloadParser._begin_record,
    "value": PayloadParser._begin_value,
    "reference": PayloadParser._begin_reference,
}
_ENDS: Mapping[str, Callable[[PayloadParser, str], None]] = {
    "manifest": PayloadParser._end_manifest,
    "value": PayloadParser._end_value,
    "key": PayloadParser._end_key,
    "reference": PayloadParser._end_reference,
    "record": PayloadParser._end_record,
}
