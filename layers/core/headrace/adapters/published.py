"""What a source has now, held against what was published of it."""

from collections.abc import Iterable

from headrace.exports.model import Table
from headrace.exports.ports import SourceColumn
from headrace.kernel.errors import SourceChanged


def as_published(found: Iterable[SourceColumn], table: Table) -> dict[str, SourceColumn]:
    """The source's columns by name, when they are as they were when the table was published.

    Raises SourceChanged.
    """
    columns = {column.name: column for column in found}
    if not columns:
        raise SourceChanged(f"The source has no table for {table.name} any more.")
    for column in table.columns:
        now = columns.get(column.source)
        if now is None:
            raise SourceChanged(
                f"The source has no column for {table.name}.{column.name} any more."
            )
        promised = (column.type, column.precision, column.scale)
        given = (now.type, now.precision, now.scale)
        if column.precision is None and column.scale is None:
            promised, given = (column.type, None, None), (now.type, None, None)
        if promised != given:
            raise SourceChanged(
                f"The type of {table.name}.{column.name} has changed in the source; "
                "publish the catalog again."
            )
    for row_filter in table.filters:
        if row_filter.column not in columns:
            raise SourceChanged(f"The source lacks a column that rows of {table.name} are told by.")
    return columns
