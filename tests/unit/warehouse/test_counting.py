"""Rows are counted by the bytes that go by, however they are cut."""

import csv
import io
import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headrace.adapters.warehouse.streaming import row_counter
from headrace.exports.model import FileFormat

_rows = st.lists(st.lists(st.text('ab,"\n\r '), min_size=2, max_size=2), max_size=8)
_cuts = st.lists(st.integers(0, 200), max_size=6)


def counted(document: bytes, cuts: list[int], file_format: FileFormat, *, header: bool) -> int:
    """What the counter makes of the document in pieces."""
    counter = row_counter(file_format, header=header)
    assert counter is not None
    places = sorted({0, len(document), *(cut for cut in cuts if cut < len(document))})
    told = [0, *(counter(document[start:end]) for start, end in pairwise(places))]
    assert told == sorted(told)
    return told[-1]


@given(_rows, _cuts, st.booleans())
def test_csv_is_counted_by_its_rows_and_not_by_its_lines(
    rows: list[list[str]], cuts: list[int], header: bool
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["x", "y"]] * header + rows)
    document = text.getvalue().encode()
    assert counted(document, cuts, FileFormat.CSV, header=header) == len(rows)


@given(_rows, _cuts)
def test_json_is_counted_by_its_lines(rows: list[list[str]], cuts: list[int]) -> None:
    document = "".join(json.dumps(row) + "\n" for row in rows).encode()
    assert counted(document, cuts, FileFormat.NDJSON, header=False) == len(rows)


def test_parquet_is_not_counted() -> None:
    assert row_counter(FileFormat.PARQUET, header=False) is None
