"""What is exported: tables of a source with their columns, and what of them one client may take."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from headrace.kernel.errors import NotFound


class ColumnType(StrEnum):
    """The canonical types a column can have, whatever its source (docs/types.md)."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    BIGINT = "bigint"
    DECIMAL = "decimal"
    DOUBLE = "double"
    STRING = "string"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    BINARY = "binary"
    JSON = "json"
    INTERVAL = "interval"


@dataclass(frozen=True)
class Column:
    """A configured column: ``name`` is what callers see, ``source`` the column that it reads.

    ``text_of``: the source's own type, if what is carried is the text that the source writes of
    it, for want of a canonical form (a range of PostgreSQL's, say).
    """

    name: str
    source: str
    type: ColumnType
    nullable: bool
    precision: int | None = None
    scale: int | None = None
    text_of: str | None = None


@dataclass(frozen=True)
class RowFilter:
    """Rows whose source column holds one of ``values``; the tenant's rows are one such filter."""

    column: str
    values: tuple[str | int | bool, ...]
    type: ColumnType


@dataclass(frozen=True)
class RowsSince:
    """Rows whose source column holds ``moment`` or later: the day that it is on by its own offset,
    if the column holds dates.

    Rows without a value are none of them.
    """

    column: str
    type: ColumnType
    moment: datetime

    @property
    def start(self) -> str:
        """The moment as the column's type has it, in ISO 8601."""
        moment = self.moment.astimezone(UTC)
        match self.type:
            case ColumnType.DATE:
                # Who asks for a day of a time zone means that day, which begins on another in UTC.
                return self.moment.date().isoformat()
            case ColumnType.TIMESTAMP:
                return moment.replace(tzinfo=None).isoformat(sep=" ")
            case _:
                return moment.isoformat(sep=" ")


@dataclass(frozen=True)
class RowChoice:
    """Which of a table's rows a reader asked for. ``unmarked``: the boolean column of the source
    that is true of none of them."""

    since: RowsSince | None = None
    unmarked: str | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The source's columns that it asks for."""
        since = None if self.since is None else self.since.column
        return frozenset(name for name in (since, self.unmarked) if name is not None)


@dataclass(frozen=True)
class AccountColumn:
    """The source's column that says whose a row is; only tables of services have one.

    A service gets the rows of accounts that share with it, told by the column's value as text.
    ``with_public``: rows without an account (NULL) as well.
    """

    name: str
    type: ColumnType
    with_public: bool = False


