"""DuckLake: a database of tables in Parquet files, with its catalog in another database."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from headrace.adapters.postgresql.connection import (
    UNPROVEN,
    connection_parameters,
    is_unproven,
    secret_was_renewed,
)
from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.attached import AttachedTables
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.open_source import OpenSource, Scan, folder_path, option
from headrace.exports.slices import RowRange
from headrace.exports.sources import Source
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import SourceChanged, SourceUnavailable

_log = logging.getLogger(__name__)

_BUSY_TIMEOUT_MS = 1000
"""SQLite waits for so long of itself; then ``sources`` pauses, and tries again."""


def open_ducklake(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    """Attaches it read-only, at the snapshot that ``version`` names."""
    kind, _, place = option(source, "catalog").partition(":")
    attach = _CATALOGS.get(kind)
    if attach is None:
        raise SourceUnavailable(
            f"The source {source.name} has a catalog of kind {kind}: "
            f"use one of {', '.join(_CATALOGS)}."
        )
    engine.load_extension(connection, "ducklake")
    options = ["READ_ONLY"]
    data_path = source.options.get("data_path", "")
    if data_path:
        options.append(f"DATA_PATH {literal(folder_path(data_path))}, OVERRIDE_DATA_PATH true")
    number = None if version is None else lake_snapshot(version)
    if number is not None:
        options.append(f"SNAPSHOT_VERSION {number}")
    elif version is not None:
        raise SourceChanged(_NOT_HELD)
    remote = engine.is_remote(data_path) or engine.is_remote(place)
    if remote:
        engine.allow_s3(connection)
    elif not data_path:  # It is the catalog that says where they are: perhaps in S3.
        engine.load_extension(connection, "httpfs")
    attach(connection, source, place, options)
    if number is not None and lake_versions(connection, source, number).get(number) != version:
        raise SourceChanged(_NOT_HELD)
    if kind == "sqlite" and version is None:
        _warn_unless_wal(connection, source)
    data = connection.execute("SELECT data_path FROM ducklake_settings('source')").fetchone()
    if data and not engine.is_remote(data[0]) and not Path(data[0]).is_absolute():
        raise SourceUnavailable(
            "The DuckLake's data path is relative, and Headrace reads from elsewhere: give the "
            "source the option data_path, from the root on."
        )
    if data and engine.is_remote(data[0]) and not remote:
        engine.allow_s3(connection)
    engine.lock_down(connection, [folder_path(data[0])] if data else [], files)
    return LakeTables(connection, lambda: None, source, number)


@dataclass(frozen=True)
class LakeTables(AttachedTables):
    """Tables of a lake at the snapshot ``number``; None: at its latest."""

    source: Source
    number: int | None
    read: set[str | None] = field(default_factory=set)
    """The tables that were read, for ``verify``; None: any, by a query of the operator's."""

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        return tuple(
            one.refused(_AS_DOUBLE) if one.engine_type in ("HUGEINT", "UHUGEINT") else one
            for one in super().columns(table)
        )

    def query_columns(self, query: str) -> tuple[SourceColumn, ...]:
        self.read.add(None)
        return super().query_columns(query)

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        self.read.add(table)
        return super().scans(table, row_range)

    def verify(self) -> None:
        """Deletion vectors (an experimental option of DuckLake's) forget which snapshot deleted
        what: with one that came later, rows that had been deleted before are there again.
        """
        if self.number is None:
            return
        catalog = lake_catalog(self.source)
        forgot = {
            table
            for (table,) in self.connection.execute(
                "SELECT DISTINCT s.schema_name || '.' || t.table_name "  # noqa: S608
                f"FROM {catalog}.ducklake_delete_file AS f JOIN {catalog}.ducklake_table AS t "
                f"USING (table_id) JOIN {catalog}.ducklake_schema AS s USING (schema_id) "
                f"WHERE f.format <> 'parquet' AND f.begin_snapshot > {self.number}"
            ).fetchall()
        }
        if forgot and (None in self.read or not forgot.isdisjoint(self.read)):
            raise SourceChanged(
                "Rows of a table with deletion vectors were deleted while it was read, and the "
                "lake has forgotten which were there before."
            )


_AS_DOUBLE = "DuckLake keeps it as DOUBLE in its files; have it as DECIMAL(38,0)"
_NOT_HELD = "The source no longer holds the version asked for."


def lake_catalog(source: Source) -> str:
    """Where an attached DuckLake's own tables are, as SQL."""
    catalog = "__ducklake_metadata_source"
    if schema := source.options.get("metadata_schema"):
        catalog = f"{catalog}.{identifier(schema)}"
    return catalog


def lake_versions(
    connection: Connection, source: Source, number: int | None = None
) -> dict[int, str]:
    """The versions of an attached DuckLake by the numbers of their snapshots: all, or of one.

    A version is the snapshot's number and when it was committed, as a lake that was made anew or
    restored from a copy comes to the same numbers with other rows.
    """
    chosen = "" if number is None else f" WHERE snapshot_id = {int(number)}"
    rows = connection.execute(
        "SELECT snapshot_id, strftime(make_timestamp(epoch_us(CAST(snapshot_time AS TIMESTAMPTZ))),"  # noqa: S608
        f" '%Y-%m-%dT%H:%M:%S.%fZ') FROM {lake_catalog(source)}.ducklake_snapshot{chosen}"
    ).fetchall()
    return {int(found): f"{found}@{moment}" for found, moment in rows}


