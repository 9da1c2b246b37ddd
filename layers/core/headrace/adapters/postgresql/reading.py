"""DuckDB as a reader of a source in PostgreSQL, in a snapshot that somebody may hold."""

import os
import socket
import threading
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from headrace.adapters.postgresql.connection import (
    UNPROVEN,
    connection_parameters,
    is_unproven,
)
from headrace.adapters.postgresql.relations import relation_of
from headrace.adapters.postgresql.session import (
    CANCELLED,
    end_session,
    session,
    settings_sql,
    snapshot_sql,
)
from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.engine_errors import errors_translated
from headrace.exports.sources import Source, Table
from headrace.kernel.errors import SnapshotLost, SourceChanged, SourceUnavailable

_TOLD_WITHIN_S = 3.0
"""How long a server may take to hear of an end: less than a worker keeps back of its time."""


@dataclass
class Reader:
    """The engine with the source attached, and its own connections to the server."""

    source: Source
    connection: engine.Connection
    process: int = 0
    """The server's process that serves the engine's session."""
    ways: list[socket.socket] = field(default_factory=list)

    def stop(self) -> None:
        """Ends what the engine waits for, where no interrupt reaches it: the server's answer.

        The server is told, as it does not notice by itself that nobody listens. Over a way that
        carries nothing any more it is not, and the engine would wait for ever: so it is cut.
        """
        teller = threading.Thread(
            target=end_session, args=(self.source, self.process), name="teller", daemon=True
        )
        teller.start()
        teller.join(_TOLD_WITHIN_S)
        for way in self.ways:
            with suppress(OSError):  # the server has ended it
                way.shutdown(socket.SHUT_RDWR)


@contextmanager
def reading_engine(
    source: Source, snapshot: str | None, limits: Limits, pipes: Sequence[str]
) -> Iterator[Reader]:
    """DuckDB with the source attached, in a transaction of one snapshot, locked down.

    It may write to ``pipes`` only.
    """
    # One session, one thread: rows come in the order in which the server sends them anyhow.
    connection = engine.connect(limits, ordered=False)
    reader = Reader(source, connection)
    try:
        with errors_translated():
            engine.load_extension(connection, "postgres_scanner")
            parameters = connection_parameters(source)
            rest = engine.keep_secret(connection, parameters)
            others = _sockets()
            connection.execute(f"ATTACH {literal(rest)} AS source (TYPE postgres, READ_ONLY)")
            engine.lock_down(connection, [], pipes)
            connection.execute("BEGIN")
            if snapshot is not None:
                try:
                    _tell(connection, snapshot_sql(snapshot))
                except duckdb.Error:
                    raise SnapshotLost("Nobody holds the snapshot any more.") from None
            _tell(connection, settings_sql())
            reader.process = _process_of(connection)
            reader.ways = _ways(_sockets().keys() - others.keys(), int(parameters["port"]))
            yield reader
    finally:
        # To close it rolls back as well, and where the server has ended the session the extension
        # throws from a destructor then, which is the end of this process.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        connection.close()
        for way in reader.ways:
            way.close()


@contextmanager
def told_apart(source: Source, table: Table) -> Iterator[None]:
    """What went wrong between the engine and the server, of which the engine has but a text.

    It takes every refusal of a statement for a change of the table, a lost connection too.
    """
    try:
        yield
    except (SourceChanged, SourceUnavailable) as error:
        text = str(error.__cause__)
        if is_unproven(text):
            raise SourceUnavailable(UNPROVEN) from None
        for words, refusal in CANCELLED.items():
            if words in text:
                raise SourceUnavailable(refusal) from None
        with session(source) as connection:
            relation_of(connection, table)
        if isinstance(error, SourceUnavailable):
            raise
        raise SourceUnavailable("The source cannot be read now.") from error.__cause__


def _process_of(connection: engine.Connection) -> int:
    row = connection.execute("FROM postgres_query('source', 'SELECT pg_backend_pid()')").fetchone()
    return int(row[0]) if row else 0


def _sockets() -> dict[str, int]:
    """This process's sockets: descriptors by what names a socket as long as it is there."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own, gone by now
            if (name := str(entry.readlink())).startswith("socket:"):
                found[name] = int(entry.name)
    return found


def _ways(names: Set[str], port: int) -> list[socket.socket]:
    """Those of the sockets that lead to a server of this port, as descriptors of our own.

    The engine's may be closed at any time, and be somebody else's then.
    """
    now, ways = _sockets(), []
    for name in names & now.keys():
        way = socket.socket(fileno=os.dup(now[name]))
        peer = way.getpeername()
        if peer.endswith(f".{port}") if isinstance(peer, str) else peer[1] == port:
            ways.append(way)
        else:
            way.close()
    return ways


def _tell(connection: engine.Connection, statement: str) -> None:
    connection.execute("CALL postgres_execute('source', ?)", [statement])
