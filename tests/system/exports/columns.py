"""A table column by column, for one too large to go through Python value by value.

The source's columns come from DuckDB itself as arrow arrays; CSV and Parquet are read by pyarrow,
JSON by Python's json. Columns are compared whole: every value, in the order of the primary key.
"""

import gc
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from local.sample.warehouse import attached
from tests.builders import number_of
from tests.system.exports.rows import decompressed

_MONEY = pa.decimal128(12, 2)

PAYSLIPS: dict[str, tuple[str, Any]] = {
    "id": ("id", pa.int64()),
    "payrollRunId": ("payroll_run_id", pa.int32()),
    "employeeId": ("employee_id", pa.int64()),
    "period": ("period", pa.date32()),
    "gross": ("gross", _MONEY),
    "tax": ("tax", _MONEY),
    "net": ("net", _MONEY),
    "hours": ("hours", pa.float64()),
    "account": ("account", pa.string()),
    "paidAt": ("paid_at", pa.timestamp("us", tz="UTC")),
    "remark": ("remark", pa.string()),
    "lines": ("lines::VARCHAR", pa.string()),
}
"""The payslips as the sample catalog grants them: the source's column, and the type."""


def in_source(warehouse: Path, version: str, tenant: str) -> pa.Table:
    """The tenant's payslips at that snapshot, in the order of their ids."""
    asked = ", ".join(f'{source} AS "{name}"' for name, (source, _) in PAYSLIPS.items())
    with attached(warehouse) as connection:
        read = connection.execute(
            f"SELECT {asked} FROM lake.hr.payslips AT (VERSION => {number_of(version)}) "
            "WHERE tenant_id = ? ORDER BY id",
            [tenant],
        ).to_arrow_table()
    return read.cast(pa.schema([(name, kind) for name, (_, kind) in PAYSLIPS.items()]))


def in_document(document: bytes, file_format: str, compression: str) -> pa.Table:
    """A document's payslips, in the order of their ids."""
    if file_format == "parquet":
        read = pq.read_table(pa.BufferReader(document), arrow_extensions_enabled=False)
        assert read.schema.types == [kind for _, kind in PAYSLIPS.values()]
    elif file_format == "csv":
        read = _from_csv(decompressed(document, compression))
    else:
        read = _from_json(decompressed(document, compression), by_line=file_format == "ndjson")
    assert read.schema.names == list(PAYSLIPS)
    return read.sort_by("id")


def _from_csv(text: bytes) -> pa.Table:
    return pa_csv.read_csv(
        io.BytesIO(text),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: kind for name, (_, kind) in PAYSLIPS.items()},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


class Digits(str):
    """A number of JSON with a point or an exponent, as it was written."""


_decode = json.JSONDecoder(parse_float=Digits).decode


def _from_json(text: bytes, *, by_line: bool) -> pa.Table:
    """With decimals and documents as they are written: ``assert_same`` compares those as text."""
    gc.disable()  # half of the time goes into it, and there is nothing to collect
    try:
        return _columns_of(_objects(text, by_line=by_line))
    finally:
        gc.enable()


def _objects(text: bytes, *, by_line: bool) -> list[dict[str, Any]]:
    spelt = text.decode()
    if by_line:
        *lines, rest = spelt.split("\n")  # and at nothing else that Unicode counts as a line's end
        assert rest == ""
        return [_decode(line) for line in lines]
    rows = _decode(spelt)
    assert isinstance(rows, list)
    return rows


def _columns_of(rows: list[dict[str, Any]]) -> pa.Table:
    names = list(PAYSLIPS)
    assert all(list(row) == names for row in rows)
    columns = []
    for name, (_, kind) in PAYSLIPS.items():
        values = [row[name] for row in rows]
        if kind == _MONEY:
            assert all(type(value) is Digits for value in values)
            columns.append(pa.array(values, pa.string()))
        elif name == "hours":
            assert all(value is None or type(value) is Digits for value in values)
            columns.append(pa.array(values, pa.string()).cast(kind))
        elif name == "lines":
            assert all(value is None or type(value) is list for value in values)
            columns.append(pa.array(map(_spelt, values), pa.string()))
        elif name in ("period", "paidAt"):
            columns.append(pa.array(values, pa.string()).cast(kind))
        else:
            columns.append(pa.array(values, kind))
    return pa.table(columns, names=names)


def _spelt(document: Any) -> str | None:
    """One spelling of a document, so that equal documents are equal texts."""
    return None if document is None else repr(document)


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """Every column holds the same values; of a difference the first row's id is named."""
    assert found.num_rows == expected.num_rows
    for name in PAYSLIPS:
        ours, theirs = found[name], expected[name]
        if theirs.type != ours.type:
            theirs = theirs.cast(ours.type)
        if name == "lines" and ours.type == pa.string() and not ours.equals(theirs):
            read = (None if text is None else _decode(text) for text in theirs.to_pylist())
            theirs = pa.chunked_array([pa.array(map(_spelt, read), pa.string())])
        if ours.equals(theirs):
            continue
        same = pc.fill_null(pc.equal(ours, theirs), fill_value=False)
        both_null = pc.and_(pc.is_null(ours), pc.is_null(theirs))
        first = pc.index(pc.or_(same, both_null), value=False).as_py()
        raise AssertionError(f"{name} of the row {expected['id'][first]}: {ours[first]}")
