"""Every value reaches the reader as it was: by every format and compression, whole and in parts."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import RowRange
from headrace.exports.sources import Source
from headrace.kernel.errors import ValueNotExportable
from tests.component.warehouse.cases import CASES, REFUSED, column_name, expected, rows_as_sql
from tests.component.warehouse.places import (
    WAREHOUSE,
    a_duckdb_file,
    a_lake,
    a_parquet_folder,
    a_table_of,
    document,
    rows_of,
)

NOT_IN_DUCKLAKE = {"HUGEINT", "BIT", "ENUM('a b', '\"')"}
ROWS = max(len(cases) for cases in CASES.values()) + 1


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A DuckDB file with every case."""
    path = tmp_path_factory.mktemp("values") / "values.duckdb"
    return a_duckdb_file(path, f"CREATE TABLE things AS {rows_as_sql(parquet=False)}")


def in_ranges(rows: int, size: int) -> tuple[RowRange, ...]:
    return tuple(
        RowRange(first, min(first + size, rows) - 1, min(size, rows - first))
        for first in range(0, rows, size)
    )


@pytest.mark.parametrize("ranges", [None, in_ranges(ROWS, 7)], ids=["one part", "many parts"])
@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.JSON, FileFormat.NDJSON])
def test_every_value_survives(
    everything: Source,
    file_format: FileFormat,
    compression: Compression,
    ranges: tuple[RowRange, ...] | None,
) -> None:
    table = a_table_of(everything, "main.things")
    made = document(everything, table, file_format, compression, ranges=ranges)
    rows = rows_of(made.stored, file_format, compression)
    assert made.rows == len(rows) == ROWS
    form = "csv" if file_format is FileFormat.CSV else "json"
    for index, row in enumerate(rows):
        assert str(row.pop("id")) == str(index)
        want = {column_name(kind): expected(kind, index, form) for kind in CASES}
        assert row == want
        # A number equals no text, and what is written as a number is one.
        assert [type(value) for value in row.values()] == [type(value) for value in want.values()]


def as_plain(value: Any, kind: pa.DataType) -> Any:
    """An arrow scalar as the cases write it: far dates and times are integers."""
    if not value.is_valid:
        return None
    if pa.types.is_date32(kind) or pa.types.is_time64(kind) or pa.types.is_timestamp(kind):
        return value.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64()).as_py()
    return value.as_py()


@pytest.mark.parametrize("compression", Compression)
def test_every_value_survives_in_parquet(tmp_path: Path, compression: Compression) -> None:
    select = rows_as_sql(parquet=True)
    source = a_duckdb_file(tmp_path / "x.duckdb", f"CREATE TABLE things AS {select}")
    made = document(source, a_table_of(source, "main.things"), FileFormat.PARQUET, compression)
    read = pq.read_table(pa.BufferReader(made.stored), arrow_extensions_enabled=False)
    assert made.rows == read.num_rows == ROWS
    compared = 0
    for kind, cases in CASES.items():
        column = read[column_name(kind)]
        for index, scalar in enumerate(column):
            want = expected(kind, index, "parquet")
            if index < len(cases) and want is None and kind != "JSON":
                assert scalar.is_valid
                continue
            if want is REFUSED:
                want = None
            got = as_plain(scalar, column.type)
            match got:
                case Decimal():
                    assert f"{got:f}" == str(want), kind
                case float():
                    assert repr(got) == repr(want) or want == "nan"
                case bytes() if kind == "UUID":
                    assert got.hex() == want.replace("-", "")
                case _:
                    assert got == want, kind
            compared += 1
    assert compared > ROWS * len(CASES) * 0.9


def test_parquet_has_the_native_type_of_each_column(tmp_path: Path) -> None:
    select = rows_as_sql(parquet=True)
    source = a_duckdb_file(tmp_path / "x.duckdb", f"CREATE TABLE things AS {select}")
    made = document(source, a_table_of(source, "main.things"), FileFormat.PARQUET)
    schema = pq.ParquetFile(pa.BufferReader(made.stored)).schema
    logical = {
        schema.column(i).name: str(schema.column(i).logical_type) for i in range(len(schema))
    }

    def of(kind: str) -> str:
        return logical[column_name(kind)]

    assert of("DECIMAL(38,10)") == "Decimal(precision=38, scale=10)"
    assert of("HUGEINT") == "Decimal(precision=38, scale=0)"
    assert of("UBIGINT") == "Decimal(precision=20, scale=0)"
    assert of("JSON") == of("MAP(VARCHAR, BIGINT)") == "JSON"
    assert of("UUID") == "UUID"
    assert of("DATE") == "Date"
    for kind, adjusted in (
        ("TIMESTAMP", "false"),
        ("TIMESTAMP_MS", "false"),
        ("TIMESTAMP WITH TIME ZONE", "true"),
    ):
        assert f"isAdjustedToUTC={adjusted}, timeUnit=microseconds" in of(kind)
    assert of("UINTEGER") == "Int(bitWidth=64, isSigned=true)"


