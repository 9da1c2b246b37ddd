"""Counting rows in files."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from headrace_client import VerificationError
from headrace_client.rows import row_counter

PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
}


def count_rows(path: Path, file_format: str, compression: str) -> int:
    counter = row_counter(file_format, compression)
    assert counter is not None
    return counter(path)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(rows=st.lists(st.tuples(cells, cells), max_size=20))
def test_rows_of_csv_are_records_not_lines(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    assert count_rows(path, "csv", "none") == len(rows)


@pytest.mark.parametrize("compression", PACKED)
def test_every_compression_is_read_in_members_too(compression: str, tmp_path: Path) -> None:
    pack = PACKED[compression]
    path = tmp_path / "t"
    path.write_bytes(pack(b"id\n1\n") + pack(b"2\n3\n"))
    assert count_rows(path, "csv", compression) == 3
    path.write_bytes(pack(b'{"id":1}\n') + pack(b'{"id":2}\n'))
    assert count_rows(path, "ndjson", compression) == 2


def test_an_empty_file_and_a_header_have_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for content in (b"", b"id,name\n"):
        path.write_bytes(content)
        assert count_rows(path, "csv", "none") == 0


def test_other_formats_are_not_counted() -> None:
    assert row_counter("parquet", "none") is None
    assert row_counter("json", "gzip") is None


@pytest.mark.parametrize(
    ("content", "compression"),
    [(b"\xff\xfe", "none"), (b'id\n"open', "none"), (b"plain", "gzip"), (b"plain", "zstd")],
)
def test_what_is_not_what_it_is_said_to_be_fails(
    content: bytes, compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(VerificationError):
        count_rows(path, "csv", compression)
    path.write_bytes(gzip.compress(b"id\n1\n")[:-4])
    with pytest.raises(VerificationError):
        count_rows(path, "csv", "gzip")
