"""The ``Changes`` port, answered by the change log of a PostgreSQL source (``change_log``).

A version is a snapshot. What happened between two of them is what transactions logged that the
newer one sees and the older one does not: each row of the log says which transaction wrote it.
So a change that a long transaction commits late is told by the first version that shows it, and
by no other, whatever the order in which others wrote meanwhile.

Per key, the log says how it stood before (was there a row, and did it pass the row filters), and
the table itself how it stands now. Where rows are told by account, they passed if their account
shared then, and pass if it shares now: of accounts that began or ceased to share, the table itself
has the rows that nobody touched.
"""

import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from psycopg import Error, errors

from headrace.adapters.postgresql.change_log import DAYS_AHEAD, mask_of, traces_sql
from headrace.adapters.postgresql.copying import CopyOut
from headrace.adapters.postgresql.planning import listed
from headrace.adapters.postgresql.reading import reading_engine, told_apart
from headrace.adapters.postgresql.relations import (
    Relation,
    account_text,
    account_texts,
    condition,
    key_columns,
    relation_of,
)
from headrace.adapters.postgresql.session import (
    Connection,
    connect,
    errors_translated,
    of_one_database,
    session,
    version_of,
)
from headrace.adapters.postgresql.types import PgColumn
from headrace.adapters.postgresql.warehouse import csv_list, engine_list, fields_of
from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse.change_documents import (
    CHANGE_COLUMN,
    Change,
    framed_lists,
    select_keys,
    select_rows,
)
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.streaming import (
    CopyStream,
    Pipe,
    Rows,
    compressed,
    copy_options,
    row_counter,
)
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ChangeWindow, ColumnType, Source, Table, VersionPlace
from headrace.exports.warehouses import RowStream
from headrace.kernel.errors import (
    HeadraceError,
    IncrementsUnavailable,
    ResyncRequired,
    SourceUnavailable,
    SyncVersionExpired,
)

_log = logging.getLogger(__name__)


# --- versions -----------------------------------------------------------------------------------

_VERSION = re.compile(r"(\d+(?:\.\d+)?):(\d+):(\d+):((?:\d+(?:,\d+)*)?)", re.ASCII)


@dataclass(frozen=True)
class Horizon:
    """Which transactions of a database's cluster a version has seen: those below ``first``, and
    those below ``end`` that did not run.
    """

    database: str
    first: int
    end: int
    running: frozenset[int]

    @classmethod
    def of(cls, version: str) -> "Horizon | None":
        """The version's; None if it is none of PostgreSQL's."""
        found = _VERSION.fullmatch(version)
        if found is None:
            return None
        database, first, end, running = found.groups()
        ids = frozenset(map(int, running.split(","))) if running else frozenset()
        return cls(database, int(first), int(end), ids)

    def saw(self, transaction: int) -> bool:
        """Had the (top-level) transaction been committed, or undone."""
        return transaction < self.end and transaction not in self.running

    @property
    def snapshot(self) -> str:
        """As the server writes it."""
        return f"{self.first}:{self.end}:{','.join(map(str, sorted(self.running)))}"


# --- what is captured ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Capture:
    """How a table is captured. ``expired`` and ``purged``: the newest transactions of whose rows
    some are no longer told, and are gone; 0 of none.
    """

    relation: int
    key: tuple[str, ...]
    scope: tuple[str, ...]
    columns: tuple[str, ...]
    since_xid: int
    since: datetime
    structure: str
    traces: str
    retention_days: int
    purged: int
    expired: int
    collations: Mapping[str, str]


_CAPTURED = """
SELECT c.relation::bigint, c.key_columns, c.scope_columns, c.columns, c.since_xid, c.since,
       c.structure, c.traces, c.retention_days, c.purged_xid,
       coalesce((SELECT max(l.xid) FROM headrace.change_log l WHERE l.relation = c.relation
                 AND l.day < (now() AT TIME ZONE 'UTC')::date - c.retention_days), 0),
       pg_is_in_recovery(), row_security_active(c.relation)
FROM headrace.captured c WHERE c.relation = %s
"""

