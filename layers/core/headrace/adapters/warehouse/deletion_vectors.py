"""Deletion vectors: which rows of a file are deleted, as Delta and Iceberg (from v3 on) keep it.

Both have the same 64-bit Roaring bitmap, portable form. Delta: PROTOCOL.md, "Deletion Vector
Format"; Iceberg: puffin-spec.md, "deletion-vector-v1"; RoaringFormatSpec for the 32-bit bitmaps.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator

MAGIC = 1681511377
"""What a vector begins with, little-endian: ``D1 D3 39 64``."""

_WITHOUT_RUNS = 12346
_WITH_RUNS = 12347
_NO_OFFSETS_BELOW = 4
_ARRAY_LIMIT = 4096
_BITMAP_BYTES = 8192


class DamagedVector(Exception):
    """The bytes are no deletion vector."""


def framed_vector(stored: bytes) -> bytes:
    """The vector in ``length (big-endian), vector, CRC-32 (big-endian)``, as files hold it.

    Raises DamagedVector.
    """
    try:
        (length,) = struct.unpack_from(">i", stored)
        vector = stored[4 : 4 + length]
        (checksum,) = struct.unpack_from(">I", stored, 4 + length)
    except struct.error:
        raise DamagedVector from None
    if zlib.crc32(vector) != checksum:
        raise DamagedVector
    return vector


def deleted_rows(vector: bytes, cardinality: int) -> "array[int]":
    """The numbers of the deleted rows, ascending. Raises DamagedVector, also if they are not
    ``cardinality``."""
    rows = array("q")
    try:
        magic, count = struct.unpack_from("<iq", vector)
        if magic != MAGIC:
            raise DamagedVector
        offset = 12
        for _ in range(count):
            (high,) = struct.unpack_from("<I", vector, offset)
            offset = _read_bitmap(vector, offset + 4, high << 32, rows)
    except struct.error:
        raise DamagedVector from None
    if len(rows) != cardinality:
        raise DamagedVector
    return rows


def _read_bitmap(vector: bytes, start: int, base: int, rows: "array[int]") -> int:
    """Appends the rows of the 32-bit bitmap at ``start``; where it ends."""
    cookie: int = struct.unpack_from("<I", vector, start)[0]
    offset = start + 4
    if cookie & 0xFFFF == _WITH_RUNS:
        containers = (cookie >> 16) + 1
        runs = vector[offset : offset + (containers + 7) // 8]
        offset += len(runs)
        has_offsets = containers >= _NO_OFFSETS_BELOW
    elif cookie == _WITHOUT_RUNS:
        (containers,) = struct.unpack_from("<I", vector, offset)
        offset += 4
        runs = bytes((containers + 7) // 8)
        has_offsets = True
    else:
        raise DamagedVector
    described = struct.unpack_from(f"<{2 * containers}H", vector, offset)
    offset += 4 * containers + (4 * containers if has_offsets else 0)
    for index in range(containers):
        first = base + (described[2 * index] << 16)
        cardinality = described[2 * index + 1] + 1
        if runs[index // 8] >> (index % 8) & 1:
            (count,) = struct.unpack_from("<H", vector, offset)
            pairs = struct.unpack_from(f"<{2 * count}H", vector, offset + 2)
            for begin, beyond in zip(pairs[::2], pairs[1::2], strict=True):
                rows.extend(range(first + begin, first + begin + beyond + 1))
            offset += 2 + 4 * count
        elif cardinality <= _ARRAY_LIMIT:
            values = struct.unpack_from(f"<{cardinality}H", vector, offset)
            rows.extend(first + value for value in values)
            offset += 2 * cardinality
        else:
            words = struct.unpack_from(f"<{_BITMAP_BYTES // 8}Q", vector, offset)
            rows.extend(first + value for value in _set_bits(words))
            offset += _BITMAP_BYTES
    return offset


def _set_bits(words: tuple[int, ...]) -> Iterator[int]:
    for index, word in enumerate(words):
        rest = word
        while rest:
            lowest = rest & -rest
            yield index * 64 + lowest.bit_length() - 1
            rest ^= lowest
