"""Chunks become documents, wherever the chunks are cut."""

import gzip
import hashlib
import itertools
import json
from collections.abc import Iterator

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from headrace.adapters.warehouse.duckdb_warehouse import _merged
from headrace.adapters.warehouse.streaming import compressed, framed
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition, RowRange

LINES = st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), max_size=8)


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    """The bytes in chunks that end at these places, empty ones among them."""
    edges = sorted(min(place, len(data)) for place in places)
    for start, end in itertools.pairwise([0, *edges, len(data)]):
        yield data[start:end]


@given(st.lists(LINES, min_size=1, max_size=4), st.lists(st.integers(0, 60), max_size=6))
def test_parts_of_a_json_array_make_one(parts: list[list[dict[str, int]]], cuts: list[int]) -> None:
    filled = [part for part in parts if part] or [[]]
    made = b""
    for index, part in enumerate(filled):
        raw = b"".join(json.dumps(row).encode() + b",\n" for row in part)
        position = PartPosition(first=index == 0, last=index == len(filled) - 1)
        made += b"".join(framed(cut(raw, cuts), FileFormat.JSON, position))
    assert json.loads(made) == list(itertools.chain.from_iterable(filled))
    assert made.endswith(b"]\n")


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
def test_other_formats_go_through_as_they_are(file_format: FileFormat) -> None:
    chunks = [b"a,b\n", b"", b"1,2\n"]
    assert list(framed(iter(chunks), file_format, PartPosition(first=False))) == chunks


@given(st.lists(st.binary(max_size=300), max_size=6), st.sampled_from(Compression))
def test_compressed_parts_concatenate(parts: list[bytes], compression: Compression) -> None:
    stored = b"".join(b"".join(compressed(iter([part, b"", part]), compression)) for part in parts)
    assert unpacked(stored, compression) == b"".join(part + part for part in parts)


def unpacked(stored: bytes, compression: Compression) -> bytes:
    match compression:
        case Compression.GZIP:
            return gzip.decompress(stored)
        case Compression.ZSTD:
            return zstd.decompress(stored) if stored else b""
        case _:
            return stored


def test_an_empty_chunk_goes_on_as_a_sign_of_life() -> None:
    for compression in Compression:
        assert next(iter(compressed(iter([b"", b"x"]), compression))) == b""


@pytest.mark.parametrize("compression", Compression)
def test_what_is_compressed_is_the_same_however_it_came_in_chunks(compression: Compression) -> None:
    lines = (f"{i},{hashlib.md5(str(i).encode()).hexdigest()}\n" for i in range(50_000))
    text = "".join(lines).encode()
    made = {
        b"".join(compressed(cut(text, list(range(0, len(text) + step, step))), compression))
        for step in (len(text), 300_000, 65_536, 777)
    }
    assert len(made) == 1


def test_gzip_carries_no_time() -> None:
    member = b"".join(compressed(iter([b"x"]), Compression.GZIP))
    assert member[4:8] == b"\0\0\0\0"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 1000)), min_size=1, max_size=60),
    st.integers(1, 50),
)
def test_merged_buckets_keep_every_row_and_are_even(
    gaps: list[tuple[int, int]], ranges: int
) -> None:
    buckets, position = [], 0
    for gap, rows in gaps:
        buckets.append(RowRange(position + gap, position + gap + 9, rows))
        position += gap + 10
    merged = _merged(buckets, ranges)
    total, largest = sum(b.rows for b in buckets), max(b.rows for b in buckets)
    assert len(merged) <= ranges
    assert sum(r.rows for r in merged) == total
    assert (merged[0].first, merged[-1].last) == (buckets[0].first, buckets[-1].last)
    assert all(a.last < b.first for a, b in itertools.pairwise(merged))
    # A range has its share, give or take what a bucket at either end holds.
    assert all(r.rows <= total / ranges + largest for r in merged)
