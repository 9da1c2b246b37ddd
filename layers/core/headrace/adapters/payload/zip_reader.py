"""A payload that comes as a ZIP archive, from anybody.

Before a byte of it is unpacked, the archive is held to what the writer makes: a small directory at
its very end, entries of known names one behind the other, neither encrypted nor links nor twice the
same, none that unpacks to too much. Then each document is read once to be checked against the
manifest, and only then a second time for its records, in constant memory.
"""

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from headrace.adapters.payload import manifests
from headrace.adapters.payload.limits import LIMITS, Limits
from headrace.adapters.payload.lines import SAID_EVERY, in_silence, lines_of
from headrace.adapters.payload.zip_writer import MANIFEST, document_name
from headrace.datasets.checking import LineCheck, check_definition, check_digest, check_tables
from headrace.datasets.definitions import Definition, OutputFormat
from headrace.datasets.payload import Manifest, TableEntry
from headrace.kernel.errors import PayloadRefused

_CHUNK = 256 * 1024

# The records of APPNOTE.TXT: 4.3.7 (local header), 4.3.12 (directory), 4.3.14 to 4.3.16 (its end).
_LOCAL = struct.Struct("<4s5H3L2H")
_DIRECTORY_ENTRY_BYTES = 46
_NAME_AND_EXTRA_BYTES = 512
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # of zipfile: a password is needed
    struct.error,
    ValueError,
    OverflowError,
)


@contextmanager
def _refusing() -> Iterator[None]:
    """What the unpacking says of a damaged archive, as a refusal."""
    try:
        yield
    except PayloadRefused:
        raise
    except _DAMAGED:
        raise PayloadRefused("The archive is damaged.") from None


@dataclass(frozen=True)
class ZipPayloadReader:
    """Reads archives from files that can seek."""

    limits: Limits = LIMITS

    @contextmanager
    def read(self, file: BinaryIO, definition: Definition) -> Iterator["ZipPayload"]:
        """Its structure and manifest are checked at once, the rest by ``verify``.

        Raises PayloadRefused, PayloadTableUnknown.
        """
        with _refusing():
            directory = _check_end(file, self.limits)
            archive = zipfile.ZipFile(file)
        with archive:
            with _refusing():
                _check_entries(archive, directory, file, self.limits)
                manifest = self._manifest(archive, definition)
            yield ZipPayload(manifest, archive, definition, self.limits)

    def _manifest(self, archive: zipfile.ZipFile, definition: Definition) -> Manifest:
        infos = {info.filename: info for info in archive.infolist()}
        if MANIFEST not in infos:
            raise PayloadRefused("The archive has no manifest.")
        if infos[MANIFEST].file_size > self.limits.manifest:
            raise PayloadRefused("The archive's manifest is too large.")
        manifest = manifests.read(archive.read(MANIFEST))
        if manifest.output is not OutputFormat.ZIP:
            raise PayloadRefused("The archive's manifest is not one of an archive.")
        check_definition(manifest, definition)
        check_tables(manifest, definition)
        for entry in manifest.tables:
            if entry.document != document_name(entry.table_id):
                raise PayloadRefused("The archive's manifest names a document wrongly.")
        if infos.keys() != {MANIFEST, *(entry.document for entry in manifest.tables)}:
            raise PayloadRefused("The archive has other entries than its manifest says.")
        return manifest


class ZipPayload:
    """An archive of which the manifest was read."""

    def __init__(
        self, manifest: Manifest, archive: zipfile.ZipFile, definition: Definition, limits: Limits
    ) -> None:
        self.manifest = manifest
        self._archive, self._definition, self._limits = archive, definition, limits
        self._entries: Mapping[int, TableEntry] = {e.table_id: e for e in manifest.tables}
        self._verified = False

    def verify(self, keep_going: Callable[[int], None] = in_silence) -> None:
        """Reads all of it once. Raises PayloadRefused, PayloadIncompatible."""
        if self._verified:
            return
        records = 0
        for entry in self.manifest.tables:
            table = self._definition.table(entry.table_id)
            check = LineCheck(self._definition, table, self.manifest.items)
            digest = hashlib.sha256()
            for line in lines_of(self._chunks(entry), self._limits):
                digest.update(line)
                check(line)
                if check.records % SAID_EVERY == 0:
                    keep_going(records + check.records)
            records += check.records
            check.end(entry, digest.hexdigest())
        self._verified = True

    def lines(self, table_id: int) -> Iterator[bytes]:
        """The records of a table. Raises PayloadRefused, in the end if it changed meanwhile."""
        self.verify()
        entry = self._entries.get(table_id)
        if entry is None:
            return
        digest = hashlib.sha256()
        for line in lines_of(self._chunks(entry), self._limits):
            digest.update(line)
            yield line
        check_digest(entry, digest.hexdigest())

    def _chunks(self, entry: TableEntry) -> Iterator[bytes]:
        with _refusing(), self._archive.open(entry.document) as document:
            while chunk := document.read(_CHUNK):
                yield chunk