def mark_of(accounts: Sequence[str]) -> str:
    """A name for these accounts (sorted): that of others is another one."""
    text = json.dumps(list(accounts), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_MARK = "~"
"""Between a source's version and the mark of the accounts that were read at it; no version of a
source has it."""


def marked(version: str, mark: str) -> str:
    """The version that data stands at which was read at ``version``, of the accounts of ``mark``.

    The same version of a source shows other rows when others share: to go on from it, one must
    know which.
    """
    return f"{version}{_MARK}{mark}"


def unmarked(version: str) -> tuple[str, str | None]:
    """The source's version, and the mark of the accounts if there is one."""
    source, sign, mark = version.rpartition(_MARK)
    return (source, mark) if sign else (version, None)


@dataclass(frozen=True)
class SharedRows:
    """The accounts whose rows a service gets, sorted.

    ``before``: those whose rows it got at the version that an increment begins at. ``mark``: that
    of the accounts, which need not be there where no row is told by account.
    """

    accounts: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    mark: str = ""

    @property
    def begun(self) -> tuple[str, ...]:
        """Those that began to share since."""
        return tuple(sorted({*self.accounts} - {*self.before}))

    @property
    def ended(self) -> tuple[str, ...]:
        """Those that share no more."""
        return tuple(sorted({*self.before} - {*self.accounts}))


@dataclass(frozen=True)
class Table:
    """A configured table. ``source`` is ``schema.table``; ``primary_key`` are public names.

    ``escape_formulas``: in CSV, texts that a spreadsheet would run are written behind an
    apostrophe. By default they are data like all other (RFC 4180 knows no formulas).
    ``ordered``: rows come in the order of the primary key, as the source compares its values.
    ``schema_version`` rises by one with each publication that changes ``schema_hash``.
    ``account`` says whose rows they are, where a service gets only some; ``shared``, which is not
    part of what is published, whose it gets in one operation: where nothing says so, nobody's.
    ``query``: the SELECT that is read in place of the table, whose ``source`` is then empty; only
    templates have one. ``choice``, which is not published either, is a reader's; where there is
    one, rows come in the order of the primary key and, where that leaves it open, of all other
    columns: in the same order whenever the same version is read.
    """

    name: str
    source: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    filters: tuple[RowFilter, ...] = ()
    row_estimate: int = 0
    escape_formulas: bool = False
    ordered: bool = False
    schema_version: int = 1
    account: AccountColumn | None = None
    shared: SharedRows | None = None
    query: str | None = None
    choice: RowChoice | None = None

    @property
    def whose(self) -> SharedRows:
        """The accounts whose rows are meant; only where there is an account column."""
        return self.shared or SharedRows()

    def told_version(self, version: str) -> str:
        """What a caller is told of a version of the source that the table was read at."""
        return version if self.shared is None else marked(version, self.shared.mark)

    @property
    def scope_columns(self) -> frozenset[str]:
        """The source's columns by which rows are chosen."""
        names = {one.column for one in self.filters}
        chosen = self.choice.columns if self.choice else frozenset()
        return frozenset(names | ({self.account.name} if self.account else set()) | chosen)

    @property
    def read_columns(self) -> tuple[Column, ...]:
        """One column for each that is read: two public ones may show the same of the source."""
        read: dict[str, Column] = {}
        for column in self.columns:
            read.setdefault(column.source, column)
        return tuple(read.values())

    @property
    def grant_hash(self) -> str:
        """SHA-256 (hex) over all that decides which rows and values callers get of it.

        Increments cannot go on where it has changed: rows that did not change would be missing.
        Which accounts share is no part of it: an increment tells what changes with that.
        """
        grant: list[object] = [
            self.schema_hash,
            self.source,
            [column.source for column in self.columns],
            sorted([one.column, sorted(map(repr, one.values))] for one in self.filters),
        ]
        if self.account is not None:
            grant.append([self.account.name, self.account.with_public])
        if self.escape_formulas:
            grant.append("formulas are escaped")
        text = json.dumps(grant, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def schema_hash(self) -> str:
        """SHA-256 (hex) over names, types, nullability and primary key, as callers see them."""
        shape = {
            "columns": [
                [column.name, column.type, column.nullable, column.precision, column.scale]
                + ([column.text_of] if column.text_of is not None else [])
                for column in self.columns
            ],
            "primaryKey": list(self.primary_key),
        }
        text = json.dumps(shape, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class SharedAccounts:
    """The account holders whose rows a service may see, as they stood at one moment.

    ``version``: opaque; of two that the same service read for the same organisation, the later
    sorts after the earlier one. ``accounts``: their ids, sorted.
    """

    version: str
    accounts: tuple[str, ...]


class SnapshotScope(StrEnum):
    """What is read in one snapshot, of a source that keeps no versions (PostgreSQL).

    A source that keeps versions (DuckLake) shows all tables of an operation at one anyway.
    """

    JOB = "job"
    OPERATION = "operation"


class Resync(StrEnum):
    """What an increment does with a table whose changes cannot be told."""

    REFUSE = "refuse"
    """It fails: the client is to start a full export."""
    DOCUMENT = "document"
    """It holds all rows of the table, and says so."""


@dataclass(frozen=True)
class Configuration:
    """What one client may take for one tenant; names the one source that its tables come from."""

    configuration_id: str
    tenant: str
    client_id: str
    default: bool
    source: str
    tables: tuple[Table, ...]
    snapshot: SnapshotScope = SnapshotScope.JOB
    resync: Resync = Resync.REFUSE
    by_consent: bool = False
    """Is it a service's: of rows that belong to accounts it gets those of accounts that share."""

    def table(self, name: str) -> Table:
        """The table with this public name. Raises NotFound."""
        for table in self.tables:
            if table.name == name:
                return table
        raise NotFound("The configuration has no such table; see GET /data/v1/metadata.")


MAX_READERS = 4
"""Workers that read from a database at once, where its option ``max_connections`` says nothing."""


@dataclass(frozen=True)
class Source:
    """Where tables are read.

    The options of each kind are those of ``catalog.schema.OPTIONS``. ``expected_every``: how old
    its newest data may be, where the operator says so.
    """

    name: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict)
    expected_every: timedelta | None = None

    @property
    def keeps_versions(self) -> bool:
        """Can a version be read at any time, by anyone who names it.

        Of PostgreSQL it cannot: what several workers are to see alike, somebody must hold open.
        """
        return self.kind != "postgresql"

    @property
    def max_readers(self) -> int | None:
        """How many workers may read from it at once; None is any number."""
        if self.kind != "postgresql":
            return None
        given = self.options.get("max_connections", "")
        return max(1, int(given)) if given.isascii() and given.isdecimal() else MAX_READERS

    @property
    def unloads(self) -> bool:
        """Does an engine of its own leave the rows in our storage, where workers read them."""
        return self.kind == "athena"


@dataclass(frozen=True)
class Freshness:
    """What a source tells of how new its data is; neither is ever negative.

    ``age``: since its data last changed; None where it cannot tell. ``lag``: how far it is behind
    what it follows, which is the primary of a replica, or for a change log the writers whose
    changes it cannot tell yet; None where it follows nothing.
    """

    age: timedelta | None = None
    lag: timedelta | None = None


class VersionPlace(StrEnum):
    """Where a version of a source stands."""

    HELD = "held"
    """What changed since can be told."""
    EXPIRED = "expired"
    """It can no longer."""
    FOREIGN = "foreign"
    """It is none of this source's."""
    FUTURE = "future"
    """The source has not come to it yet."""


@dataclass(frozen=True)
class ChangeWindow:
    """Between which versions of a source changes can be told; ``place`` is that of the asked one.

    ``retained_since`` is when ``oldest`` was, where the source knows.
    """

    latest: str
    oldest: str
    retained_since: datetime | None = None
    place: VersionPlace | None = None


def staged(location: str, table: Table) -> tuple[Source, Table]:
    """Where and as what the rows of a table are read that were unloaded to ``location``.

    The files' columns are ``c0``, ``c1``, … in the order of ``Table.read_columns``; the filters
    have been applied.
    """
    columns = [
        {"name": c.source, "type": c.type.value, "precision": c.precision, "scale": c.scale}
        for c in table.read_columns
    ]
    options = {"path": location, "columns": json.dumps(columns, ensure_ascii=False)}
    return Source("staged", "staged", options), replace(table, source="main.rows", filters=())
