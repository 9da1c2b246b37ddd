"""Installing, removing, maintaining and watching the change log, as ``headrace-admin source`` does.

What is to be run is planned as SQL first, against the database as it is, so that it can be shown
before it is done. A plan is groups of statements, each one transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from headrace.adapters.postgresql.change_log import (
    DEFAULT_RETENTION_DAYS,
    MAINTAIN,
    MAINTAIN_RIGHTS,
    SCHEMA_STATEMENTS,
    TRIGGERS,
    CapturedTable,
    ColumnFacts,
    NotCapturable,
    TableFacts,
    capture_function,
    drop_triggers,
    function_name,
    reader_rights,
    table_statements,
    traces_sql,
)
from headrace.adapters.postgresql.connection import connection_parameters
from headrace.adapters.postgresql.relations import NEVER_NULL
from headrace.adapters.postgresql.session import Connection, errors_translated
from headrace.adapters.sql_text import identifier, split_name
from headrace.exports.sources import Source
from headrace.kernel.errors import Conflict, HeadraceError, InvalidRequest, SourceUnavailable

LOCK_TIMEOUT = "5s"
"""How long an installation waits for the writers of a table, who wait behind it meanwhile."""

MAINTAIN_CALL = "SELECT headrace.maintain()"


@dataclass(frozen=True)
class Step:
    """Statements of one transaction, and what they are for."""

    purpose: str
    statements: tuple[str, ...]

    @property
    def script(self) -> str:
        """As a person would run them."""
        lines = ";\n".join(self.statements)
        timeout = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"
        return f"-- {self.purpose}\nBEGIN;\n{timeout};\n{lines};\nCOMMIT;\n"


@dataclass(frozen=True)
class Plan:
    """What will be done, in order, and which tables nothing can be done for."""

    steps: tuple[Step, ...]
    refused: tuple[NotCapturable, ...] = ()


class CaptureRefused(Conflict):
    """The database is not such that the change log can be put into it."""

    code = "capture_refused"
    title = "The change log cannot be installed"


def run(connection: Connection, plan: Plan) -> None:
    """Does what the plan says. Raises SourceUnavailable: a lock was not had, a right lacks."""
    for step in plan.steps:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                for statement in step.statements:
                    connection.execute(statement.encode())
        except psycopg.Error as error:
            raise _refusal(step, error) from None


def _refusal(step: Step, error: psycopg.Error) -> HeadraceError:
    match error:
        case errors.LockNotAvailable():
            return SourceUnavailable(
                f"{step.purpose}: a lock was not had within {LOCK_TIMEOUT}; somebody writes in a "
                "long transaction. What was done before stays; run it again."
            )
        case errors.InsufficientPrivilege():
            return SourceUnavailable(
                f"{step.purpose}: this takes a role that owns the tables and may create a schema. "
                f"The server says: {error.diag.message_primary}."
            )
        case _:
            return SourceUnavailable(f"{step.purpose}: {error.diag.message_primary or error}")


# --- who does it --------------------------------------------------------------------------------


@contextmanager
def owner_connection(source: Source, dsn: str | None = None) -> Iterator[Connection]:
    """A connection to the source's primary, by its own options, or as what ``dsn`` says.

    ``dsn``: libpq's connection string or URI. What it leaves out is the source's place, and of who
    connects what libpq's environment says (PGUSER, PGPASSWORD, PGPASSFILE). Raises
    SourceUnavailable, and InvalidRequest of a string that is none.
    """
    options = {key: value for key, value in source.options.items() if key != "replica_host"}
    parameters = connection_parameters(replace(source, options=options))
    if dsn is not None:
        try:
            given = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # Without its text, which may hold a password.
            raise InvalidRequest("The connection string is none of libpq's.") from None
        place = {key: value for key, value in parameters.items() if key not in _OF_A_READER}
        parameters = place | {key: str(value) for key, value in given.items()}
    try:
        connection = psycopg.connect(
            autocommit=True,
            prepare_threshold=None,
            **parameters,  # type: ignore[arg-type]
        )
    except psycopg.OperationalError:
        raise SourceUnavailable("The source does not accept a connection now.") from None
    with connection, errors_translated():
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


_OF_A_READER = ("user", "password", "options")


def reader_of(source: Source) -> str | None:
    """The role that reads changes: the source's own user. Raises SourceUnavailable."""
    return connection_parameters(source).get("user")


def retention_days(source: Source) -> int:
    """How many days changes are told for."""
    return int(source.options.get("change_retention_days", DEFAULT_RETENTION_DAYS))


