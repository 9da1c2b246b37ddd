"""Rows that another engine unloaded: Parquet files of any name, which are one table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.adapters.sql_text import identifier
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.fingerprints import check_unchanged, fingerprint
from headrace.adapters.warehouse.open_source import OpenSource, folder_path, option
from headrace.adapters.warehouse.parquet import ParquetTables, remote_files
from headrace.adapters.warehouse.table_files import VIRTUAL
from headrace.adapters.warehouse.values import classify
from headrace.exports.sources import ColumnType, Source
from headrace.exports.warehouses import SourceColumn

_STAGED_TYPES: Mapping[ColumnType, str] = {
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.BIGINT: "BIGINT",
    ColumnType.DOUBLE: "DOUBLE",
    ColumnType.STRING: "VARCHAR",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.BINARY: "BLOB",
    ColumnType.JSON: "JSON",
}
"""What a column is where no file says it: a query without rows leaves none."""


@dataclass(frozen=True)
class StagedRows(ParquetTables):
    """Unloaded rows under the names that their columns have in the source.

    ``relation`` has the columns ``names`` last; before them those that tell a row's position, which
    it lacks where a name is one of theirs.
    """

    relation: str
    names: tuple[str, ...]

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        rows = self.connection.execute(f"DESCRIBE FROM {self.relation}").fetchall()
        return tuple(
            classify(row[0], self.connection.sqltype(row[1]), nullable=True)
            for row in rows[-len(self.names) :]
        )

    def position(self, table: str) -> str | None:
        return super().position(table) if self._paths(table) else None

    def _relation(self, table: str) -> str:
        return self.relation


def open_staged(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    """Lists the files, which must not change while they are read."""
    root = folder_path(option(source, "path"))
    engine.allow_s3(connection)
    found = remote_files(connection, root, "**")
    unchanged = check_unchanged(lambda: fingerprint(remote_files(connection, root, "**")), version)
    unchanged()
    engine.lock_down(connection, [root], files)
    paths = tuple(root + name for name in sorted(found))
    columns = json.loads(option(source, "columns"))
    names = tuple(column["name"] for column in columns)
    relation = _staged_relation(connection, paths, columns)
    return StagedRows(connection, {"rows": paths}, unchanged, relation, names)


def _staged_relation(
    connection: Connection, paths: tuple[str, ...], columns: list[dict[str, Any]]
) -> str:
    """The rows, with their columns as the source calls them."""
    if not paths:
        empty = (f"CAST(NULL AS {_staged_type(c)}) AS {identifier(c['name'])}" for c in columns)
        return f"(SELECT {', '.join(empty)} WHERE false)"
    read = f"read_parquet({engine.listed(paths)}, union_by_name = true, hive_partitioning = false)"
    types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM {read}").fetchall()}
    names = {column["name"].lower() for column in columns}
    chosen = [name for name in VIRTUAL if not names & set(VIRTUAL)]
    for index, column in enumerate(columns):
        value = f"c{index}"
        # Timestamps are unloaded as text. All else is what the file says, and held against what
        # was published as in every source.
        if column["type"] == ColumnType.TIMESTAMP and types.get(value) == "VARCHAR":
            value = f"CAST({value} AS TIMESTAMP)"
        chosen.append(f"{value} AS {identifier(column['name'])}")
    return f"(SELECT {', '.join(chosen)} FROM {read})"  # noqa: S608


def _staged_type(column: Mapping[str, Any]) -> str:
    if column["type"] == ColumnType.DECIMAL:
        return f"DECIMAL({int(column['precision'])},{int(column['scale'])})"
    return _STAGED_TYPES[ColumnType(column["type"])]
