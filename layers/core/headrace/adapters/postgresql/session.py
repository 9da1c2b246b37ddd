"""A session with the server: read-only, in one snapshot, with settings that give exact texts."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

from headrace.adapters.postgresql.connection import (
    UNPROVEN,
    connection_parameters,
    is_unproven,
    secret_was_renewed,
)
from headrace.adapters.sql_text import literal
from headrace.exports.sources import Source
from headrace.kernel.errors import (
    HeadraceError,
    SnapshotLost,
    SourceChanged,
    SourceUnavailable,
    ValueNotExportable,
)

_log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]

SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    # To compile a query of many expressions costs a second, and the rows of a range less.
    "jit": "off",
    # The rows of a range come in the same order however often it is read: no scan begins where
    # another one is, and none is shared out. One worker is also one process of the server's.
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    # A snapshot that is held is idle for most of its life; its holder bounds that life.
    "idle_in_transaction_session_timeout": "0",
}
"""What texts, and so values, depend on; set in each transaction, as poolers pass nothing on."""

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def settings_sql() -> str:
    """The statement that gives the present transaction ``SETTINGS``."""
    return "; ".join(f"SET LOCAL {name} = {literal(value)}" for name, value in SETTINGS.items())


def snapshot_sql(name: str) -> str:
    """The statement that makes the present transaction see the exported snapshot."""
    return f"SET TRANSACTION SNAPSHOT {literal(name)}"


_TOO_LONG = "The source took longer than its statement_timeout allows."
_LOCKED = "A lock in the source was not freed within lock_timeout."
_OVERTAKEN = (
    "The source's replica ended the read, as the primary removed rows that it saw: let the replica "
    "wait longer (max_standby_streaming_delay), or tell the primary (hot_standby_feedback)."
)
_CONFLICT = "due to conflict with recovery"
CANCELLED = {
    "due to statement timeout": _TOO_LONG,
    "due to lock timeout": _LOCKED,
    _CONFLICT: _OVERTAKEN,
}
"""By the words of a server that speaks English, where its error's code is not passed on."""


def translated(error: psycopg.Error) -> HeadraceError:
    """What the server's error means. Its text may quote values, so it is not passed on."""
    match error:
        case errors.UndefinedTable() | errors.UndefinedColumn() | errors.UndefinedObject():
            return SourceChanged("A table or column is no longer as it was when it was published.")
        case errors.InsufficientPrivilege():
            return SourceUnavailable("The source does not let Headrace read this table.")
        # No other serialization can fail of what only reads one snapshot. A session that is idle,
        # or that does not end its statement, has the code of an administrator's command.
        case errors.SerializationFailure():
            return SourceUnavailable(_OVERTAKEN)
        case _ if _CONFLICT in str(error):
            return SourceUnavailable(_OVERTAKEN)
        case errors.QueryCanceled():
            return SourceUnavailable(_TOO_LONG)
        case errors.LockNotAvailable():
            return SourceUnavailable(_LOCKED)
        case errors.DataError():
            return ValueNotExportable("A value of the source cannot be written as text.")
        case _:
            return SourceUnavailable("The source cannot be read now.")


@contextmanager
def errors_translated() -> Iterator[None]:
    """Errors of the server or of the way to it become ours. Their kinds are logged, no texts."""
    try:
        yield
    except psycopg.Error as error:
        _log.warning("the source ended a query: %s %s", type(error).__name__, error.sqlstate)
        raise translated(error) from None


def connect(source: Source) -> Connection:
    """A connection in autocommit. Raises SourceUnavailable, naming no host and no user."""
    try:
        return _connect(source)
    except psycopg.OperationalError as error:
        if is_unproven(str(error)):
            raise SourceUnavailable(UNPROVEN) from None
        # A password that was rotated a moment ago is in the secret already.
        if not secret_was_renewed(source):
            raise SourceUnavailable(refusal(str(error))) from None
    try:
        return _connect(source)
    except psycopg.OperationalError as error:
        raise SourceUnavailable(refusal(str(error))) from None


