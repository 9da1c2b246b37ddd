"""Every value of the sample warehouse, by every format and compression, read by other readers."""

import base64
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ColumnType, RowFilter, Source, Table
from local.sample.warehouse import attached, build
from tests.component.warehouse.places import Number, a_table_of, document, parsed, rows_of

RUNS = RowFilter("payroll_run_id", (1, 2), ColumnType.INTEGER)
MONDAYS = RowFilter("weekday", (1,), ColumnType.INTEGER)
TABLES: dict[str, tuple[RowFilter, ...]] = {
    "hr.contracts": (),
    "hr.cost_centres": (),
    "hr.departments": (),
    "hr.employees": (),
    "hr.employments": (),
    "hr.payroll_runs": (),
    "hr.payslips": (RUNS,),  # the first month has the awkward ones
    "hr.positions": (),
    "hr.shifts": (MONDAYS,),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sample"))


def stored_rows(warehouse: Path, table: Table) -> Rows:
    """The rows as Python values, in the order of the ids; instants as microseconds of the epoch."""
    columns = ", ".join(
        f"epoch_us({c.source})" if c.type is ColumnType.TIMESTAMPTZ else c.source
        for c in table.columns
    )
    conditions = " AND ".join(
        f"{f.column} IN ({', '.join(map(repr, f.values))})" for f in table.filters
    )
    names = [column.name for column in table.columns]
    with attached(warehouse) as connection:
        found = connection.execute(
            f"SELECT {columns} FROM lake.{table.source} WHERE {conditions or 'true'} ORDER BY id"
        ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in found]


def as_text(value: Any, kind: ColumnType) -> str | None:
    """The canonical text, by Python's own means."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int() if kind is ColumnType.TIMESTAMPTZ:
            moment = EPOCH + timedelta(microseconds=value)
            return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        case Decimal():
            return f"{value:f}"
        case datetime() | time():
            return value.isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)


def as_json(value: Any, kind: ColumnType) -> Any:
    """The canonical JSON value."""
    if value is None or isinstance(value, bool):
        return value
    if kind is ColumnType.JSON:
        return parsed(value)
    text = as_text(value, kind)
    number = isinstance(value, int | float | Decimal) and kind is not ColumnType.TIMESTAMPTZ
    return Number(text) if number else text


def as_parquet(value: Any, kind: ColumnType) -> Any:
    """What pyarrow makes of the native value."""
    if value is None or kind is not ColumnType.TIMESTAMPTZ:
        return value
    return EPOCH + timedelta(microseconds=value)


def levelled(rows: Rows, table: Table) -> Rows:
    """Doubles as numbers: which of their shortest spellings stands there does not matter."""
    doubles = [column.name for column in table.columns if column.type is ColumnType.DOUBLE]
    for row in rows:
        for name in doubles:
            row[name] = row[name] and repr(float(row[name]))
    return rows


@pytest.mark.parametrize("name", TABLES)
def test_every_sample_value_survives(warehouse: Path, name: str) -> None:
    options = {"catalog": f"sqlite:{warehouse}/catalog.sqlite", "data_path": f"{warehouse}/data"}
    source = Source("sample", "ducklake", options)
    table = a_table_of(source, name, *TABLES[name])
    stored = stored_rows(warehouse, table)
    assert stored
    kinds = {column.name: column.type for column in table.columns}
    form = {FileFormat.CSV: as_text, FileFormat.PARQUET: as_parquet}
    for file_format in FileFormat:
        canonical = form.get(file_format, as_json)
        expected = [{n: canonical(v, kinds[n]) for n, v in row.items()} for row in stored]
        if file_format is not FileFormat.PARQUET:
            expected = levelled(expected, table)
        for compression in Compression:
            made = document(source, table, file_format, compression)
            rows = rows_of(made.stored, file_format, compression)
            if file_format is not FileFormat.PARQUET:
                rows = levelled(rows, table)
            by_id = {str(row["id"]): row for row in rows}
            assert len(by_id) == len(rows) == made.rows == len(stored)
            for row in expected:
                assert comparable(by_id[str(row["id"])]) == comparable(row)


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """UUIDs as texts: readers differ in whether they make more of them."""
    return {name: str(v) if isinstance(v, UUID) else v for name, v in row.items()}


def test_the_sample_has_what_is_awkward(warehouse: Path) -> None:
    """A round trip of plain values would prove little."""
    options = {"catalog": f"sqlite:{warehouse}/catalog.sqlite", "data_path": f"{warehouse}/data"}
    source = Source("sample", "ducklake", options)
    seen: set[Any] = set()
    for name, filters in TABLES.items():
        table = a_table_of(source, name, *filters)
        for row in stored_rows(warehouse, table):
            seen.update(json.dumps(v, default=str) for v in row.values())
    for text in (
        "",
        "two\nlines",
        'say "yes", or "no"',
        "NULL",
        "=1+1",
        "\ufeffbyte order mark first",
    ):
        assert json.dumps(text) in seen
    assert {"null", str(2**63 - 1), "0.1", '"0001-01-01"'} <= seen