# --- installing ---------------------------------------------------------------------------------


def installation(
    connection: Connection,
    tables: Sequence[CapturedTable],
    *,
    reader: str | None,
    retention_days: int,
) -> Plan:
    """What makes the log capture exactly these tables; nothing where it does already.

    ``reader``: the role that reads changes, if it is not the one that installs. Raises
    CaptureRefused.
    """
    installed = _is_installed(connection)
    steps: list[Step] = []
    if not installed:
        steps.append(Step("Make the schema headrace", SCHEMA_STATEMENTS))
    if not installed or not _maintain_is_current(connection):
        steps.append(Step("Make the maintenance", (MAINTAIN, MAINTAIN_RIGHTS)))
    if not installed:
        steps.append(Step("Make the next days' partitions", (MAINTAIN_CALL,)))
    me = _value(connection, "SELECT current_user")
    if reader is not None and reader != me and not (installed and _may_read(connection, reader)):
        steps.append(Step(f"Let {reader} read it", reader_rights(reader)))
    known = _captured(connection) if installed else {}
    refused: list[NotCapturable] = []
    kept: set[int] = set()
    for table in tables:
        found = table_facts(connection, table)
        if isinstance(found, NotCapturable):
            refused.append(found)
            continue
        kept.add(found.oid)
        if not _is_current(connection, table, found, known.get(found.oid)):
            statements = table_statements(table, found, retention_days)
            steps.append(Step(f"Capture {table.name}", statements))
        elif known[found.oid].retention_days != retention_days:
            change = (
                f"UPDATE headrace.captured SET retention_days = {retention_days} "  # noqa: S608
                f"WHERE relation = {found.oid}"
            )
            steps.append(Step(f"Keep changes of {table.name} {retention_days} days", (change,)))
    steps += [
        Step(f"Capture {one.name} no longer", _release(connection, one))
        for one in known.values()
        if one.relation not in kept
    ]
    return Plan(tuple(steps), tuple(refused))


def uninstallation(connection: Connection) -> Plan:
    """What takes triggers, functions and log away, and leaves the tables as they were."""
    if not _is_installed(connection):
        return Plan(())
    steps = [
        Step(f"Capture {one.name} no longer", _release(connection, one))
        for one in _captured(connection).values()
    ]
    drops = (
        "DROP FUNCTION headrace.maintain()",
        "DROP TABLE headrace.change_log",
        "DROP TABLE headrace.captured",
        "DROP SEQUENCE headrace.change_seq",
        # Not CASCADE: what somebody else put there is theirs.
        "DROP SCHEMA headrace",
    )
    return Plan((*steps, Step("Remove the log", drops)))


def maintain(connection: Connection) -> Mapping[str, Any]:
    """Makes the next days' partitions and drops expired ones; how many. Never waits for long."""
    try:
        found: Mapping[str, Any] = _value(connection, MAINTAIN_CALL)
    except (errors.UndefinedFunction, errors.InvalidSchemaName):
        raise CaptureRefused("The source has no change log; install it first.") from None
    return found


# --- what is there ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Captured:
    """A row of ``headrace.captured``, as far as installing and watching need it."""

    relation: int
    name: str
    key: tuple[str, ...]
    scope: tuple[str, ...]
    columns: tuple[str, ...]
    since: datetime
    structure: str
    retention_days: int


def _captured(connection: Connection) -> dict[int, Captured]:
    rows = connection.execute(
        "SELECT relation::bigint, name, key_columns, scope_columns, columns, since, "
        "structure, retention_days FROM headrace.captured ORDER BY name"
    ).fetchall()
    return {
        row[0]: Captured(row[0], row[1], tuple(row[2]), tuple(row[3]), tuple(row[4]), *row[5:])
        for row in rows
    }


