"""A DuckDB file as a destination: tables in its schema `main`, all moved in one transaction.

    FILE                       the tables, and the table `headrace_sync` with the state
    FILE.sync/lock             held while a sync works
    FILE.sync/download/        documents on their way

The file is open only while its state is read or written and while documents are applied, so others
can read it in between.
"""

# ruff: noqa: S608  names are quoted as identifiers, and values as literals or bound

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from headrace_client.errors import DestinationError, DestinationInUse
from headrace_client.model import Compression, Content, FileFormat, TableMetadata
from headrace_client.sync import engine
from headrace_client.sync.destination import CHANGE, DELETED, Applied, Document
from headrace_client.sync.state import STATE_TABLE, SyncState, demand_unchanged, gone
from headrace_client.workspace import local_errors, locked


@dataclass(frozen=True)
class DuckdbFile:
    """The file at `path`, which is made where there is none."""

    path: Path
    file_format = FileFormat.PARQUET
    compression = Compression.ZSTD

    @property
    def name(self) -> str:
        """The file."""
        return f"duckdb:{self.path}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock file beside it."""
        refusal = DestinationInUse(f"Another headrace sync works on {self.path}.")
        with locked(self._beside / "lock", refusal):
            yield

    def state(self) -> SyncState | None:
        """The state in the file; None where there is no file, or no state in it."""
        if not self.path.exists():
            return None
        with self._opened() as connection:
            return _state(connection)

    def demand_room(self, tables: Sequence[TableMetadata], state: SyncState | None) -> None:
        """DestinationError where the file has such a table that is not the sync's."""
        ours = {name.casefold() for name in (state.schemas if state is not None else ())}
        wanted = [table.name.casefold() for table in tables]
        if len(set(wanted)) < len(wanted) or STATE_TABLE in wanted:
            raise DestinationError(
                f"DuckDB cannot hold these tables side by side, as it knows no upper and lower "
                f"case and {STATE_TABLE} is taken: {', '.join(table.name for table in tables)}."
            )
        if not self.path.exists():
            return
        with self._opened() as connection:
            found = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
            ).fetchall()
        for (name,) in found:
            if name.casefold() in wanted and name.casefold() not in ours:
                raise DestinationError(
                    f"{self.path} has a table {name} that no sync made. Choose another file."
                )

    def record(self, state: SyncState) -> None:
        """Write the state into the file."""
        with self._opened() as connection:
            connection.begin()
            _write(connection, state)
            connection.commit()

    def workspace(self, state: SyncState) -> Path:
        """Beside the file."""
        return self._beside / "download"

    def apply(
        self, before: SyncState, after: SyncState, documents: Sequence[Document]
    ) -> tuple[Applied, ...]:
        """All in one transaction."""
        with self._opened() as connection:
            connection.begin()
            demand_unchanged(_state(connection), before)
            # First, as DuckDB takes one that is called otherwise by its case alone for the same.
            removed = [_remove(connection, name) for name in gone(before, after)]
            applied = [_apply(connection, document) for document in documents]
            _write(connection, after)
            connection.commit()
        return (*applied, *removed)

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.sync")

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with local_errors(self._beside):
            self._beside.mkdir(parents=True, exist_ok=True)
        with engine.opened(str(self.path), self._beside / "spill") as connection:
            yield connection


def _table(name: str) -> str:
    return f"main.{engine.quoted(name)}"


def _remove(connection: duckdb.DuckDBPyConnection, name: str) -> Applied:
    rows = engine.number(connection, _table(name))
    connection.execute(f"DROP TABLE {_table(name)}")
    return Applied(name, None, 0, 0, rows, 0)


def _apply(connection: duckdb.DuckDBPyConnection, document: Document) -> Applied:
    name = document.table.name
    table, fields = _table(name), engine.columns([field.name for field in document.table.fields])
    if document.content is Content.FULL:
        engine.demand_full(connection, document)
        connection.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT {fields} "
            f"FROM {engine.parquet(document.path)}"
        )
        return Applied(name, Content.FULL, document.rows, 0, 0, document.rows)
    incoming, inserted, updated, deleted = engine.changes(connection, document)
    connection.execute(
        f"DELETE FROM {table} AS held USING {incoming} AS incoming "
        f"WHERE {engine.same_key(document, 'held', 'incoming')}"
    )
    connection.execute(
        f"INSERT INTO {table} ({fields}) SELECT {fields} FROM {incoming} "
        f"WHERE {CHANGE} <> {engine.text(DELETED)}"
    )
    rows = engine.number(connection, table)
    return Applied(name, Content.CHANGES, inserted, updated, deleted, rows)


def _state(connection: duckdb.DuckDBPyConnection) -> SyncState | None:
    known = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'main' AND table_name = ?",
        [STATE_TABLE],
    ).fetchone()
    if known is None:
        return None
    row = connection.execute(f"SELECT state FROM main.{STATE_TABLE}").fetchone()
    return None if row is None else SyncState.from_json(json.loads(row[0]))


def _write(connection: duckdb.DuckDBPyConnection, state: SyncState) -> None:
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS main.{STATE_TABLE} (configuration VARCHAR NOT NULL, "
        "sync_version VARCHAR, written_at TIMESTAMPTZ NOT NULL, state VARCHAR NOT NULL)"
    )
    connection.execute(f"DELETE FROM main.{STATE_TABLE}")
    connection.execute(
        f"INSERT INTO main.{STATE_TABLE} VALUES (?, ?, now(), ?)",
        [state.configuration_id, state.version, json.dumps(state.to_json())],
    )