@pytest.mark.parametrize(
    ("kind", "case"),
    [(kind, case) for kind, cases in CASES.items() for case in cases if case.parquet is REFUSED],
    ids=lambda value: value if isinstance(value, str) else value.csv,
)
def test_parquet_refuses_what_it_cannot_hold(tmp_path: Path, kind: str, case: Any) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb", f"CREATE TABLE things AS SELECT CAST({case.sql} AS {kind}) AS v"
    )
    table = a_table_of(source, "main.things")
    with pytest.raises(ValueNotExportable) as caught:
        document(source, table, FileFormat.PARQUET)
    assert case.csv not in caught.value.detail


def test_all_kinds_of_source_give_the_same_bytes(tmp_path: Path) -> None:
    types = tuple(kind for kind in CASES if kind not in NOT_IN_DUCKLAKE)
    select = rows_as_sql(parquet=True, types=types)
    made = f"CREATE TABLE things AS {select}"
    sources = (
        a_duckdb_file(tmp_path / "x.duckdb", made),
        a_lake(tmp_path / "lake", made),
        a_parquet_folder(tmp_path / "folder", things=select),
    )
    for file_format in FileFormat:
        documents = {
            document(source, a_table_of(source, "main.things"), file_format).stored
            for source in sources
        }
        assert len(documents) == 1, file_format


@pytest.mark.parametrize("text", ["[1,]", "NaN", '{"a":Infinity}', '{"a":-inf}', '{"b":[1, ]}'])
@pytest.mark.parametrize("file_format", [FileFormat.JSON, FileFormat.NDJSON, FileFormat.PARQUET])
def test_text_that_only_the_engine_takes_for_json_is_refused(
    tmp_path: Path, file_format: FileFormat, text: str
) -> None:
    source = a_duckdb_file(tmp_path / "x.duckdb", f"CREATE TABLE t AS SELECT '{text}'::JSON AS v")
    with pytest.raises(ValueNotExportable, match="column v holds text that is not JSON"):
        document(source, a_table_of(source, "main.t"), file_format)


@pytest.mark.parametrize(
    ("file_format", "whole"),
    [
        (FileFormat.CSV, b'id,"a ""b"""\n'),
        (FileFormat.JSON, b"[]\n"),
        (FileFormat.NDJSON, b""),
    ],
)
def test_an_empty_table_is_an_empty_document(
    tmp_path: Path, file_format: FileFormat, whole: bytes
) -> None:
    source = a_lake(tmp_path / "lake", 'CREATE TABLE t(id INTEGER, "a ""b""" VARCHAR)')
    table = a_table_of(source, "main.t")
    version = WAREHOUSE.current_version(source)
    assert (
        WAREHOUSE.plan(source, version, table, file_format, target_bytes=1000, max_ranges=9) == ()
    )
    for compression in Compression:
        made = document(source, table, file_format, compression)
        assert made.rows == 0
        assert rows_of(made.stored, file_format, compression) == [] if whole else True
        if compression is Compression.NONE:
            assert made.stored == whole


def test_an_empty_table_is_an_empty_parquet_file(tmp_path: Path) -> None:
    source = a_lake(tmp_path / "lake", "CREATE TABLE t(id INTEGER)")
    made = document(source, a_table_of(source, "main.t"), FileFormat.PARQUET)
    assert rows_of(made.stored, FileFormat.PARQUET) == []


def test_json_reads_line_by_line(tmp_path: Path) -> None:
    source = a_duckdb_file(
        tmp_path / "x.duckdb", "CREATE TABLE t AS SELECT range AS i FROM range(3)"
    )
    made = document(source, a_table_of(source, "main.t"), FileFormat.JSON)
    assert made.stored == b'[\n{"i":0},\n{"i":1},\n{"i":2}\n]\n'
