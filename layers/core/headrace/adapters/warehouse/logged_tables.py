"""Delta and Iceberg: folders of tables, each with a log of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from headrace.adapters.sql_text import identifier, split_name
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.delta import DeltaFormat
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.open_source import OpenSource, Scan, folder_path, option
from headrace.adapters.warehouse.parquet import ParquetTables
from headrace.adapters.warehouse.storage import Storage, storage_of
from headrace.adapters.warehouse.table_files import TableColumn, TableFiles, relation
from headrace.adapters.warehouse.values import classify
from headrace.exports.slices import RowRange
from headrace.exports.sources import Source
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import SourceChanged, SourceUnavailable


class _TableFormat(Protocol):
    """An open format of tables. ``folder`` ends with a slash."""

    def version(self, storage: Storage, folder: str) -> str | None:
        """The version that the table in ``folder`` is at; None if there is no table."""
        ...

    def changed_at(self, storage: Storage, folder: str) -> datetime | None:
        """When rows of the table in ``folder`` last changed; None if there is no table."""
        ...

    def table(
        self, storage: Storage, connection: Connection, folder: str, version: str
    ) -> TableFiles:
        """The table at a version. Raises SourceChanged if it can no longer be read at it."""
        ...


@dataclass(frozen=True)
class LoggedTables(ParquetTables):
    """Tables of an open format, each at the version that ``versions`` has for its name."""

    form: _TableFormat
    storage: Storage
    root: str
    versions: Mapping[str, str]
    read: dict[str, TableFiles]

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(f"main.{name}" for name in self.versions))

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        found = self._read(table)
        return tuple(self._column(column) for column in found.columns) if found else ()

    def position(self, table: str) -> str | None:
        return super().position(table) if self._paths(table) else None

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        self._check_ids(table)
        return super().scans(table, row_range)

    def check_held(self) -> None:
        for table in self.tables():
            self._read(table)

    def _column(self, column: TableColumn) -> SourceColumn:
        if column.reason is not None:
            return SourceColumn(
                column.name, column.type, None, column.nullable, reason=column.reason
            )
        kind = self.connection.sqltype(column.type)
        described = classify(column.name, kind, nullable=column.nullable)
        return replace(described, promised=not column.nullable)

    def _read(self, table: str) -> TableFiles | None:
        schema, name = split_name(table)
        version = self.versions.get(name)
        if schema != "main" or version is None:
            return None
        if name not in self.read:
            folder = f"{self.root}{name}/"
            self.read[name] = self.form.table(self.storage, self.connection, folder, version)
        return self.read[name]

    def _paths(self, table: str) -> tuple[str, ...]:
        found = self._read(table)
        return found.paths if found else ()

    def _relation(self, table: str) -> str:
        found = self._read(table)
        if found is None:
            raise SourceChanged("The source no longer has a table that was published.")
        return relation(found, self._deleted(table, found))

    def _deleted(self, table: str, found: TableFiles) -> str | None:
        """The name of the engine's table of the rows that are deleted, made when first needed."""
        if all(file.deleted is None for file in found.files):
            return None
        deleted = f"temp.{identifier(f'deleted from {table}')}"
        if self.connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [f"deleted from {table}"]
        ).fetchone():
            return deleted
        self.connection.execute(f"CREATE TEMP TABLE {deleted}(file UBIGINT, row BIGINT)")
        for index, file in enumerate(found.files):
            rows = file.deleted() if file.deleted else ()
            for start in range(0, len(rows), _DELETED_AT_ONCE):
                # A list is bound value by value, which takes a hundred times as long.
                text = ",".join(map(str, rows[start : start + _DELETED_AT_ONCE]))
                self.connection.execute(
                    f"INSERT INTO {deleted} "
                    "SELECT ?::UBIGINT, unnest(string_split(?, ',')::BIGINT[])",
                    [index, text],
                )
        return deleted

    def _check_ids(self, table: str) -> None:
        """Where columns are told by fields' ids, a file without any would read as all NULL."""
        found = self._read(table)
        if not found or not found.files or not any(isinstance(c.key, int) for c in found.columns):
            return
        with_ids = self.connection.execute(
            "SELECT count(DISTINCT file_name) FROM "  # noqa: S608
            f"parquet_schema({engine.listed(found.paths)}) WHERE field_id IS NOT NULL"
        ).fetchone()
        if with_ids != (len(found.files),):
            raise SourceUnavailable(
                "A file of the table does not tell its columns by ids, as the table does."
            )


_DELETED_AT_ONCE = 100_000


_FORMATS: Mapping[str, _TableFormat] = {"delta": DeltaFormat()}


_MAX_VERSION_CHARACTERS = 16_384


def versions_now(source: Source) -> dict[str, str]:
    """Every table's version, as the folder has it now."""
    root = folder_path(option(source, "path"))
    storage, form = storage_of(root), _FORMATS[source.kind]
    found = {name: form.version(storage, f"{root}{name}/") for name in storage.folders(root)}
    versions = {name: version for name, version in found.items() if version is not None}
    if not versions:
        raise SourceUnavailable(f"There is no {source.kind} table in the source's folder.")
    return versions


def newest_change(source: Source) -> datetime:
    """When rows last changed, in any of the tables."""
    root = folder_path(option(source, "path"))
    storage, form = storage_of(root), _FORMATS[source.kind]
    found = [form.changed_at(storage, f"{root}{name}/") for name in storage.folders(root)]
    moments = [one for one in found if one is not None]
    if not moments:
        raise SourceUnavailable(f"There is no {source.kind} table in the source's folder.")
    return max(moments)


def version_text(versions: Mapping[str, str]) -> str:
    """The versions of all tables as one, which ``open_logged_tables`` takes."""
    text = urlencode(sorted(versions.items()))
    if len(text) > _MAX_VERSION_CHARACTERS:
        raise SourceUnavailable(
            "The source has more tables than a version can name; put them into several folders, "
            "each a source."
        )
    return text


def open_logged_tables(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    """Reads each table at the version that ``version`` has for it."""
    root = folder_path(option(source, "path"))
    versions = versions_now(source) if version is None else dict(parse_qsl(version))
    if engine.is_remote(root):
        engine.allow_s3(connection)
    # The rows are the side of the join that streams, however many of them are deleted.
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    engine.lock_down(connection, [root], files)
    return LoggedTables(
        connection, {}, lambda: None, _FORMATS[source.kind], storage_of(root), root, versions, {}
    )
