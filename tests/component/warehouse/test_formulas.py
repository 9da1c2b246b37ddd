"""Cells that a spreadsheet would run: data by default, behind an apostrophe where asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.exports.model import FileFormat
from headrace.exports.sources import Source
from tests.component.warehouse.places import a_duckdb_file, a_table_of, document, rows_of

TEXTS = ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "\nx", "plain", "a=b", "'quoted", "", None]
RUN = ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A table of numbers below zero, texts, and JSON that is a number below zero."""
    sql = [text if text is None else "'" + text.replace("'", "''") + "'" for text in TEXTS]
    rows = ", ".join(f"({-n - 1}, {text or 'NULL'}, '-1'::JSON)" for n, text in enumerate(sql))
    return a_duckdb_file(
        tmp_path / "texts.duckdb",
        "CREATE TABLE cells (n BIGINT, t VARCHAR, j JSON)",
        f"INSERT INTO cells VALUES {rows}",
    )


@pytest.mark.abuse(133)
@pytest.mark.parametrize("file_format", list(FileFormat))
def test_cells_that_look_like_formulas_are_data_and_stay_as_they_are(
    source: Source, file_format: FileFormat
) -> None:
    table = a_table_of(source, "main.cells")
    rows = rows_of(document(source, table, file_format).stored, file_format)
    assert [row["t"] for row in rows] == TEXTS


@pytest.mark.abuse(133)
def test_a_configuration_may_have_them_escaped_in_csv(source: Source) -> None:
    table = replace(a_table_of(source, "main.cells"), escape_formulas=True)
    rows = rows_of(document(source, table, FileFormat.CSV).stored, FileFormat.CSV)

    expected = ["'" + text if text and text.startswith(RUN) else text for text in TEXTS]
    assert [row["t"] for row in rows] == expected
    assert {row["j"] for row in rows} == {"'-1"}
    assert [row["n"] for row in rows] == [str(-n - 1) for n in range(len(TEXTS))]


@pytest.mark.parametrize("file_format", [FileFormat.JSON, FileFormat.NDJSON, FileFormat.PARQUET])
def test_formats_that_no_spreadsheet_runs_are_left_alone(
    source: Source, file_format: FileFormat
) -> None:
    table = a_table_of(source, "main.cells")
    escaped = replace(table, escape_formulas=True)
    plain = document(source, table, file_format).stored
    assert document(source, escaped, file_format).stored == plain
