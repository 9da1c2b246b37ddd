"""A payload that comes as an XML document, from anybody.

It is read once to be checked, with notes of where each table begins and ends; then the records of a
table are read out of its place.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from headrace.adapters.payload import manifests
from headrace.adapters.payload.limits import LIMITS, Limits
from headrace.adapters.payload.lines import in_silence
from headrace.adapters.payload.xml_parsing import Attributes, PayloadParser, number
from headrace.datasets.checking import LineCheck, check_definition, check_digest, check_tables
from headrace.datasets.definitions import Definition, OutputFormat
from headrace.datasets.payload import Manifest, Record, TableEntry
from headrace.kernel.errors import PayloadRefused, PayloadTableUnknown

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class _Place:
    """A table's entry, and the bytes of its records."""

    entry: TableEntry
    start: int
    end: int


@dataclass(frozen=True)
class XmlPayloadReader:
    """Reads documents from files that can seek."""

    limits: Limits = LIMITS

    @contextmanager
    def read(self, file: BinaryIO, definition: Definition) -> Iterator["XmlPayload"]:
        """Its manifest is read at once, the rest by ``verify``. Raises PayloadRefused."""
        if file.seek(0, 2) > self.limits.total:
            raise PayloadRefused(f"The document has more than {self.limits.total} bytes.")
        parser = _Head(self.limits)
        for chunk in _chunks(file, 0, min(file.seek(0, 2), 2 * self.limits.manifest)):
            parser.feed(chunk)
            if parser.found is not None:
                break
        if parser.found is None:
            raise PayloadRefused("The document has no manifest.")
        check_definition(parser.found, definition)
        yield XmlPayload(parser.found, file, definition, self.limits)


class XmlPayload:
    """A document of which the manifest was read."""

    def __init__(
        self, manifest: Manifest, file: BinaryIO, definition: Definition, limits: Limits
    ) -> None:
        self.manifest = manifest
        self._file, self._definition, self._limits = file, definition, limits
        self._places: dict[int, _Place] | None = None

    def verify(self, keep_going: Callable[[int], None] = in_silence) -> None:
        """Reads all of it once. Raises PayloadRefused and its like."""
        self._verified(keep_going)

    def lines(self, table_id: int) -> Iterator[bytes]:
        """The records of a table. Raises PayloadRefused, in the end if it changed meanwhile."""
        place = self._verified().get(table_id)
        if place is None:
            return
        parser, digest = _Lines(self._limits), hashlib.sha256()
        for chunk in _chunks(self._file, place.start, place.end):
            parser.feed(chunk)
            for line in parser.taken():
                digest.update(line)
                yield line
        parser.feed(b"", last=True)
        check_digest(place.entry, digest.hexdigest())

    def _verified(self, keep_going: Callable[[int], None] = in_silence) -> dict[int, _Place]:
        if self._places is None:
            parser = _Verifier(self._limits, self._definition)
            for chunk in _chunks(self._file, 0, self._file.seek(0, 2)):
                parser.feed(chunk)
                keep_going(parser.count)
            parser.feed(b"", last=True)
            self.manifest = parser.whole(self.manifest)
            check_tables(self.manifest, self._definition)
            self._places = parser.places
        return self._places


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """The bytes between; others may read from the file meanwhile."""
    while start < end:
        file.seek(start)
        chunk = file.read(min(_CHUNK, end - start))
        if not chunk:
            raise PayloadRefused("The document is not whole.")
        start += len(chunk)
        yield chunk


class _Head(PayloadParser):
    """Reads the manifest."""

    found: Manifest | None = None

    def manifest(self, text: str) -> None:
        if self.found is not None:
            raise PayloadRefused("The document has two manifests.")
        manifest = manifests.read(text)
        if manifest.output is not OutputFormat.XML or manifest.tables:
            raise PayloadRefused("The document's manifest is not one of a document.")
        self.found = manifest

    def records(self, attributes: Attributes) -> None:
        if self.found is None:
            raise PayloadRefused("The document's manifest does not come first.")


class _Lines(PayloadParser):
    """Reads records as lines."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._lines: list[bytes] = []

    def record(self, record: Record) -> None:
        self._lines.append(_line(record))

    def taken(self) -> list[bytes]:
        """Those since this was last asked."""
        lines, self._lines = self._lines, []
        return lines


class _Verifier(_Head):
    """Checks all there is, and notes where it is."""

    def __init__(self, limits: Limits, definition: Definition) -> None:
        super().__init__(limits)
        self._definition = definition
        self.places: dict[int, _Place] = {}
        self.count = 0
        self._open: TableEntry | None = None
        self._start = 0
        self._check: LineCheck
        self._digest = hashlib.sha256()

    def records(self, attributes: Attributes) -> None:
        super().records(attributes)
        table_id, name = number(attributes["table"]), attributes["name"][:200]
        known = {table.table_id: table for table in self._definition.tables}
        if table_id not in known:
            raise PayloadTableUnknown(
                f"This environment does not know a table of the payload: {name} ({table_id}).",
                tables=[table_id],
            )
        if table_id in self.places or self._open is not None or self.found is None:
            raise PayloadRefused("The document has a table twice, or one without a digest.")
        if attributes["complete"] not in ("true", "false"):
            raise PayloadRefused("The document does not say whether a table is complete.")
        self._open = TableEntry(table_id, name, "", 0, "", attributes["complete"] == "true")
        self._start = self.place
        self._check = LineCheck(self._definition, known[table_id], self.found.items)
        self._digest = hashlib.sha256()

    def record(self, record: Record) -> None:
        line = _line(record)
        self.count += 1
        self._check(line)
        self._digest.update(line)

    def digest(self, attributes: Attributes) -> None:
        if self._open is None or number(attributes["table"]) != self._open.table_id:
            raise PayloadRefused("A digest of the document does not follow its table.")
        entry = replace(
            self._open, records=number(attributes["records"]), sha256=attributes["sha256"]
        )
        self._check.end(entry, self._digest.hexdigest())
        self.places[entry.table_id] = _Place(entry, self._start, self.place)
        self._open = None

    def whole(self, manifest: Manifest) -> Manifest:
        """The manifest with its tables. Raises PayloadRefused: it is another one now."""
        if self.found != manifest or self._open is not None:
            raise PayloadRefused("The document is not whole, or changed while it was read.")
        return replace(manifest, tables=tuple(place.entry for place in self.places.values()))


def _line(record: Record) -> bytes:
    try:
        return record.line()
    except UnicodeEncodeError:
        raise PayloadRefused("A text of the document has half a character.") from None