def lake_snapshot(version: str) -> int | None:
    """The number of the snapshot that a version of a DuckLake names; None if it is no such one."""
    number, at, _ = version.partition("@")
    canonical = re.fullmatch(r"0|[1-9][0-9]{0,18}", number)
    return int(number) if at and canonical else None


def _attach_lake(connection: Connection, target: str, options: list[str]) -> None:
    place = literal(f"ducklake:{target}")
    connection.execute(f"ATTACH {place} AS source ({', '.join(options)})")


def _attach_over_duckdb(
    connection: Connection, _source: Source, place: str, options: list[str]
) -> None:
    _attach_lake(connection, place, options)


def _attach_over_sqlite(
    connection: Connection, _source: Source, place: str, options: list[str]
) -> None:
    engine.load_extension(connection, "sqlite_scanner")
    busy_timeout = f"META_BUSY_TIMEOUT {_BUSY_TIMEOUT_MS}"
    _attach_lake(connection, f"sqlite:{place}", [*options, busy_timeout])


def _attach_over_postgresql(
    connection: Connection, source: Source, database: str, options: list[str]
) -> None:
    if re.search(r"[^\w-]", database):
        raise SourceUnavailable(
            f"The source {source.name} has a catalog postgres: with more than a database's name "
            "behind it; host, port and secret are options of their own."
        )
    if database:
        source = replace(source, options={**source.options, "database": database})
    if schema := source.options.get("metadata_schema"):
        options = [*options, f"META_SCHEMA {literal(schema)}"]
    engine.load_extension(connection, "postgres_scanner")

    def attach() -> None:
        rest = engine.keep_secret(connection, connection_parameters(source))
        _attach_lake(connection, f"postgres:{rest}", options)

    try:
        attach()
    except duckdb.Error as error:
        if is_unproven(str(error)):
            raise SourceUnavailable(UNPROVEN) from None
        if "authentication failed" not in str(error):
            raise
        if not secret_was_renewed(source):
            raise SourceUnavailable(
                f"The database of the source {source.name} refuses its user or password."
            ) from None
        attach()


_CATALOGS: Mapping[str, Callable[[Connection, Source, str, list[str]], None]] = {
    "sqlite": _attach_over_sqlite,
    "postgres": _attach_over_postgresql,
    "duckdb": _attach_over_duckdb,
}
"""The kinds of database that a DuckLake has its catalog in: how each is attached."""


def _warn_unless_wal(connection: Connection, source: Source) -> None:
    # With the rollback journal, the transaction that a long read holds open keeps every writer
    # from committing; with a write-ahead log it does not. Asked through the engine's own SQLite:
    # closing the file through another would drop that one's locks on it.
    mode = connection.execute(
        "FROM sqlite_query('__ducklake_metadata_source', 'PRAGMA journal_mode')"
    ).fetchone()
    if mode != ("wal",):
        _log.warning(
            "source %s: its SQLite catalog is not in WAL mode, so a loader cannot commit while "
            "an export reads; switch it once with PRAGMA journal_mode=WAL",
            source.name,
        )


def current_snapshot(reader: OpenSource, source: Source) -> str:
    """The version of the newest snapshot."""
    row = reader.connection.execute("SELECT id FROM ducklake_current_snapshot('source')").fetchone()
    if row is None:
        raise SourceUnavailable("The DuckLake has no snapshot.")
    number = int(row[0])
    return lake_versions(reader.connection, source, number)[number]


_ROWS_CHANGED = "(^|,)(inserted_into_table|deleted_from_table|inlined_insert|inlined_delete):"
"""What a DuckLake calls that in ``ducklake_snapshot_changes``; a snapshot may have done several
things. Others made it for tables and views, or only to rearrange the files."""


def rows_changed_at(connection: Connection, source: Source) -> datetime:
    """When the newest of its snapshots was committed that changed rows.

    Where it holds none, its rows are as they were at the oldest that it holds.
    """
    catalog = lake_catalog(source)
    row = connection.execute(
        "SELECT coalesce(max(epoch_us(moment)) FILTER (WHERE changed), min(epoch_us(moment))) "  # noqa: S608
        "FROM (SELECT CAST(s.snapshot_time AS TIMESTAMPTZ) AS moment, "
        "coalesce(regexp_matches(c.changes_made, ?), false) AS changed "
        f"FROM {catalog}.ducklake_snapshot s "
        f"LEFT JOIN {catalog}.ducklake_snapshot_changes c USING (snapshot_id))",
        [_ROWS_CHANGED],
    ).fetchone()
    if row is None or row[0] is None:
        raise SourceUnavailable("The DuckLake has no snapshot.")
    return datetime.fromtimestamp(row[0] / 1_000_000, UTC)
