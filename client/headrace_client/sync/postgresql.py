"""A schema of a PostgreSQL database as a destination: all tables moved in one transaction.

    SCHEMA.employees       a table of the configuration, with its primary key
    SCHEMA.headrace_sync   one row: the version that all tables stand at, and the state

Documents come as CSV, which PostgreSQL's own COPY reads exactly; what it would read otherwise than
docs/types.md writes it (base64, years beyond 9999 and before 1) arrives as text and is converted by
the server.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from headrace_client.errors import DestinationError, DestinationInUse, VerificationError
from headrace_client.model import Compression, Content, FieldMetadata, FileFormat, TableMetadata
from headrace_client.sync.destination import (
    CHANGE,
    DELETED,
    INSERTED,
    UPDATED,
    Applied,
    Document,
)
from headrace_client.sync.state import STATE_TABLE, SyncState, demand_unchanged, gone
from headrace_client.workspace import local_errors

_Connection = psycopg.Connection[tuple[Any, ...]]
_BLOCK = 256 * 1024
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts off what is longer
_INCOMING = sql.Identifier("pg_temp", "headrace_incoming")
_TYPES = {
    "boolean": "boolean",
    "integer": "integer",
    "bigint": "bigint",
    "decimal": "numeric",
    "double": "double precision",
    "string": "text",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "interval": "interval",
    "uuid": "uuid",
    "binary": "bytea",
    "json": "json",
}
_FAR_DATES = ("date", "timestamp", "timestamptz")


@dataclass(frozen=True)
class PostgresqlSchema:
    """The schema `schema` of the database that `conninfo` leads to; it is made if it is missing.

    `home` is where documents on their way are kept, in a folder for each destination.
    """

    conninfo: str
    schema: str
    home: Path
    file_format = FileFormat.CSV
    compression = Compression.GZIP

    @property
    def name(self) -> str:
        """Host, database and schema, as far as `conninfo` names them."""
        try:
            parts = psycopg.conninfo.conninfo_to_dict(self.conninfo)
        except psycopg.ProgrammingError:
            return "postgresql"
        told = [f"{name} {parts[name]}" for name in ("host", "service", "dbname") if name in parts]
        return f"postgresql {', '.join([*told, f'schema {self.schema}'])}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold an advisory lock in a session of its own."""
        with self._connected() as connection:
            connection.autocommit = True
            row = connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended('headrace sync ' || %s, 0))",
                [self.schema],
            ).fetchone()
            if row != (True,):
                raise DestinationInUse(f"Another headrace sync works on {self.name}.")
            yield

    def state(self) -> SyncState | None:
        """The state in the schema; None where there is none."""
        with self._connected() as connection:
            return self._state(connection)

    def demand_room(self, tables: Sequence[TableMetadata], state: SyncState | None) -> None:
        """DestinationError where the schema has such a relation that is not the sync's."""
        ours = state.schemas if state is not None else {}
        names = [table.name for table in tables]
        columns = [field.name for table in tables for field in table.fields]
        for name in (*names, *columns):
            if len(name.encode()) > _LONGEST_NAME:
                raise DestinationError(f"PostgreSQL has no room for the name {name!r}.")
        with self._connected() as connection:
            found = connection.execute(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = %s AND c.relname = ANY(%s)",
                [self.schema, names],
            ).fetchall()
        for (name,) in found:
            if name not in ours:
                raise DestinationError(
                    f"The schema {self.schema} has a relation {name} that no sync made. Choose "
                    "another schema with --schema."
                )
        if STATE_TABLE in names:
            raise DestinationError(f"The name {STATE_TABLE} is taken by the state of the sync.")

    def record(self, state: SyncState) -> None:
        """Write the state into the schema."""
        with self._connected() as connection:
            self._write(connection, state)

    def workspace(self, state: SyncState) -> Path:
        """On this machine, as the database may be on another."""
        return self.home / state.destination_id

    def apply(
        self, before: SyncState, after: SyncState, documents: Sequence[Document]
    ) -> tuple[Applied, ...]:
        """All in one transaction."""
        with self._connected() as connection:
            demand_unchanged(self._state(connection, lock=True), before)
            applied = [self._apply(connection, before, document) for document in documents]
            for name in gone(before, after):
                rows = _number(connection, self._table(name))
                connection.execute(sql.SQL("DROP TABLE {}").format(self._table(name)))
                applied.append(Applied(name, None, 0, 0, rows, 0))
            self._write(connection, after)
        return tuple(applied)

    # -- the state ---------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[_Connection]:
        """A connection that commits at the end, and rolls back after an error."""
        try:
            with psycopg.connect(self.conninfo, client_encoding="UTF8") as connection:
                yield connection
        except psycopg.errors.DependentObjectsStillExist as error:
            raise DestinationError(
                f"{self.name}: {_said(error)}. A table's columns have changed or it is no longer "
                "granted, so it must be dropped; drop what depends on it first. Nothing was "
                "applied."
            ) from error
        except psycopg.Error as error:
            raise DestinationError(f"{self.name}: {_said(error)}. Nothing was applied.") from error

    def _state(self, connection: _Connection, *, lock: bool = False) -> SyncState | None:
        table = self._table(STATE_TABLE)
        known = connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)])
        if known.fetchone() == (None,):
            return None
        query = sql.SQL("SELECT state FROM {}").format(table)
        if lock:
            query += sql.SQL(" FOR UPDATE")
        row = connection.execute(query).fetchone()
        return None if row is None else SyncState.from_json(row[0])

    def _write(self, connection: _Connection, state: SyncState) -> None:
        known = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [self.schema])
        if known.fetchone() is None:  # IF NOT EXISTS would want the right to make one all the same
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
        table = self._table(STATE_TABLE)
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (single boolean PRIMARY KEY DEFAULT true "
                "CHECK (single), configuration text NOT NULL, sync_version text, "
                "written_at timestamptz NOT NULL, state json NOT NULL)"
            ).format(table)
        )
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (configuration, sync_version, written_at, state) "
                "VALUES (%s, %s, now(), %s) ON CONFLICT (single) DO UPDATE SET "
                "configuration = excluded.configuration, sync_version = excluded.sync_version, "
                "written_at = excluded.written_at, state = excluded.state"
            ).format(table),
            [state.configuration_id, state.version, json.dumps(state.to_json())],
        )

    # -- tables ------------------------------------------------------------------------------

    def _table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.schema, name)

    def _apply(self, connection: _Connection, before: SyncState, document: Document) -> Applied:
        name, table = document.table.name, self._table(document.table.name)
        self._load(connection, document)
        fields = document.table.fields
        names = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields)
        values = sql.SQL(", ").join(_value(field) for field in fields)
        if document.content is Content.FULL:
            self._make(connection, before, document.table)
            connection.execute(
                sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS incoming").format(
                    table, names, values, _INCOMING
                )
            )
            applied = Applied(name, Content.FULL, document.rows, 0, 0, document.rows)
        else:
            counts = self._counts(connection, document)
            self._change(connection, document)
            inserted, updated, deleted = (
                counts.get(kind, 0) for kind in (INSERTED, UPDATED, DELETED)
            )
            rows = _number(connection, table)
            applied = Applied(name, Content.CHANGES, inserted, updated, deleted, rows)
        connection.execute(sql.SQL("DROP TABLE {}").format(_INCOMING))
        return applied

    def _make(self, connection: _Connection, before: SyncState, table: TableMetadata) -> None:
        """An empty table of these columns; a table that has them already keeps its identity, and
        with it the grants, views and indexes of those who use it."""
        target = self._table(table.name)
        if before.schemas.get(table.name, "") == table.schema_hash:
            connection.execute(sql.SQL("DELETE FROM {}").format(target))
            return
        if table.name in before.schemas:
            connection.execute(sql.SQL("DROP TABLE {}").format(target))
        parts: list[sql.Composable] = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(field.name),
                sql.SQL(_type(field)),
                sql.SQL("" if field.nullable else " NOT NULL"),
            )
            for field in table.fields
        ]
        if table.primary_key:
            key = sql.SQL(", ").join(map(sql.Identifier, table.primary_key))
            parts.append(sql.SQL("PRIMARY KEY ({})").format(key))
        columns = sql.SQL(", ").join(parts)
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(target, columns))

    def _change(self, connection: _Connection, document: Document) -> None:
        """Delete and upsert what the loaded changes say."""
        table, key = self._table(document.table.name), document.table.primary_key
        by_name = {field.name: field for field in document.table.fields}
        same = sql.SQL(" AND ").join(
            sql.SQL("held.{} = {}").format(sql.Identifier(name), _value(by_name[name]))
            for name in key
        )
        connection.execute(
            sql.SQL(
                "DELETE FROM {} AS held USING {} AS incoming WHERE incoming.{} = {} AND {}"
            ).format(table, _INCOMING, sql.Identifier(CHANGE), DELETED, same)
        )
        rest = [name for name in by_name if name not in key]
        then: sql.Composable = sql.SQL("NOTHING")
        if rest:
            then = sql.SQL("UPDATE SET ") + sql.SQL(", ").join(
                sql.SQL("{} = excluded.{}").format(sql.Identifier(name), sql.Identifier(name))
                for name in rest
            )
        connection.execute(
            sql.SQL(
                "INSERT INTO {} ({}) SELECT {} FROM {} AS incoming WHERE incoming.{} <> {} "
                "ON CONFLICT ({}) DO {}"
            ).format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, by_name)),
                sql.SQL(", ").join(map(_value, by_name.values())),
                _INCOMING,
                sql.Identifier(CHANGE),
                DELETED,
                sql.SQL(", ").join(map(sql.Identifier, key)),
                then,
            )
        )

    # -- documents ---------------------------------------------------------------------------

    def _load(self, connection: _Connection, document: Document) -> None:
        """Copy the document into a temporary table, its values checked by type or as texts."""
        by_name = {field.name: field for field in document.table.fields}
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(
                sql.Identifier(name),
                sql.SQL(_staged_type(by_name[name]) if name in by_name else "text"),
            )
            for name in document.columns
        )
        connection.execute(sql.SQL("CREATE TEMP TABLE {} ({})").format(_plain(), columns))
        into = sql.SQL("COPY {} FROM STDIN (FORMAT csv, HEADER true)").format(_INCOMING)
        with local_errors(document.path):
            try:
                document.demand_columns(_header(document.path))
                with (
                    gzip.open(document.path, "rb") as stream,
                    connection.cursor() as cursor,
                ):
                    with cursor.copy(into) as copy:
                        while block := stream.read(_BLOCK):
                            copy.write(block)
                    document.demand_rows(cursor.rowcount)
            except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, csv.Error) as error:
                raise VerificationError(
                    f"{document.path.name} cannot be read as CSV in gzip: {error}."
                ) from error
        connection.execute(sql.SQL("ANALYZE {}").format(_INCOMING))

    def _counts(self, connection: _Connection, document: Document) -> dict[str, int]:
        """How many of the loaded changes are of which kind."""
        kinds = connection.execute(
            sql.SQL("SELECT {0}, count(*) FROM {1} GROUP BY {0}").format(
                sql.Identifier(CHANGE), _INCOMING
            )
        ).fetchall()
        counts = {str(kind): int(count) for kind, count in kinds}
        key = sql.SQL(", ").join(map(sql.Identifier, document.table.primary_key))
        keys = 0
        if document.table.primary_key:
            distinct = sql.SQL("(SELECT DISTINCT {} FROM {}) AS keys").format(key, _INCOMING)
            keys = _number(connection, distinct)
        document.demand_changes(counts, keys)
        return counts


