"""A table that is written to all the time, in each kind of source that has increments.

Rows move between two tenants, change their keys, come and go; several transactions are open at
once. ``Copy`` is a client's copy of the one tenant's rows, kept up by documents alone.
"""

import json
import random
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import psycopg

from headrace.adapters.postgresql.capturing import installation, run
from headrace.adapters.postgresql.change_log import CapturedTable
from headrace.exports.sources import Column, ColumnType, Configuration, RowFilter, Source, Table
from local.sample.roster import ROLE, Roster
from local.sample.warehouse import attached
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform

type Row = tuple[object, ...]

COLUMNS = ("id", "amount", "note")

_STATEMENTS = (
    "INSERT INTO {t} SELECT {new} + n, '{tenant}', n, 'new', 'x' FROM range_of(5) r(n)",
    "UPDATE {t} SET amount = amount + 1 WHERE id % 7 = {some}",
    "UPDATE {t} SET note = 'é, \"quoted\"' WHERE id % 11 = {some}",
    "UPDATE {t} SET unseen = 'y' WHERE id % 3 = {some}",
    "UPDATE {t} SET tenant_id = '{tenant}' WHERE id % 13 = {some}",
    "UPDATE {t} SET id = id + 1000000 WHERE id % 17 = {some} AND id < 1000000",
    "DELETE FROM {t} WHERE id % 19 = {some}",
)


def table_of(source_name: str) -> Table:
    """The ledger as it is granted: the tenant's rows, without the column ``unseen``."""
    return Table(
        name="ledger",
        source=source_name,
        columns=(
            Column("id", "id", ColumnType.BIGINT, nullable=False),
            Column("amount", "amount", ColumnType.INTEGER, nullable=True),
            Column("note", "note", ColumnType.STRING, nullable=True),
        ),
        primary_key=("id",),
        filters=(RowFilter("tenant_id", (NORTHWIND,), ColumnType.STRING),),
    )


class Ledger(Protocol):
    """The table in one source."""

    @property
    def source(self) -> Source:
        """Where it is, as a catalog says it."""
        ...

    @property
    def table(self) -> Table:
        """As it is granted."""
        ...

    def rows(self) -> set[Row]:
        """The tenant's rows as they are now."""
        ...

    def write(self, chance: random.Random, transactions: int) -> None:
        """Commits so many transactions of a few statements each."""
        ...


def _statement(chance: random.Random, table: str, new: int) -> str:
    return chance.choice(_STATEMENTS).format(
        t=table, new=new, some=chance.randrange(3), tenant=chance.choice((NORTHWIND, HARBOUR))
    )


@dataclass(frozen=True)
class LakeLedger:
    """In a DuckLake of its own."""

    folder: Path

    @classmethod
    def made(cls, platform: Platform) -> "LakeLedger":
        """One that is there, and nobody else's."""
        ledger = cls(platform.home.root / f"ledger-{secrets.token_hex(3)}")
        ledger.make()
        return ledger

    def make(self) -> None:
        """Makes the lake, with a few rows."""
        (self.folder / "data").mkdir(parents=True)
        with attached(self.folder, read_only=False) as connection:
            connection.execute(
                "CREATE TABLE lake.ledger (id BIGINT NOT NULL, tenant_id VARCHAR, amount INTEGER, "
                "note VARCHAR, unseen VARCHAR)"
            )
            connection.execute(
                f"INSERT INTO lake.ledger SELECT n, CASE WHEN n % 2 = 0 THEN '{NORTHWIND}' "
                f"ELSE '{HARBOUR}' END, n, 'old', 'x' FROM range(1, 400) r(n)"
            )

    @property
    def source(self) -> Source:
        """See the protocol."""
        options = {
            "catalog": f"sqlite:{self.folder / 'catalog.sqlite'}",
            "data_path": f"{self.folder / 'data'}/",
        }
        return Source(f"lake-{self.folder.name}", "ducklake", options)

    @property
    def table(self) -> Table:
        """See the protocol."""
        return table_of("main.ledger")

    def rows(self) -> set[Row]:
        """See the protocol."""
        with attached(self.folder) as connection:
            found = connection.execute(
                "SELECT id, amount, note FROM lake.ledger WHERE tenant_id = ?", [NORTHWIND]
            ).fetchall()
        assert len(found) == len(set(found))
        return set(found)

    def write(self, chance: random.Random, transactions: int) -> None:
        """See the protocol."""
        with attached(self.folder, read_only=False) as connection:
            for _ in range(transactions):
                connection.execute("BEGIN")
                for _ in range(chance.randrange(1, 4)):
                    new = chance.randrange(10_000, 900_000) * 10
                    statement = _statement(chance, "lake.ledger", new)
                    connection.execute(statement.replace("range_of(", "range("))
                connection.execute("COMMIT" if chance.random() < 0.8 else "ROLLBACK")