_COLLATIONS = """
SELECT a.attname::text, n.nspname::text, l.collname::text
FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
JOIN pg_namespace n ON n.oid = l.collnamespace
WHERE a.attrelid = %s AND a.attname = ANY (%s) AND l.collname <> 'default'
"""


def _capture_of(connection: Connection, table: Table, relation: Relation) -> _Capture | str:
    """How the table is captured; or why it is not, as it is configured."""
    try:
        row = connection.execute(_CAPTURED, [relation.oid]).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return "The source keeps no record of what changes in it."
    except errors.InsufficientPrivilege:
        return "The source does not let Headrace read its record of changes."
    if row is None:
        return f"The source keeps no record of what changes in {table.name}."
    oid, key_names, scoped, columns, since_xid, since, structure, traces, days = row[:9]
    purged, expired, is_replica, is_hidden = row[9:]
    if is_replica:
        return "The source is read from a replica, which does not tell what it has not seen yet."
    if is_hidden:
        return f"Row-level security hides rows of {table.name} from Headrace."
    key = [column.described.name for column in key_columns(table, relation)]
    found = connection.execute(_COLLATIONS, [relation.oid, key]).fetchall()
    collations = {name: f"{identifier(schema)}.{identifier(of)}" for name, schema, of in found}
    capture = _Capture(
        oid,
        tuple(key_names),
        tuple(scoped),
        tuple(columns),
        since_xid,
        since,
        structure,
        traces,
        days,
        purged,
        expired,
        collations,
    )
    needed = {column.source for column in table.columns}
    scope = table.scope_columns
    if set(key) != set(capture.key) or not needed <= {*capture.columns}:
        return f"What changes in {table.name} is recorded for other columns than are configured."
    if not scope <= {*capture.scope}:
        return f"What changes in {table.name} is not recorded by whose rows are configured."
    return capture


def _captures(connection: Connection, tables: Sequence[Table]) -> list[_Capture]:
    """Raises IncrementsUnavailable, naming the tables that are not captured."""
    found = [_capture_of(connection, table, relation_of(connection, table)) for table in tables]
    reasons = [one for one in found if isinstance(one, str)]
    if reasons:
        names = [
            table.name for table, one in zip(tables, found, strict=True) if isinstance(one, str)
        ]
        raise IncrementsUnavailable(f"{reasons[0]} Export in full.", tables=names)
    return [one for one in found if isinstance(one, _Capture)]


_MAINTENANCE_IS_DUE = f"""
SELECT count(*) FILTER (WHERE day >= today + 1) < {DAYS_AHEAD // 2} OR bool_or(day < today - kept)
FROM (SELECT right(c.relname, 8)::date AS day, (now() AT TIME ZONE 'UTC')::date AS today,
             (SELECT max(retention_days) + 1 FROM headrace.captured) AS kept
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = to_regclass('headrace.change_log')
        AND c.relname ~ '^change_log_[0-9]{{8}}$') AS days
"""  # noqa: S608  no value in it
"""Are there few days left that have a partition, or expired ones. Asked wherever changes are read,
so that nobody needs to see to it."""


