"""Parquet files of one table: what each has a column as, and whether the engine keeps its values.

The engine reads several files in one type for each column, by its own rules: a BIGINT beside a
DOUBLE becomes a DOUBLE, which rounds it, and DECIMAL(38,2) beside DECIMAL(10,5) keeps two digits.
It reads nanoseconds as microseconds, and decimals of more than 38 digits as doubles.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckdb.sqltypes import DuckDBPyType

from headrace.adapters.warehouse.engine import Connection, listed

_WHOLE_BITS = {
    "TINYINT": 7,
    "UTINYINT": 8,
    "SMALLINT": 15,
    "USMALLINT": 16,
    "INTEGER": 31,
    "UINTEGER": 32,
    "BIGINT": 63,
    "UBIGINT": 64,
    "HUGEINT": 127,
}
_FLOATING_BITS = {"FLOAT": 24, "DOUBLE": 53}
"""Whole numbers of so many bits are exact in it."""

_KEPT = frozenset(
    {
        ("BOOLEAN", "VARCHAR"),
        ("FLOAT", "DOUBLE"),
        ("DATE", "TIMESTAMP"),
        ("JSON", "VARCHAR"),
        ("VARCHAR", "JSON"),
    }
)
_MOST_DIGITS = 38


@dataclass(frozen=True)
class Layout:
    """The columns of one or more files: by name in lower case, the type that a file alone is read
    in. ``reasons``: why those that are not exact even then are not.
    """

    types: Mapping[str, DuckDBPyType]
    reasons: Mapping[str, str]


def layouts_of(connection: Connection, paths: Sequence[str]) -> tuple[Layout, ...]:
    """All that there are among the files."""
    described = connection.execute(
        "SELECT min(file_name), described FROM (SELECT file_name, list(struct_pack("  # noqa: S608
        "name := name, type := duckdb_type, logical := logical_type, digits := precision, "
        "within := coalesce(num_children, 0)) ORDER BY column_id) AS described "
        f"FROM parquet_schema({listed(paths)}) GROUP BY file_name) GROUP BY described ORDER BY 1"
    ).fetchall()
    return tuple(
        _layout(connection, path, _columns(rows), alone=len(described) == 1)
        for path, rows in described
    )


def inexact(name: str, kind: DuckDBPyType, layouts: Iterable[Layout]) -> str | None:
    """Why a column is not exact that is read as ``kind`` of all the files; None if it is."""
    for layout in layouts:
        found = layout.types.get(name.lower())
        if reason := layout.reasons.get(name.lower()):
            return reason
        if found is not None and not _keeps(found, kind):
            return f"files of the table have it as {found}, which {kind} does not hold exactly"
    return None


def _layout(
    connection: Connection, path: str, columns: list[dict[str, Any]], *, alone: bool
) -> Layout:
    read = f"read_parquet({listed([path])}, hive_partitioning = false)"
    rows = connection.execute(f"DESCRIBE FROM {read}").fetchall()
    names = [column["name"].lower() for column in columns]
    types, reasons = {}, {}
    for (shown, text, *_), column in zip(rows, columns, strict=True):
        name = shown.lower()
        if column["type"] != '"NULL"':  # a column without any value takes the others' type
            types[name] = connection.sqltype(text)
        if not alone and names.count(column["name"].lower()) > 1:
            reasons[name] = "files of the table have several columns of this name"
        elif reason := _reason(column):
            reasons[name] = reason
    return Layout(types, reasons)


def _columns(described: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns, without what they nest: of each row of the schema, what is within follows it."""
    columns, position = [], 1
    while position < len(described):
        columns.append(described[position])
        left = 1
        while left:
            left += described[position]["within"] - 1
            position += 1
    return columns


def _reason(column: Mapping[str, Any]) -> str | None:
    logical = column["logical"] or ""
    if "NANOS=NanoSeconds" in logical and column["type"] in ("TIME", "TIMESTAMP WITH TIME ZONE"):
        return "it has nanoseconds, and times are carried with microseconds"
    if column["type"] == "DOUBLE" and (column["digits"] or 0) > _MOST_DIGITS:
        return f"a decimal of {column['digits']} digits; the engine has at most {_MOST_DIGITS}"
    return None


def _keeps(found: DuckDBPyType, read: DuckDBPyType) -> bool:
    """Is every value of one type exact, or an error, in the other."""
    one, other = str(found), str(read)
    if one == other or (one, other) in _KEPT:
        return True
    if one in _WHOLE_BITS:
        if other in _FLOATING_BITS:
            return _WHOLE_BITS[one] <= _FLOATING_BITS[other]
        return other in _WHOLE_BITS or other == "VARCHAR" or read.id == "decimal"
    if found.id != read.id or found.id not in ("decimal", "list", "array", "struct", "map"):
        return False
    if found.id == "decimal":
        (_, (_, scale)), (_, (_, wider)) = found.children, read.children
        return int(str(scale)) <= int(str(wider))
    within: dict[str, Any] = dict(read.children)
    return all(
        role in within
        and (
            _keeps(child, within[role])
            if isinstance(child, DuckDBPyType)
            else child == within[role]
        )
        for role, child in found.children
    )
