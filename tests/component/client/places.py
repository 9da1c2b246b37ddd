"""The three kinds of destination, as tests see them: made anew for each run, read from outside."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg

from headrace_client.sync.destination import Destination
from headrace_client.sync.duckdb_file import DuckdbFile
from headrace_client.sync.folder import ParquetFolder
from headrace_client.sync.postgresql import PostgresqlSchema
from headrace_client.sync.state import SyncState
from tests.component.client.changing import ChangingSource, Shape, normal, texts

Tables = dict[str, Counter[Any]]


class Place(Protocol):
    """A destination, and what lies in it."""

    def destination(self) -> Destination: ...

    def state(self) -> SyncState | None: ...

    def names(self) -> set[str]:
        """The tables that a reader finds."""
        ...

    def read(self, shape: Shape) -> Counter[Any]: ...


def contents(place: Place, source: ChangingSource) -> Tables:
    """The rows of every table, as multisets, in the shape that the state says."""
    state = place.state()
    schemas = state.schemas if state is not None else {}
    return {name: place.read(source.known[told or ""]) for name, told in schemas.items()}


@dataclass(frozen=True)
class Folder:
    directory: Path

    def destination(self) -> Destination:
        return ParquetFolder(self.directory)

    def state(self) -> SyncState | None:
        path = self.directory / "current" / "sync.json"
        return SyncState.from_json(json.loads(path.read_text())) if path.exists() else None

    def names(self) -> set[str]:
        return {path.stem for path in self.directory.glob("*.parquet") if path.exists()}

    def read(self, shape: Shape) -> Counter[Any]:
        path = self.directory / "current" / f"{shape.name}.parquet"
        with duckdb.connect() as connection:
            rows = connection.execute(
                f"SELECT {texts(shape, 'duckdb')} FROM read_parquet(?)", [str(path)]
            ).fetchall()
        return Counter(normal(shape, row) for row in rows)


@dataclass(frozen=True)
class File:
    path: Path

    def destination(self) -> Destination:
        return DuckdbFile(self.path)

    def state(self) -> SyncState | None:
        rows = self._rows("SELECT state FROM headrace_sync") if "headrace_sync" in self._all else []
        return SyncState.from_json(json.loads(rows[0][0])) if rows else None

    def names(self) -> set[str]:
        return self._all - {"headrace_sync"}

    def read(self, shape: Shape) -> Counter[Any]:
        rows = self._rows(f'SELECT {texts(shape, "duckdb")} FROM "{shape.name}"')
        return Counter(normal(shape, row) for row in rows)

    @property
    def _all(self) -> set[str]:
        rows = self._rows("SELECT table_name FROM information_schema.tables")
        return {name for (name,) in rows}

    def _rows(self, query: str) -> list[Any]:
        if not self.path.exists():
            return []
        with duckdb.connect(self.path) as connection:
            return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Schema:
    conninfo: str
    schema: str
    home: Path

    def destination(self) -> Destination:
        return PostgresqlSchema(self.conninfo, self.schema, self.home)

    def state(self) -> SyncState | None:
        if "headrace_sync" not in self._all:
            return None
        rows = self._rows(f'SELECT state FROM "{self.schema}".headrace_sync')
        return SyncState.from_json(rows[0][0]) if rows else None

    def names(self) -> set[str]:
        return self._all - {"headrace_sync"}

    def read(self, shape: Shape) -> Counter[Any]:
        query = f'SELECT {texts(shape, "postgresql")} FROM "{self.schema}"."{shape.name}"'
        return Counter(normal(shape, row) for row in self._rows(query))

    @property
    def _all(self) -> set[str]:
        query = f"SELECT tablename FROM pg_tables WHERE schemaname = '{self.schema}'"
        return {name for (name,) in self._rows(query)}

    def _rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.conninfo) as connection:
            return connection.execute(query.encode()).fetchall()
