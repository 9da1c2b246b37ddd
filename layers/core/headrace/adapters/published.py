"""What a source has now, held against what was published of it."""

from collections.abc import Iterable
from typing import Any

from headrace.exports.sources import Table
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import SchemaChanged


def as_published(found: Iterable[SourceColumn], table: Table) -> dict[str, SourceColumn]:
    """The source's columns by name, when they are as they were when the table was published.

    Raises SchemaChanged, whose ``table`` and ``column`` are public names.
    """
    columns = {column.name: column for column in found}
    if not columns:
        raise _changed(f"The source has no table for {table.name} any more", table)
    for column in table.columns:
        now = columns.get(column.source)
        if now is None:
            raise _changed(
                f"The source has no column for {table.name}.{column.name} any more",
                table,
                column=column.name,
            )
        promised = (column.type, column.precision, column.scale, column.text_of)
        if promised != (now.type, now.precision, now.scale, now.text_of):
            what = f"The type of {table.name}.{column.name} has changed in the source"
            raise _changed(what, table, column=column.name)
    for name in table.scope_columns:
        if name not in columns:
            raise _changed(
                f"The source lacks a column that rows of {table.name} are told by", table
            )
    return columns


def _changed(what: str, table: Table, **column: Any) -> SchemaChanged:
    return SchemaChanged(f"{what}; publish the catalog again.", table=table.name, **column)
