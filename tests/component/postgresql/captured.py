"""A database with a change log, sessions that write in it, and a copy kept by increments."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from headrace.adapters.postgresql.capturing import installation, run, uninstallation
from headrace.adapters.postgresql.change_log import CapturedTable, wanted
from headrace.adapters.postgresql.changes import PostgresqlChanges
from headrace.adapters.postgresql.connection import connection_parameters
from headrace.adapters.postgresql.session import connect
from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ColumnType, Configuration, RowFilter, Source, Table
from tests.component.postgresql.server import Server
from tests.component.warehouse.places import ONLY, a_table_of, rows_of

CHANGES = PostgresqlChanges()
SOURCE = PostgresqlWarehouse()
READER = "log_reader"
READABLE = f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {READER}"

Row = Mapping[str, Any]
Session = psycopg.Connection[tuple[Any, ...]]


def a_table(
    source: Source, name: str, *key: str, tenant: str | None = None, columns: Sequence[str] = ()
) -> Table:
    """A configured table; of ``tenant`` only, by its column ``tenant``."""
    filters = (RowFilter("tenant", (tenant,), ColumnType.STRING),) if tenant else ()
    table = a_table_of(source, name, *filters, columns=tuple(columns))
    return replace(table, primary_key=key)


def configured(*tables: Table) -> tuple[CapturedTable, ...]:
    """What is to be captured, were these what a configuration has."""
    configuration = Configuration("all", "t", "c", True, "books", tables)
    captured, refused = wanted([configuration], "books")
    assert not refused
    return captured


def install(source: Source, *tables: Table, retention_days: int = 14) -> int:
    """Installs the capture of exactly these tables, as the owner; how many steps it took."""
    with connect(source) as connection:
        plan = installation(
            connection, configured(*tables), reader=READER, retention_days=retention_days
        )
        assert not plan.refused, plan.refused
        run(connection, plan)
    return len(plan.steps)


def uninstall(source: Source) -> None:
    """Takes the change log away, if there is one."""
    with connect(source) as connection:
        run(connection, uninstallation(connection))


@dataclass(frozen=True)
class Database:
    """A database of a server; ``owner`` and ``reader`` are it as a source, by role."""

    server: Server
    name: str

    @property
    def owner(self) -> Source:
        return self.server.source(self.name)

    @property
    def reader(self) -> Source:
        return self.server.source(self.name, user=READER)

    def run(self, statements: str) -> str:
        """As psql, in a session of its own."""
        return self.server.run(statements, self.name)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that writes; its transactions are begun and ended by its statements."""
        parameters = connection_parameters(self.owner) | {"application_name": "a writer"}
        with psycopg.connect(autocommit=True, **parameters) as connection:  # type: ignore[arg-type]
            yield connection


def a_database(server: Server, statements: str) -> Database:
    """A new database after these statements; the reader may read all its tables."""
    server.run(
        f"DO $$ BEGIN CREATE ROLE {READER} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    database = Database(server, server.new_database())
    database.run(f"{READABLE}; {statements}")
    return database


def exported(source: Source, table: Table, snapshot: str | None, version: str) -> list[Row]:
    """The rows of the table as a full export has them."""
    with SOURCE.stream(
        source, version, table, None, FileFormat.CSV, Compression.NONE, ONLY, snapshot
    ) as stream:
        return list(rows_of(b"".join(stream), FileFormat.CSV))


def changes(
    source: Source, since: str, version: str, table: Table, snapshot: str | None = None
) -> list[Row]:
    """The changes as their CSV has them."""
    with CHANGES.stream_changes(
        source, since, version, table, FileFormat.CSV, Compression.NONE, snapshot
    ) as stream:
        rows = list(rows_of(b"".join(stream), FileFormat.CSV))
        assert stream.rows == stream.rows_so_far == len(rows)
    return rows


def told(source: Source, since: str, table: Table) -> list[tuple[str, ...]]:
    """What happened to which keys since a version, in order."""
    rows = changes(source, since, SOURCE.current_version(source), table)
    return sorted((row["_change"], *(row[name] for name in table.primary_key)) for row in rows)


def bag(rows: Sequence[Row]) -> Counter[tuple[tuple[str, Any], ...]]:
    """The rows as a multiset."""
    return Counter(tuple(sorted(row.items())) for row in rows)


@dataclass
class Copy:
    """What a client keeps of a table: a full export, and the increments since, one by one.

    It trusts the changes' names: it fails if one inserts what is there, or updates or deletes
    what is not. ``resyncs``: full exports that it had to begin again from.
    """

    source: Source
    table: Table
    rows: dict[tuple[str, ...], Row] = field(default_factory=dict)
    version: str = ""
    resyncs: int = 0
    seen: int = 0

    def begin(self) -> None:
        """From a full export."""
        with SOURCE.hold(self.source) as held:
            self.take(exported(self.source, self.table, held.name, held.version), held.version)

    def take(self, rows: Sequence[Row], version: str) -> None:
        """These rows, and no others."""
        self.rows = {self._key(row): row for row in rows}
        assert len(self.rows) == len(rows)
        self.version = version

    def follow(self) -> None:
        """To the present version, which must then be exactly what the source shows at it."""
        with SOURCE.hold(self.source) as held:
            there = exported(self.source, self.table, held.name, held.version)
            if CHANGES.resync_reason(
                self.source, self.version, held.version, self.table, held.name
            ):
                self.resyncs += 1
                self.take(there, held.version)
                return
            found = changes(self.source, self.version, held.version, self.table, held.name)
        self.seen += len(found)
        for change in found:
            key = self._key(change)
            row = {name: value for name, value in change.items() if name != "_change"}
            match change["_change"]:
                case "inserted":
                    assert key not in self.rows, key
                    self.rows[key] = row
                case "updated":
                    assert key in self.rows, key
                    self.rows[key] = row
                case "deleted":
                    assert {name for name, value in row.items() if value is not None} <= {
                        *self.table.primary_key
                    }
                    del self.rows[key]
        self.version = held.version
        assert bag(list(self.rows.values())) == bag(there)

    def _key(self, row: Row) -> tuple[str, ...]:
        return tuple(row[name] for name in self.table.primary_key)


class Background:
    """Runs a statement in a session that has to wait for another; ``wait()`` ends with it."""

    def __init__(self, session: Session, statement: str) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(session, statement), daemon=True)
        self._thread.start()

    def _run(self, session: Session, statement: str) -> None:
        try:
            session.execute(statement.encode())
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