def _value(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None


def _is_installed(connection: Connection) -> bool:
    """Raises CaptureRefused if somebody else has a schema of that name."""
    if _value(connection, "SELECT to_regclass('headrace.captured') IS NOT NULL"):
        return True
    if _value(connection, "SELECT to_regnamespace('headrace') IS NOT NULL"):
        raise CaptureRefused(
            "The database has a schema headrace that is not ours; the change log needs that name."
        )
    return False


def _maintain_is_current(connection: Connection) -> bool:
    body = _value(
        connection,
        "SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('headrace.maintain()')",
    )
    return body is not None and body in MAINTAIN


def _may_read(connection: Connection, reader: str) -> bool:
    return bool(
        _value(
            connection,
            "SELECT has_schema_privilege(%s, 'headrace', 'USAGE') "
            "AND has_table_privilege(%s, 'headrace.captured', 'SELECT') "
            "AND has_table_privilege(%s, 'headrace.change_log', 'SELECT') "
            "AND has_function_privilege(%s, 'headrace.maintain()', 'EXECUTE')",
            *(4 * (reader,)),
        )
    )


def _is_current(
    connection: Connection, table: CapturedTable, facts: TableFacts, known: Captured | None
) -> bool:
    """Does the log capture the table as it is wanted, without a gap since it began."""
    if known is None or known.name != table.name:
        return False
    if (known.key, known.scope, known.columns) != (table.key, table.scope, table.columns):
        return False
    body = _value(
        connection,
        "SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure(%s)",
        f"headrace.{function_name(facts.oid)}()",
    )
    if body is None or body not in capture_function(table, facts):
        return False
    query = traces_sql("%s", "%s::text[]")
    columns = list(table.columns)
    structure = _value(connection, query, facts.oid, columns, columns, columns)
    return bool(structure == known.structure)


def table_facts(connection: Connection, table: CapturedTable) -> TableFacts | NotCapturable:
    """What the server has of the table; or why its changes cannot be logged."""
    schema, name = split_name(table.name)
    row = connection.execute(
        "SELECT c.oid::bigint, c.relkind::text, pg_is_in_recovery(), "
        "EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid "
        "  OR (i.inhparent = c.oid AND c.relkind <> 'p')), "
        "EXISTS (SELECT FROM pg_subscription_rel s JOIN pg_partition_tree(c.oid) p "
        "  ON s.srrelid IN (p.relid, c.oid)) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        [schema, name],
    ).fetchone()
    if row is None:
        return NotCapturable(table.name, "the source has no such table")
    oid, kind, is_replica, inherits, is_subscribed = row
    if kind not in ("r", "p"):
        return NotCapturable(table.name, "it is no table, and only tables have triggers")
    if is_replica:
        return NotCapturable(table.name, "the server is a replica; name the primary")
    if inherits:
        return NotCapturable(
            table.name, "it is a partition itself, or shares its rows by inheritance"
        )
    if is_subscribed:
        return NotCapturable(
            table.name, "a subscription writes it, and that fires no statement triggers"
        )
    columns = _columns(connection, oid)
    missing = [c for c in (*table.key, *table.columns) if c not in columns]
    if missing:
        return NotCapturable(table.name, f"it has no column {missing[0]}")
    unseen = next((c for c in table.scope if columns[c].is_virtual), None)
    if unseen is not None:
        return NotCapturable(
            table.name, f"the column {unseen} is computed when read, and rows are chosen by it"
        )
    deferrable = _value(
        connection,
        # Of the unique indexes over no more than the key's columns, all NOT NULL, the best.
        "SELECT bool_and(NOT i.indimmediate) FROM pg_index i "  # noqa: S608  no value in it
        "WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL "
        "AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM "
        "  unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) AS k(attnum) "
        "  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        f"  WHERE NOT {NEVER_NULL} OR NOT a.attname = ANY (%s::text[]))",
        oid,
        list(table.key),
    )
    if deferrable is None:
        listed = ", ".join(table.key)
        return NotCapturable(
            table.name, f"no unique index says that its key ({listed}) is one, and never NULL"
        )
    return TableFacts(oid, _tree(connection, oid), columns, bool(deferrable))


def _columns(connection: Connection, oid: int) -> dict[str, ColumnFacts]:
    rows = connection.execute(
        "SELECT a.attname::text, a.atttypid::bigint, y.typname::text, "
        "y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype = 'b', y.typtype = 'e', "
        "coalesce(l.collisdeterministic, true), a.attgenerated = 'v' "
        "FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid "
        "LEFT JOIN pg_collation l ON l.oid = a.attcollation "
        "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped",
        [oid],
    ).fetchall()
    return {row[0]: ColumnFacts(*row) for row in rows}


def _tree(connection: Connection, oid: int) -> tuple[tuple[int, str], ...]:
    """The table and its partitions, by oid and name, the table first."""
    rows = connection.execute(
        "SELECT c.oid::bigint, n.nspname::text, c.relname::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_partition_tree(%(oid)s::oid) p ON p.relid = c.oid "
        "WHERE c.oid = %(oid)s OR (p.relid IS NOT NULL AND c.relkind IN ('r', 'p')) "
        "ORDER BY c.oid <> %(oid)s, 2, 3",
        {"oid": oid},
    ).fetchall()
    return tuple((row[0], f"{identifier(row[1])}.{identifier(row[2])}") for row in rows)