# --- the port -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresqlChanges:
    """Tells changes by the change log of the source; a new session for every call."""

    limits: Limits = field(default_factory=Limits)

    def window(self, source: Source, tables: Sequence[Table], since: str | None) -> ChangeWindow:
        """See the port. A table that is captured since later than others is no end of the window:
        of it alone the changes cannot be told (``resync_reason``).
        """
        with session(source) as connection:
            captures = _captures(connection, tables)
            latest = version_of(connection)
        now = Horizon.of(latest)
        if now is None:
            raise SourceUnavailable("The source does not say which version it shows.")
        begun = min(captures, key=lambda one: one.since_xid)
        lost = max(max(one.purged, one.expired) for one in captures)
        oldest = max(begun.since_xid, lost) + 1
        since_when = begun.since
        if lost:
            days = min(one.retention_days for one in captures)
            midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            since_when = max(since_when, midnight - timedelta(days=days))
        place = None
        if since is not None:
            asked = Horizon.of(since)
            if asked is None or not of_one_database(since, latest):
                place = VersionPlace.FOREIGN
            elif asked.end > now.end:
                place = VersionPlace.FUTURE
            elif not asked.saw(begun.since_xid) or asked.first <= lost:
                place = VersionPlace.EXPIRED
            else:
                place = VersionPlace.HELD
        return ChangeWindow(latest, f"{now.database}:{oldest}:{oldest}:", since_when, place)

    def resync_reason(
        self, source: Source, since: str, version: str, table: Table, snapshot: str | None = None
    ) -> str | None:
        """See the port. Asked of the source as it is now, not in the snapshot: what was truncated
        or rewritten is gone for older snapshots too, and what is purged from the log.

        Raises SyncVersionExpired, IncrementsUnavailable, SourceChanged.
        """
        with session(source) as connection:
            (capture,) = _captures(connection, [table])
            if not of_one_database(since, version_of(connection)):
                return "The database is another one than that of this version."
            with errors_translated():
                reason = _gap(connection, capture, _held(since))
                row = connection.execute(_MAINTENANCE_IS_DUE).fetchone()
        if row is not None and row[0]:
            self.maintain(source)
        return reason

    def maintain(self, source: Source) -> None:
        """Makes the log's next days and drops expired ones, if nobody else is at it.

        A failure is logged and no more: the log works without, and the next one will do.
        """
        try:
            with closing(connect(source)) as connection:
                connection.execute("SELECT headrace.maintain()")
        except (HeadraceError, Error) as error:
            _log.warning("the change log was not maintained: %s", type(error).__name__)

    @contextmanager
    def stream_changes(
        self,
        source: Source,
        since: str,
        version: str,
        table: Table,
        file_format: FileFormat,
        compression: Compression,
        snapshot: str | None = None,
    ) -> Iterator[RowStream]:
        """See the port. Without a snapshot it is read as it is now.

        At its end it asks whether all could be read: raises ResyncRequired if the table was
        truncated or altered meanwhile, SyncVersionExpired if the log was purged.
        """
        before = _held(since)
        with session(source, snapshot, version) as connection:
            relation = relation_of(connection, table)
            (capture,) = _captures(connection, [table])
            statement = partial(_changes, table, relation, capture, before)
            if file_format is FileFormat.CSV:
                cells = f"t.{_change_name(table)} AS {identifier(CHANGE_COLUMN)}, "
                select = statement(cells + csv_list(table, relation))
                copy = CopyOut(connection, select, "FORMAT csv, HEADER", header=True)
                chunks = self._to_the_end(iter(copy), source, before, table)
                yield Rows(compressed(chunks, compression), copy)
                return
        kinds: tuple[Change | None, ...] = (None,)
        if file_format is FileFormat.JSON:
            kinds = tuple(Change)
        with ExitStack() as stack:
            stack.enter_context(told_apart(source, table))
            pipes = [stack.enter_context(Pipe()) for _ in kinds]
            paths = [pipe.path for pipe in pipes]
            reader = stack.enter_context(reading_engine(source, snapshot, self.limits, paths))
            options = copy_options(file_format, compression, header=False)
            lists = [
                _List(
                    partial(
                        CopyStream,
                        pipe,
                        reader.connection,
                        _outer(table, relation, file_format, kind),
                        [statement(_engine_cells(table, relation), kind)],
                        options,
                        reader.stop,
                        row_counter(file_format, header=False),
                    )
                )
                for kind, pipe in zip(kinds, pipes, strict=True)
            ]
            chunks = iter(lists[0])
            if file_format is FileFormat.JSON:
                chunks = framed_lists(table.told_version(version), map(iter, lists))
            chunks = self._to_the_end(chunks, source, before, table)
            if file_format is not FileFormat.PARQUET:
                chunks = compressed(chunks, compression)
            for one in lists:
                stack.callback(one.close)
            yield _Lists(chunks, lists)

    def _to_the_end(
        self, chunks: Iterator[bytes], source: Source, before: Horizon, table: Table
    ) -> Iterator[bytes]:
        yield from chunks
        # A snapshot does not keep what TRUNCATE or a rewrite takes away, nor a purged partition.
        with session(source) as connection:
            (capture,) = _captures(connection, [table])
            with errors_translated():
                reason = _gap(connection, capture, before)
        if reason is not None:
            raise ResyncRequired(f"{reason} Start a full export, and go on from its version.")