@dataclass(frozen=True)
class DatabaseLedger:
    """In a PostgreSQL database of its own, whose owner connects by ``owner``."""

    owner: str
    reader: Source

    @classmethod
    def made(cls, platform: Platform, clients: Clients) -> "DatabaseLedger":
        """One that is there, and nobody else's."""
        roster, name = Roster(platform.home.roster), f"ledger_{secrets.token_hex(3)}"
        roster.run(f"CREATE DATABASE {name}", "postgres")
        pattern = next(one for one in clients.base.sources if one.name == "roster")
        reader = replace(pattern, name=name, options={**pattern.options, "database": name})
        ledger = cls(f"host={roster.socket_folder} user=postgres dbname={name}", reader)
        ledger.make()
        return ledger

    def make(self) -> None:
        """Makes the table, with a few rows, and has its changes logged."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(
                f"""
                CREATE TABLE ledger (id BIGINT PRIMARY KEY DEFERRABLE, tenant_id TEXT,
                    amount INTEGER, note TEXT, unseen TEXT);
                INSERT INTO ledger SELECT n, CASE WHEN n % 2 = 0
                    THEN '{NORTHWIND}' ELSE '{HARBOUR}' END, n, 'old', 'x'
                    FROM generate_series(1, 399) r(n);
                GRANT SELECT ON ledger TO {ROLE};
                """.encode()
            )
            columns = tuple(column.source for column in self.table.columns)
            captured = CapturedTable(
                self.table.source, ("id",), ("tenant_id",), (*columns, "tenant_id")
            )
            run(connection, installation(connection, (captured,), reader=ROLE, retention_days=14))

    @property
    def source(self) -> Source:
        """See the protocol."""
        return self.reader

    @property
    def table(self) -> Table:
        """See the protocol."""
        return table_of("public.ledger")

    def rows(self) -> set[Row]:
        """See the protocol."""
        with psycopg.connect(self.owner) as connection:
            statement = b"SELECT id, amount, note FROM ledger WHERE tenant_id = %s"
            return set(connection.execute(statement, (NORTHWIND,)).fetchall())

    def truncate(self) -> None:
        """Empties the table at once."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute("TRUNCATE ledger")

    def write(self, chance: random.Random, transactions: int) -> None:
        """See the protocol: two sessions, whose transactions overlap."""
        with psycopg.connect(self.owner) as first, psycopg.connect(self.owner) as second:
            for session in (first, second):
                session.execute("SET lock_timeout = '200ms'")
                session.commit()
            for _ in range(transactions):
                session = chance.choice((first, second))
                new = chance.randrange(10_000, 900_000) * 10
                statement = _statement(chance, "ledger", new)
                statement = statement.replace("range_of(", "generate_series(1, ")
                try:
                    session.execute(statement.encode())
                except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                    session.rollback()
                    continue
                if chance.random() < 0.5:
                    (session.commit if chance.random() < 0.8 else session.rollback)()
            for session in (first, second):
                session.commit()


def grant(clients: Clients, client: Integrator, ledger: Ledger, **changes: object) -> Integrator:
    """Has the client get the ledger and nothing else."""
    clients.sources = [one for one in clients.sources if one.name != ledger.source.name]
    clients.sources.append(ledger.source)

    def granted(one: Configuration) -> Configuration:
        return replace(one, source=ledger.source.name, tables=(ledger.table,), **changes)  # type: ignore[arg-type]

    clients.reconfigure(client, granted)
    return client


@contextmanager
def written_to(ledger: Ledger, seed: int) -> Iterator[None]:
    """The ledger is written to until the block ends; fails if the writer did."""
    stop, troubles = threading.Event(), []
    chance = random.Random(seed)

    def write() -> None:
        try:
            while not stop.is_set():
                ledger.write(chance, 3)
                stop.wait(0.2)
        except Exception as trouble:
            troubles.append(trouble)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join(60)
    assert not writer.is_alive()
    assert troubles == []


@dataclass
class Copy:
    """A client's copy of the ledger, by primary key, at a version."""

    rows: dict[int, Row] = field(default_factory=dict)
    version: str = ""

    def replace(self, document: bytes, version: str) -> None:
        """Takes all rows of a full export (NDJSON)."""
        lines = [json.loads(line) for line in document.splitlines()]
        self.rows = {line["id"]: _row(line) for line in lines}
        assert len(self.rows) == len(lines)
        self.version = version

    def apply(self, document: bytes, version: str) -> dict[str, int]:
        """Applies an increment (NDJSON); how many of each kind. Fails on what makes no sense."""
        counts = {"inserted": 0, "updated": 0, "deleted": 0}
        for line in map(json.loads, document.splitlines()):
            change, key = line.pop("_change"), line["id"]
            counts[change] += 1
            assert (key in self.rows) is (change != "inserted"), (change, key)
            if change == "deleted":
                assert set(line) == {"id"}
                del self.rows[key]
                continue
            assert self.rows.get(key) != _row(line) or change == "updated"
            self.rows[key] = _row(line)
        self.version = version
        return counts

    def holds(self) -> set[Row]:
        """Its rows."""
        return set(self.rows.values())


def _row(line: Json) -> Row:
    return tuple(line[name] for name in COLUMNS)