_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')
_NO_ROLE = re.compile(
    "password authentication failed|no password supplied|no pg_hba.conf entry|"
    'role "[^"]*" does not exist'
)


def refusal(text: str) -> str:
    """Why there is no connection, by the words of a server that speaks English; names nobody."""
    if _NO_DATABASE.search(text):
        return "The source's server has no such database."
    if _NO_ROLE.search(text):
        return "The source's server refuses the role or its password."
    return "The source does not accept a connection now."


def _connect(source: Source) -> Connection:
    return psycopg.connect(
        autocommit=True,
        prepare_threshold=None,
        **connection_parameters(source),  # type: ignore[arg-type]
    )


@contextmanager
def session(
    source: Source,
    snapshot: str | None = None,
    version: str = "",
    before: Callable[[Connection], None] | None = None,
) -> Iterator[Connection]:
    """A connection in a read-only transaction of one snapshot: ``snapshot``, or one of its own.

    ``version`` is what the named one shows. A server that was restarted gives out names anew, so
    the name alone could be somebody else's. ``before``: what is done outside of the transaction,
    such as to make temporary tables, that can be filled within. What is asked of it within is
    stopped when this is left. Raises SourceUnavailable, SourceChanged, SnapshotLost.
    """
    connection = connect(source)
    try:
        with errors_translated():
            if before is not None:
                before(connection)
            connection.execute(BEGIN)
            if snapshot is not None:
                try:
                    connection.execute(snapshot_sql(snapshot))
                except (psycopg.ProgrammingError, psycopg.DataError):
                    raise SnapshotLost("Nobody holds the snapshot any more.") from None
                if not _is_same(version_of(connection), version):
                    raise SnapshotLost("Another snapshot has the name of the one that was held.")
            connection.execute(settings_sql())
            yield connection
    finally:
        if connection.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE:
            _cancel(connection)
        connection.close()


def _cancel(connection: Connection) -> None:
    """Tells the server to stop: it does not notice by itself that nobody listens any more."""
    try:
        connection.cancel_safe(timeout=5)
    except psycopg.Error as error:
        _log.warning("a query could not be cancelled: %s", type(error).__name__)


def end_session(source: Source, process: int) -> None:
    """Ends another session of ours by the server's process that serves it; again is harmless."""
    try:
        with _connect(source) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [process])
    except psycopg.Error as error:
        _log.warning("a session could not be ended: %s", type(error).__name__)


def version_of(connection: Connection) -> str:
    """The version that the present snapshot shows: the database, and which transactions it sees.

    Two snapshots with the same version show the same rows. The transaction ids of a cluster start
    again after a dump is restored, so they are told apart by the cluster's identifier; and its
    databases share them, so one that takes another's place is told apart by its own.
    """
    row = connection.execute(
        # A replica's snapshot does not list which transactions ran: to the primary it is foreign.
        "SELECT s.system_identifier::text || '.' || d.oid::text "
        "|| CASE WHEN pg_is_in_recovery() THEN '-replica' ELSE '' END, "
        "txid_current_snapshot()::text FROM pg_control_system() s, pg_database d "
        "WHERE d.datname = current_database()"
    ).fetchone()
    if row is None:
        raise SourceUnavailable("The source does not say which version it shows.")
    database, snapshot = row
    return f"{database}:{snapshot}"


_DATABASE = re.compile(r"\.[0-9]+")


def of_one_database(one: str, other: str) -> bool:
    """Are two versions of the same database; as far as both name it, which those do not that were
    given out earlier."""
    databases = one.partition(":")[0], other.partition(":")[0]
    if not all("." in database for database in databases):
        databases = _DATABASE.sub("", databases[0]), _DATABASE.sub("", databases[1])
    return databases[0] == databases[1]


def _is_same(one: str, other: str) -> bool:
    return of_one_database(one, other) and one.partition(":")[2] == other.partition(":")[2]