def _held(since: str) -> Horizon:
    horizon = Horizon.of(since)
    if horizon is None:
        raise HeadraceError("This is no version of a PostgreSQL source.")
    return horizon


# --- gaps ---------------------------------------------------------------------------------------


def _gap(connection: Connection, capture: _Capture, before: Horizon) -> str | None:
    """Why the changes since ``before`` cannot all be told. Raises SyncVersionExpired."""
    if capture.purged >= before.first:
        raise SyncVersionExpired(
            "The changes since this version are not kept any more; start a full export, and go on "
            "from its version."
        )
    if not before.saw(capture.since_xid):
        return "The source records what changes in the table, as configured, only since later."
    columns = list(capture.columns)
    row = connection.execute(
        f"SELECT t.*, txid_snapshot_xmax(txid_current_snapshot()) "  # noqa: S608  no value in it
        f"FROM ({traces_sql('%s', '%s::text[]')}) t",
        [capture.relation, columns, columns, columns],
    ).fetchone()
    structure, traces, ids, end = row or ("", "", [], 0)
    if structure != capture.structure:
        return (
            "The table, its partitions or the triggers that record its changes are not as they "
            "were, or the server was recovered or failed over."
        )
    # What bears the marks of the installation itself was not touched since. What does not was
    # touched in time if every transaction that it may have been is older than all that ran then:
    # the ids in the catalog may be those of subtransactions, which a snapshot does not list.
    if traces != capture.traces and any(_at_most(id_, end) >= before.first for id_ in ids):
        return "The table, or what records its changes, was altered after this version."
    truncated = connection.execute(
        "SELECT EXISTS (SELECT FROM headrace.change_log WHERE relation = %s AND op = 'T' "
        "AND xid >= %s AND NOT txid_visible_in_snapshot(xid, %s::txid_snapshot))",
        [capture.relation, before.first, before.snapshot],
    ).fetchone()
    if truncated is None or truncated[0]:
        return "The table was truncated, or changed in a way that is not recorded."
    return None


def _at_most(low_bits: str, end: int) -> int:
    """The newest transaction before ``end`` whose id has these low 32 bits."""
    newest = (end >> 32 << 32) | int(low_bits)
    return newest if newest < end else newest - 2**32


# --- the statement ------------------------------------------------------------------------------


def _change_name(table: Table) -> str:
    """What the column is called, beside the table's, that says what became of a row."""
    name, sources = "change", {column.source for column in table.columns}
    while name in sources:
        name += "_"
    return identifier(name)