def _plain() -> sql.Identifier:
    """The temporary table's name where it is made: a schema is not asked for there."""
    return sql.Identifier("headrace_incoming")


def _number(connection: _Connection, relation: sql.Composable) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(relation)
    ((count,),) = connection.execute(query).fetchall()
    return int(count)


def _type(field: FieldMetadata) -> str:
    """The type of PostgreSQL that holds every value of the field exactly.

    Raises DestinationError for a type that this version does not know.
    """
    held = _TYPES.get(field.type)
    if held is None:
        raise DestinationError(f"PostgreSQL has no type for {field.name}, a {field.type}.")
    if field.type == "decimal" and field.precision is not None:
        return f"numeric({field.precision}, {field.scale or 0})"
    return held


def _staged_type(field: FieldMetadata) -> str:
    """The type that COPY reads the field's cells as."""
    return "text" if field.type == "binary" or field.type in _FAR_DATES else _type(field)


def _value(field: FieldMetadata) -> sql.Composable:
    """The field's value, of a row that COPY has read."""
    cell = sql.SQL("incoming.{}").format(sql.Identifier(field.name))
    if field.type == "binary":
        return sql.SQL("decode({}, 'base64')").format(cell)
    if field.type in _FAR_DATES:
        # ISO 8601 writes 44 BC as -0043, and a sign before years of five digits and more
        return sql.SQL(
            "CASE WHEN {cell} ~ '^[+]' THEN substr({cell}, 2)::{type} "
            "WHEN {cell} ~ '^(-[0-9]|0000-)' THEN (to_char(1 + substring({cell} from "
            "'^-?([0-9]+)-')::bigint, 'FM999990000') || substring({cell} from '^-?[0-9]+(-.*)$') "
            "|| ' BC')::{type} ELSE {cell}::{type} END"
        ).format(cell=cell, type=sql.SQL(_type(field)))
    return cell


def _header(path: Path) -> list[str]:
    """The columns that the document names in its first record."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream, strict=True), [])


def _said(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