def _release(connection: Connection, one: Captured) -> tuple[str, ...]:
    """What ends the capture of a table, wherever its triggers are by now."""
    rows = connection.execute(
        "SELECT DISTINCT n.nspname::text, c.relname::text FROM pg_trigger g "
        "JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE g.tgfoid = to_regprocedure(%s) AND g.tgname = ANY (%s) ORDER BY 1, 2",
        [f"headrace.{function_name(one.relation)}()", list(TRIGGERS)],
    ).fetchall()
    drops = [
        statement
        for schema, name in rows
        for statement in drop_triggers(f"{identifier(schema)}.{identifier(name)}")
    ]
    return (
        *drops,
        f"DROP FUNCTION IF EXISTS headrace.{function_name(one.relation)}()",
        f"DELETE FROM headrace.captured WHERE relation = {one.relation}",  # noqa: S608
    )


# --- watching -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableStatus:
    """How a table stands. ``trouble``: why its changes cannot be told from now on; None if they
    can. ``rows``: of the log.
    """

    name: str
    captured_since: datetime | None
    rows: int
    trouble: str | None


@dataclass(frozen=True)
class Holder:
    """The oldest transaction that writes: what it did is not told before it ends."""

    process: int
    user: str
    application: str
    state: str
    age_s: float


@dataclass(frozen=True)
class CaptureStatus:
    """How the change log stands. ``lag_s``: how long its newest rows may have to wait to be told.

    ``oldest`` is the first day that the log has rows of.
    """

    installed: bool
    tables: tuple[TableStatus, ...] = ()
    size_bytes: int = 0
    rows: int = 0
    oldest: date | None = None
    newest: date | None = None
    partitions: int = 0
    days_ahead: int = 0
    lag_s: float = 0.0
    holder: Holder | None = None


def status(connection: Connection, tables: Sequence[CapturedTable]) -> CaptureStatus:
    """How the log stands, and the configured tables."""
    if not _is_installed(connection):
        missing = tuple(TableStatus(t.name, None, 0, "not captured") for t in tables)
        return CaptureStatus(False, missing)
    known = _captured(connection)
    counts: dict[int, int] = dict(
        connection.execute(
            "SELECT relation::bigint, count(*) FROM headrace.change_log GROUP BY relation"
        ).fetchall()
    )
    stood = [_table_status(connection, table, known, counts) for table in tables]
    configured = {table.name for table in tables}
    stood += [
        TableStatus(one.name, one.since, counts.get(one.relation, 0), "no longer configured")
        for one in known.values()
        if one.name not in configured
    ]
    row = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint, count(*), "
        "coalesce(max(CASE WHEN inhrelid::regclass::text ~ '_[0-9]{8}$' "
        "  THEN right(inhrelid::regclass::text, 8)::date END) "
        "  - (clock_timestamp() AT TIME ZONE 'UTC')::date, 0) "
        "FROM pg_inherits WHERE inhparent = 'headrace.change_log'::regclass"
    ).fetchone()
    size, partitions, ahead = row or (0, 0, 0)
    days = connection.execute("SELECT min(day), max(day) FROM headrace.change_log").fetchone()
    oldest, newest = days or (None, None)
    holder = _holder(connection)
    return CaptureStatus(
        True,
        tuple(stood),
        int(size),
        sum(counts.values()),
        oldest,
        newest,
        int(partitions),
        int(ahead),
        holder.age_s if holder else 0.0,
        holder,
    )


def _table_status(
    connection: Connection,
    table: CapturedTable,
    known: Mapping[int, Captured],
    counts: Mapping[int, int],
) -> TableStatus:
    found = table_facts(connection, table)
    if isinstance(found, NotCapturable):
        return TableStatus(table.name, None, 0, found.reason)
    one = known.get(found.oid)
    if one is None:
        return TableStatus(table.name, None, 0, "not captured")
    current = _is_current(connection, table, found, one)
    trouble = None if current else "altered, or configured otherwise: install again"
    return TableStatus(table.name, one.since, counts.get(found.oid, 0), trouble)


def _holder(connection: Connection) -> Holder | None:
    row = connection.execute(
        "SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''), "
        "coalesce(state, ''), extract(epoch FROM clock_timestamp() - xact_start)::float8 "
        "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() "
        "UNION ALL SELECT 0, owner::text, gid, 'prepared', "
        "extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts "
        "ORDER BY 5 DESC NULLS LAST LIMIT 1"
    ).fetchone()
    return Holder(*row) if row else None