def _changes(
    table: Table,
    relation: Relation,
    capture: _Capture,
    before: Horizon,
    cells: str,
    kind: Change | None = None,
) -> str:
    """The net changes since ``before``: ``cells`` of ``t``, which has the table's columns.

    ``kind``: those of one kind only. Of a deleted row all but the key is NULL.
    """
    key = key_columns(table, relation)
    logged = {
        column.described.name: (f"key_{place}", _logged(capture, column))
        for place, column in enumerate(key)
    }
    written = [column.described.name for column in key if _is_told_as_written(column)]
    keys = ", ".join(
        [f"{value} AS {name}" for name, value in logged.values()]
        + [f"{_written(logged[of][1])} AS {logged[of][0]}_written" for of in written]
    )
    names = ", ".join(
        [name for name, _ in logged.values()] + [f"{logged[of][0]}_written" for of in written]
    )
    joined = _all(
        [f"r.{identifier(of)} = n.{name}" for of, (name, _) in logged.items()]
        + [f"{_written(f'r.{identifier(of)}')} = n.{logged[of][0]}_written" for of in written]
    )
    told = ", ".join(f"n.{name}" for name, _ in logged.values())
    passed = _all(
        condition(one, relation, f"(l.before)[{capture.scope.index(one.column) + 1}]")
        for one in table.filters
    )
    chosen = _all(condition(one, relation, f"r.{identifier(one.column)}") for one in table.filters)
    whose = _Whose.of(table, relation, capture)
    sources = [column.source for column in table.read_columns]
    mask = mask_of(capture.columns, sources)
    none = mask_of(capture.columns, ())
    # No name of the source's stands beside ours.
    read = ", ".join(
        f"r.{identifier(source)} AS column_{place}" for place, source in enumerate(sources)
    )
    shown = ", ".join(
        f"CASE WHEN j.is_now THEN j.column_{place} "
        + (f"ELSE j.{logged[source][0]} " if source in logged else "")
        + f"END AS {identifier(source)}"
        for place, source in enumerate(sources)
    )
    moved = ""
    if whose.turn:
        # Rows whose account began or ceased to share, and of which the log has nothing.
        own = ", ".join(
            f"r.{identifier(of)}::{relation.columns[of].compared_as} AS {name}"
            for of, (name, _) in logged.items()
        )
        moved = f"""
    UNION ALL
    SELECT {own}, {read}, a.shares, a.shared, false
    FROM {relation.sql.removesuffix(" AS t")} AS r {whose.of_row.removeprefix("LEFT ")}
    WHERE a.shares <> a.shared AND {chosen} AND NOT EXISTS (SELECT FROM net n WHERE {joined})"""  # noqa: S608
    change = _change_name(table)
    only = f" WHERE t.{change} = {literal(kind)}" if kind is not None else ""
    order = f" ORDER BY {listed(key)}" if table.ordered else ""
    # What the log has of each key. Was there a row, and did it pass: the first that was updated or
    # deleted says so. Where triggers wrote too, their rows of the log may stand before the outer
    # statement's, so any that passed counts. There was a row before if there is one now, less
    # what was inserted, plus what was deleted.
    return f"""WITH {whose.accounts}span AS (
    SELECT l.seq, l.op, l.nested, l.changed, {keys},
           l.op <> 'I' AND coalesce({passed}{whose.shared}, false) AS passed
    FROM headrace.change_log l {whose.of_log}
    WHERE l.relation = {capture.relation} AND l.op <> 'T' AND l.xid >= {before.first}
      AND NOT txid_visible_in_snapshot(l.xid, {literal(before.snapshot)}::txid_snapshot)
), net AS (
    SELECT {names},
           count(*) FILTER (WHERE op = 'D') - count(*) FILTER (WHERE op = 'I') AS gone,
           coalesce((array_agg(passed ORDER BY seq) FILTER (WHERE op <> 'I'))[1], false)
           OR (bool_or(nested) AND bool_or(passed)) AS passed,
           bool_or(op <> 'U' OR (changed & {mask}) <> {none}) AS seen
    FROM span GROUP BY {names}
), judged AS (
    SELECT {told}, {read}, {_is_there(key)} AND coalesce({chosen}{whose.shares}, false) AS is_now,
           {_is_there(key)}::int + n.gone > 0 AND n.passed AS was, n.seen
    FROM net n LEFT JOIN {relation.sql.removesuffix(" AS t")} AS r ON {joined} {whose.of_row}{moved}
)
SELECT {cells} FROM (
    SELECT CASE WHEN NOT j.is_now THEN 'deleted' WHEN j.was THEN 'updated'
           ELSE 'inserted' END AS {change}, {shown}
    FROM judged j
    WHERE CASE WHEN j.is_now THEN j.seen OR NOT j.was
          ELSE j.was END
) AS t{only}{order}"""  # noqa: S608  quoted names, and of values only those of the catalog


def _all(conditions: Iterable[str]) -> str:
    return "(" + (" AND ".join(conditions) or "true") + ")"


