"""A payload as a ZIP archive: a document for each table, then the manifest with their digests.

The archive is written from its start to its end without going back. So the manifest is the last
entry: the directory at an archive's end tells a reader at once where it is, and a reader checks
every document against it before it takes a record. The same records give the same bytes: order,
times, modes and the compression are fixed.
"""

import hashlib
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from headrace.adapters.payload import manifests
from headrace.adapters.payload.limits import LIMITS, Limits
from headrace.datasets.definitions import OutputFormat
from headrace.datasets.payload import Manifest, TableEntry
from headrace.datasets.ports import Gathered, Gathering
from headrace.kernel.errors import PayloadRefused, ValueNotExportable

MANIFEST = "manifest.json"

_LEVEL = 1
"""Of zlib: three times as fast as its default, for a quarter more bytes."""

_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = stat.S_IFREG | 0o644


def document_name(table_id: int) -> str:
    """The entry that holds a table's lines."""
    return f"tables/{table_id}.ndjson"


class _Sink:
    """What an archive is written to that is handed on piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        """What was written since this was last asked."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


@dataclass(frozen=True)
class ZipPayloadWriter:
    """Writes archives; what is over the limits is no payload, as nobody would read it."""

    limits: Limits = LIMITS

    def write(self, manifest: Manifest, gathering: Gathering) -> Iterator[bytes]:
        """The archive's bytes. Raises ValueNotExportable: it is larger than a reader takes."""
        sink = _Sink()
        entries: list[TableEntry] = []
        try:
            with zipfile.ZipFile(sink, "w") as archive:  # type: ignore[call-overload]
                for gathered in gathering.tables():
                    document = _Document(gathered, self.limits)
                    yield from document.written(archive, sink)
                    entries.append(document.entry)
                    yield sink.taken()
                    if sum(info.file_size for info in archive.infolist()) > self.limits.total:
                        raise PayloadRefused(f"It has more than {self.limits.total} bytes.")
                whole = replace(manifest, output=OutputFormat.ZIP, tables=tuple(entries))
                archive.writestr(_info(MANIFEST), manifests.written(whole))
        except PayloadRefused as error:
            raise ValueNotExportable(
                f"The payload could not be imported anywhere: {error.detail}"
            ) from None
        yield sink.taken()


class _Document:
    """A table's entry while it is written, then ``entry``."""

    def __init__(self, gathered: Gathered, limits: Limits) -> None:
        self._gathered, self._limits = gathered, limits
        self.entry: TableEntry

    def written(self, archive: zipfile.ZipFile, sink: _Sink) -> Iterator[bytes]:
        """The bytes, as they come."""
        table, digest, records = self._gathered.table, hashlib.sha256(), 0
        info = _info(document_name(table.table_id))
        # As large as it may become, nobody knows yet.
        with archive.open(info, "w", force_zip64=True) as document:
            for lines in self._gathered.lines:
                if len(lines) > self._limits.line:
                    self._limits.check_line(max(map(len, lines.splitlines())))
                digest.update(lines)
                records += lines.count(b"\n")
                document.write(lines)
                yield sink.taken()
        self._limits.check_ratio(info.filename, info.file_size, info.compress_size)
        self.entry = TableEntry(
            table.table_id,
            table.name,
            info.filename,
            records,
            digest.hexdigest(),
            self._gathered.complete,
        )


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # as Unix does, whatever runs here
    info.external_attr = _MODE << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    info.compress_level = _LEVEL
    return info
