"""Tables of a database that is attached to the engine as ``source``."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import duckdb

from headrace.adapters.sql_text import identifier, split_name
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.open_source import Scan, query_scan
from headrace.adapters.warehouse.values import classify
from headrace.exports.slices import RowRange
from headrace.exports.warehouses import SourceColumn


@dataclass(frozen=True)
class AttachedTables:
    """Tables of the database attached as ``source``."""

    connection: Connection
    unchanged: Callable[[], None]

    def tables(self) -> tuple[str, ...]:
        rows = self.connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = 'source' AND NOT contains(schema_name, '.') ORDER BY 1"
        ).fetchall()
        return tuple(row[0] for row in rows)

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        schema, name = split_name(table)
        rows = self.connection.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE database_name = 'source' AND schema_name = ? AND table_name = ? "
            "ORDER BY column_index",
            [schema, name],
        ).fetchall()
        return tuple(
            classify(column, self.connection.sqltype(data_type), nullable=nullable)
            for column, data_type, nullable in rows
        )

    def query_columns(self, query: str) -> tuple[SourceColumn, ...]:
        self.connection.execute("USE source")
        asked = f"DESCRIBE SELECT * FROM {query_scan(query).relation}"  # noqa: S608
        if len(self.connection.extract_statements(asked)) > 1:
            raise duckdb.ParserException("It is more than one statement.")
        rows = self.connection.execute(asked).fetchall()
        return tuple(
            # The engine calls NOT NULL what an outer join may leave empty.
            replace(
                classify(row[0], self.connection.sqltype(row[1]), nullable=True), promised=False
            )
            for row in rows
        )

    def position(self, table: str) -> str | None:
        # A column of this name hides the row's own.
        names = {column.name.lower() for column in self.columns(table)}
        return None if "rowid" in names else "rowid"

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        schema, name = split_name(table)
        relation = f"source.{identifier(schema)}.{identifier(name)}"
        if row_range is None:
            return (Scan(relation),)
        return (Scan(relation, (_between("rowid", row_range),)),)

    def verify(self) -> None:
        self.unchanged()

    def check_held(self) -> None:
        """It was when it was attached."""


def _between(position: str, row_range: RowRange) -> str:
    return f"{position} BETWEEN {int(row_range.first)} AND {int(row_range.last)}"