@dataclass(frozen=True)
class _Whose:
    """Pieces of the statement where rows are told by account; all empty where they are not.

    ``accounts``: those that share (``shares``) or did before (``shared``), as a table expression
    that is hashed once. ``of_log``, ``of_row``: joins that find a row's in it, as ``a``, and
    ``shared``, ``shares``: further conditions on it. ``turn``: has any begun or ceased to share.
    """

    accounts: str = ""
    of_log: str = ""
    of_row: str = ""
    shared: str = ""
    shares: str = ""
    turn: bool = False

    @classmethod
    def of(cls, table: Table, relation: Relation, capture: _Capture) -> "_Whose":
        if table.account is None:
            return cls()
        whose = table.whose
        always = sorted({*whose.accounts} & {*whose.before})
        lists = (
            (account_texts(table, always, public=True), "true, true"),
            (account_texts(table, whose.begun), "true, false"),
            (account_texts(table, whose.ended), "false, true"),
        )
        accounts = " UNION ALL ".join(f"SELECT unnest({texts}), {facts}" for texts, facts in lists)
        logged = f"(l.before)[{capture.scope.index(table.account.name) + 1}]"
        of_row = account_text(table, relation, f"r.{identifier(table.account.name)}")
        return cls(
            accounts=f"accounts(account, shares, shared) AS ({accounts}), ",
            of_log=f"LEFT JOIN accounts a ON a.account = {account_text(table, relation, logged)}",
            of_row=f"LEFT JOIN accounts a ON a.account = {of_row}",
            shared=" AND a.shared",
            shares=" AND a.shares",
            turn=bool(whose.begun or whose.ended),
        )


def _is_there(key: Sequence[PgColumn]) -> str:
    return f"(r.{identifier(key[0].described.name)} IS NOT NULL)"


def _is_told_as_written(column: PgColumn) -> bool:
    """May two values of a key be equal to the source and be other texts in a document: two keys to
    whoever keeps a copy by it. (Numbers are told as numbers.)
    """
    if column.rule in ("text", "varchar", "bpchar"):
        return not column.exact
    return column.described.type in (ColumnType.STRING, ColumnType.JSON, ColumnType.INTERVAL)


def _written(value: str) -> str:
    return f'({value})::text COLLATE "C"'


def _logged(capture: _Capture, column: PgColumn) -> str:
    """A key's text in the log as a value, that equals others as the column's values do."""
    name = column.described.name
    value = f"(l.key)[{capture.key.index(name) + 1}]::{column.compared_as}"
    collation = capture.collations.get(name)
    return value if collation is None else f"({value} COLLATE {collation})"


# --- the engine's lists -------------------------------------------------------------------------


_ENGINE_CHANGE = identifier(CHANGE_COLUMN)


def _engine_cells(table: Table, relation: Relation) -> str:
    return f"t.{_change_name(table)} AS {_ENGINE_CHANGE}, {engine_list(table, relation)}"


def _outer(table: Table, relation: Relation, file_format: FileFormat, kind: Change | None) -> str:
    """What the engine makes of the rows: whole ones, and of deleted ones in JSON the key only."""
    fields = fields_of(table, relation)
    change = _ENGINE_CHANGE
    rows = select_rows(change, fields, file_format)
    if file_format is not FileFormat.PARQUET:
        keys = select_keys(fields, table.primary_key, file_format)
        if kind is Change.DELETED:
            rows = keys
        elif kind is None:
            rows = f"CASE WHEN {change} = {literal(Change.DELETED)} THEN {keys} ELSE {rows} END"
    return f"SELECT {rows} FROM postgres_query('source', ?)"  # noqa: S608  names are quoted


class _List:
    """The lines of one statement, which begins when the first is asked for."""

    def __init__(self, rows: Callable[[], CopyStream]) -> None:
        self._rows = rows
        self.stream: CopyStream | None = None
        self._lines = self._read()

    def _read(self) -> Generator[bytes]:
        with self._rows() as self.stream:
            yield from self.stream

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def close(self) -> None:
        """Stops it, wherever it is."""
        self._lines.close()


class _Lists:
    """The stream of one or more lists: iterate once, then ask for ``rows``."""

    def __init__(self, chunks: Iterator[bytes], lists: Sequence[_List]) -> None:
        self._chunks, self._lists = chunks, lists

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    @property
    def rows_so_far(self) -> int | None:
        """How many changes have come; None of Parquet."""
        counts = [one.stream.rows_so_far for one in self._lists if one.stream is not None]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def rows(self) -> int:
        """How many changes there were; ValueError before the end."""
        streams = [one.stream for one in self._lists]
        if any(stream is None for stream in streams):
            raise ValueError("The rows are known at the end of the stream.")
        return sum(stream.rows for stream in streams if stream is not None)