# --- the structure of an archive ----------------------------------------------------------------


def _check_end(file: BinaryIO, limits: Limits) -> int:
    """Where the directory begins: before its end it is small, and behind it nothing is.

    It is looked at before the directory is read, which would be all of it at once.
    """
    size = file.seek(0, 2)
    end_at = size - _END.size
    if end_at < 0:
        raise PayloadRefused("The file is no ZIP archive.")
    end = _END.unpack(_bytes_at(file, end_at, _END.size))
    if end[0] != b"PK\5\6" or end[7] != 0:
        raise PayloadRefused("The file is no ZIP archive, or is not whole.")
    disk, start_disk, here, entries, length, offset = end[1:7]
    before = end_at
    if 0xFFFF in (here, entries) or 0xFFFFFFFF in (length, offset):
        locator_at = end_at - _LOCATOR_64.size
        before = locator_at - _END_64.size
        if before < 0:
            raise PayloadRefused("The archive is not whole.")
        locator = _LOCATOR_64.unpack(_bytes_at(file, locator_at, _LOCATOR_64.size))
        found = _END_64.unpack(_bytes_at(file, before, _END_64.size))
        if locator != (b"PK\6\7", 0, before, 1) or found[:2] != (b"PK\6\6", _END_64.size - 12):
            raise PayloadRefused("The archive's directory has no proper end.")
        disk, start_disk, here, entries, length, offset = found[4:10]
    if entries > limits.entries or length > entries * (
        _DIRECTORY_ENTRY_BYTES + _NAME_AND_EXTRA_BYTES
    ):
        raise PayloadRefused(f"The archive has more than {limits.entries} entries, or long ones.")
    if (disk, start_disk) != (0, 0) or here != entries or offset + length != before:
        raise PayloadRefused("The archive's directory is not where it has to be.")
    return int(offset)


def _check_entries(
    archive: zipfile.ZipFile, directory: int, file: BinaryIO, limits: Limits
) -> None:
    infos = archive.infolist()
    names: set[str] = set()
    for info in infos:
        _check_name(info.orig_filename)
        if info.filename != info.orig_filename or info.filename in names:
            raise PayloadRefused("The archive has an entry twice, or one of a strange name.")
        names.add(info.filename)
        if info.flag_bits & _ENCRYPTED:
            raise PayloadRefused("An entry of the archive is encrypted.")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or info.is_dir():
            raise PayloadRefused("An entry of the archive is a link, or no file.")
        if info.compress_type not in _METHODS:
            raise PayloadRefused("An entry of the archive is compressed in a way not known here.")
        limits.check_ratio("An entry of the archive", info.file_size, info.compress_size)
    if sum(info.file_size for info in infos) > limits.total:
        raise PayloadRefused(f"The archive unpacks to more than {limits.total} bytes.")
    _check_places(sorted(infos, key=lambda info: info.header_offset), directory, file)


def _check_name(name: str) -> None:
    # What is not a plain name is told here, though only those of the manifest are ever opened.
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ":" in parts[0] or ".." in parts or "\0" in name:
        raise PayloadRefused("An entry of the archive has a name that leads out of it.")


def _check_places(infos: list[zipfile.ZipInfo], directory: int, file: BinaryIO) -> None:
    """Each entry ends before the next one begins, by its own header, which says the same."""
    end = 0
    for info in infos:
        if info.header_offset < end:
            raise PayloadRefused("Entries of the archive overlap.")
        header = _LOCAL.unpack(_bytes_at(file, info.header_offset, _LOCAL.size))
        name_length, extra_length = header[9:11]
        name = _bytes_at(file, info.header_offset + _LOCAL.size, name_length)
        encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
        same = name == info.orig_filename.encode(encoding, "replace")
        if (
            header[0] != b"PK\3\4"
            or header[2:4] != (info.flag_bits, info.compress_type)
            or not same
        ):
            raise PayloadRefused("An entry of the archive is not what its directory says.")
        end = info.header_offset + _LOCAL.size + name_length + extra_length + info.compress_size
    if end > directory:
        raise PayloadRefused("Entries of the archive overlap its directory.")


def _bytes_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    found = file.read(size)
    if len(found) != size:
        raise PayloadRefused("The archive is not whole.")
    return found
