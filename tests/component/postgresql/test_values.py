"""Every value of every type reaches the reader as PostgreSQL has it, or ends the job."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import KeyRange
from headrace.exports.sources import ColumnType, RowFilter, Source, Table
from headrace.kernel.errors import ValueNotExportable
from tests.component.postgresql.cases import (
    CASES,
    ROWS,
    SETUP,
    TEXT_OF,
    column_name,
    expected,
    kinds_at,
    rows_as_sql,
)
from tests.component.postgresql.server import Server
from tests.component.warehouse.cases import REFUSED
from tests.component.warehouse.places import WAREHOUSE, Number, a_table_of, document, rows_of
from tests.component.warehouse.test_values import as_plain


@pytest.fixture(scope="module")
def everything(postgresql: Server) -> Source:
    """A database with every case, once with those that Parquet refuses and once without."""
    database = postgresql.new_database()
    statements = [
        SETUP,
        *(
            f"CREATE TABLE {name} AS {rows_as_sql(postgresql.version, parquet=parquet)}; "
            f"ALTER TABLE {name} ADD PRIMARY KEY (id);"
            for name, parquet in (("things", False), ("carried", True))
        ),
    ]
    postgresql.run("\n".join(statements), database)
    return postgresql.source(database)


IN_PARTS = (KeyRange(None, ("3",), 4), KeyRange(("3",), ("7",), 4), KeyRange(("7",), None, 4))


@pytest.mark.parametrize("ranges", [None, IN_PARTS], ids=["one part", "many parts"])
@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.JSON, FileFormat.NDJSON])
def test_every_value_survives(
    everything: Source,
    postgresql: Server,
    file_format: FileFormat,
    compression: Compression,
    ranges: tuple[KeyRange, ...] | None,
) -> None:
    table = _keyed(a_table_of(everything, "public.things"))
    made = document(everything, table, file_format, compression, ranges=ranges)
    rows = rows_of(made.stored, file_format, compression)
    assert made.rows == len(rows) == ROWS
    form = "csv" if file_format is FileFormat.CSV else "json"
    for row in rows:
        index = int(row.pop("id"))
        want = {
            column_name(kind): expected(kind, index, form, postgresql.version)
            for kind in kinds_at(postgresql.version)
        }
        got = _numbers_alike(row) if form == "json" else row
        assert got == (_numbers_alike(want) if form == "json" else want)
        assert [type(value) for value in got.values()] == [type(value) for value in want.values()]


@pytest.mark.parametrize("compression", Compression)
def test_every_value_survives_in_parquet(
    everything: Source, postgresql: Server, compression: Compression
) -> None:
    table = a_table_of(everything, "public.carried")
    made = document(everything, table, FileFormat.PARQUET, compression)
    read = pq.read_table(pa.BufferReader(made.stored), arrow_extensions_enabled=False)
    assert made.rows == read.num_rows == ROWS
    order = read["id"].to_pylist()
    for kind in kinds_at(postgresql.version):
        column = read[column_name(kind)]
        for index, scalar in zip(order, column, strict=True):
            want = expected(kind, index, "parquet", postgresql.version)
            got = as_plain(scalar, column.type)
            if want is REFUSED:
                want = None
            match got:
                case Decimal():
                    assert (got, got.as_tuple()) == (want, want.as_tuple()), kind
                case float():
                    assert repr(got) == repr(want) or want == "nan"
                case bytes() if kind == "uuid":
                    assert got.hex() == want.replace("-", "")
                case _:
                    assert got == want, kind


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        (kind, index)
        for kind, cases in CASES.items()
        for index, case in enumerate(cases)
        if case.parquet is REFUSED
    ],
)
def test_what_parquet_cannot_hold_ends_the_job(everything: Source, kind: str, index: int) -> None:
    table = _keyed(a_table_of(everything, "public.things", columns=("id", column_name(kind))))
    only = KeyRange((str(index - 1),), (str(index),), 1)
    with pytest.raises(ValueNotExportable) as raised:
        document(everything, table, FileFormat.PARQUET, ranges=(only,))
    assert kind.split("(", maxsplit=1)[0] in raised.value.detail


def test_the_description_says_what_is_carried_as_the_sources_own_text(
    everything: Source, postgresql: Server
) -> None:
    columns = {c.name: c for c in WAREHOUSE.describe(everything, "public.things")}
    for kind in TEXT_OF.keys() & set(kinds_at(postgresql.version)):
        assert columns[column_name(kind)].text_of == TEXT_OF[kind], kind
    assert all(column.type is not None for column in columns.values())
    fee = columns[column_name("fee")]
    assert (fee.type, fee.precision, fee.scale) == ("decimal", 12, 2)
    free = columns[column_name("numeric")]
    assert (free.type, free.precision, free.scale) == ("decimal", None, None)


def _keyed(table: Table) -> Table:
    return replace(table, primary_key=("id",))


def _numbers_alike(row: dict[str, Any]) -> dict[str, Any]:
    """Of a double it is the number that counts and not its spelling."""
    doubles = {column_name("double precision"), column_name("real")}
    return {
        name: Number(repr(float(value))) if name in doubles and isinstance(value, Number) else value
        for name, value in row.items()
    }


def test_rows_are_chosen_by_every_kind_of_text_and_of_number(postgresql: Server) -> None:
    database = postgresql.new_database()
    kinds = (
        "text",
        "varchar(9)",
        "char(9)",
        "name",
        '"char"',
        "bit(3)",
        "smallint",
        "numeric(6,2)",
    )
    values = ("north", "north", "north", "north", "n", "101", "7", "7.00")
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(kinds))
    rows = ", ".join(f"'{value}'" for value in values)
    postgresql.run(f"CREATE TABLE t ({columns}); INSERT INTO t VALUES ({rows})", database)
    source = postgresql.source(database)
    for n, value in enumerate(values):
        table = a_table_of(source, "public.t", RowFilter(f"c{n}", (value,), ColumnType.STRING))
        assert document(source, table, FileFormat.CSV).rows == 1, kinds[n]


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_database_of_another_encoding_is_read_as_it_is(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_name()
    postgresql.run(
        f"CREATE DATABASE {database} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
        "TEMPLATE template0"
    )
    postgresql.run(
        "SET client_encoding = 'UTF8'; CREATE TABLE visits (id int PRIMARY KEY, größe text); "
        "INSERT INTO visits VALUES (1, 'café ß'), (2, 'Â£'), (3, 'plain')",
        database,
    )
    source = postgresql.source(database)
    table = replace(
        a_table_of(
            source, "public.visits", RowFilter("größe", ("café ß", "Â£"), ColumnType.STRING)
        ),
        primary_key=("id",),
        ordered=True,
    )
    made = document(source, table, file_format)
    if file_format is FileFormat.PARQUET:
        rows = pq.read_table(pa.BufferReader(made.stored)).to_pylist()
    else:
        rows = rows_of(made.stored, file_format)
    assert [row["größe"] for row in rows] == ["café ß", "Â£"]


OWN_TYPES = (
    "CREATE TYPE public.\"time\" AS ENUM ('noon', 'morning'); "
    "CREATE TYPE public.\"interval\" AS ENUM ('monthly'); "
    "CREATE TYPE public.\"bool\" AS ENUM ('yes'); CREATE TYPE public.bytea AS ENUM ('none'); "
    "CREATE TYPE public.numeric AS (of text, n int); CREATE TYPE public.json AS ENUM ('so so'); "
    "CREATE SCHEMA other; CREATE TYPE other.mood AS (n int); "
    "CREATE TYPE public.mood AS ENUM ('fine'); "
    'CREATE TABLE odd (id int, "time" public."time", "interval" public."interval", '
    '"bool" public."bool", bytea public.bytea, "numeric" public.numeric, json public.json, '
    "moods other.mood[], fine public.mood[]); "
    "INSERT INTO odd "
    "VALUES (1, 'noon', 'monthly', 'yes', 'none', '(a,1)', 'so so', '{(1)}', '{fine}')"
)


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
def test_types_of_somebody_elses_are_not_the_servers_of_the_same_name(
    postgresql: Server, file_format: FileFormat
) -> None:
    database = postgresql.new_database()
    postgresql.run(OWN_TYPES, database)
    source = postgresql.source(database)
    columns = WAREHOUSE.describe(source, "public.odd")
    kinds = {c.name: (str(c.type), c.text_of is not None) for c in columns if c.name != "id"}
    assert kinds.pop("fine") == ("json", False)
    assert kinds.pop("numeric") == kinds.pop("moods") == ("string", True)
    assert set(kinds.values()) == {("string", False)}
    (row,) = rows_of(
        document(source, a_table_of(source, "public.odd"), file_format).stored, file_format
    )
    assert {name: row[name] for name in kinds} == {
        "time": "noon",
        "interval": "monthly",
        "bool": "yes",
        "bytea": "none",
        "json": "so so",
    }
    assert (row["numeric"], row["moods"]) == ("(a,1)", "{(1)}")
