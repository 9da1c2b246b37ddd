"""The Changes port for DuckLakes: net changes by primary key between two snapshots.

DuckLake tells changes by ``table_changes``, and its history cannot be taken at its word. Found with
DuckDB 1.5.5 (ducklake d8a1881e):

- A row that is inserted and updated in one transaction leaves its intermediate images in the
  changes, all of one snapshot: first image and last image of a key are not what was and what is.
- ``table_changes`` joins whole rows with whole rows, so its memory grows with them.
- A filter on columns that are not selected, or on ``snapshot_id``, is pushed wrongly into the scan
  of deletions.
- Rewriting files (``ducklake_rewrite_data_files``) deletes and inserts every row of them, and if
  deletions of theirs were inlined, the rows that are left are not among the deletions; merging
  files, flushing inlined rows and dropping files that no snapshot needs change nothing.
- A table's statistics are those of its latest snapshot, and rewriting files narrows them: the
  engine packs values by them, and a key below came out as another. It goes without (``engine``).
- Deletion vectors (an experimental option) forget which snapshot deleted what, so that a table with
  any is read wrongly at older snapshots: it has no increments.
- Expiry can take out snapshots in between; what was deleted in them is then told of others, and the
  first snapshot of a span must itself be held.

What holds is what time travel rests on: the rows at a snapshot, the snapshot that each row came
with (``snapshot_id``, by which whole files are left out), and that a row which is gone is among the
deletions since. A row that was only moved may not be: it is in a file that ended since, and came
again with the snapshot that ended it. So *what was* is read of the table at the one version, for
the keys of both, and *what is* of the table at the other, of the rows that came since:

=========  ================================================================================
inserted   a row that came since, whose key was not there
updated    a row that came since, whose key was there with other values (by ``fingerprint``)
deleted    a key that was there, is among those, and is there no longer
=========  ================================================================================

"There" is after the table's filters, at either version, so a row that leaves them is deleted. Where
rows are told by account, those that were there are of the accounts that shared then, and those that
are of the accounts that share now. So rows that nobody touched come and go as well: those of
accounts that share no more are looked at as if they had been deleted, and those of accounts that
began to as if they had come since.

What is held in memory is these keys, and a fingerprint of each row that was; if there are more
than ``keys_at_once``, they are taken in as many passes by hash. In the end the numbers must add up:
rows before, and what was inserted and deleted, make the rows after.

Increments do not span a change of the schema of what is configured. DuckLake gives columns ids: a
column that was dropped and added again is another one, whatever its name.
"""

# ruff: noqa: S608  All pieces of SQL are ours: names quoted, numbers that are numbers, values bound.

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.adapters.published import as_published
from headrace.adapters.sql_text import identifier, literal, split_name
from headrace.adapters.warehouse.accounts import (
    SHARED,
    load_accounts,
    make_accounts,
    of_accounts,
)
from headrace.adapters.warehouse.change_documents import (
    CHANGE_COLUMN,
    Change,
    framed_lists,
    select_keys,
    select_rows,
)
from headrace.adapters.warehouse.duckdb_warehouse import condition, fields_of
from headrace.adapters.warehouse.ducklake import lake_catalog, lake_snapshot, lake_versions
from headrace.adapters.warehouse.engine import Limits
from headrace.adapters.warehouse.open_source import OpenSource
from headrace.adapters.warehouse.sources import opened
from headrace.adapters.warehouse.streaming import (
    CopyStream,
    LastingPipe,
    compressed,
    copy_options,
    row_counter,
    run,
)
from headrace.adapters.warehouse.values import fingerprint
from headrace.exports.model import Compression, FileFormat
from headrace.exports.sources import ChangeWindow, SharedRows, Source, Table, VersionPlace
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import (
    IncrementsUnavailable,
    ResyncRequired,
    SourceUnavailable,
    SyncVersionExpired,
)

_BYTES_A_KEY = 512
"""What a key takes in memory, at most, while the changes are told: in four tables, hashed twice."""


@dataclass(frozen=True)
class DuckLakeChanges:
    """Tells changes between snapshots of DuckLakes. A new engine for every call."""

    limits: Limits = field(default_factory=Limits)
    keys_at_once: int | None = None
    """None: as many as a quarter of the engine's memory takes."""

    def window(self, source: Source, tables: Sequence[Table], since: str | None) -> ChangeWindow:
        """From the oldest snapshot that has not expired to the latest."""
        with opened(source, None, self.limits) as reader:
            _check_tables(reader, source, tables)
            versions = lake_versions(reader.connection, source)
        if not versions:
            raise SourceUnavailable("The DuckLake has no snapshot.")
        latest, oldest = versions[max(versions)], versions[min(versions)]
        return ChangeWindow(
            latest=latest,
            oldest=oldest,
            retained_since=datetime.fromisoformat(oldest.partition("@")[2]),
            place=None if since is None else _place(since, versions),
        )

    def resync_reason(
        self, source: Source, since: str, version: str, table: Table, snapshot: str | None = None
    ) -> str | None:
        """See the port. Also raises SyncVersionExpired."""
        with opened(source, version, self.limits) as reader:
            first = _check_held(reader, source, since)
            as_published(reader.columns(table.source), table)
            before = _Layout.of(reader, source, table.source, first)
            after = _Layout.of(reader, source, table.source, lake_snapshot(version) or 0)
        if before is None or after is None or before.table_id != after.table_id:
            return "The table was created since, or another was put in its place."
        names = [column.source for column in table.columns]
        for name in [*names, *sorted(table.scope_columns)]:
            if before.columns.get(name) != after.columns.get(name):
                return "A column of the table was added, put in another's place, or altered since."
        return None

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
    ) -> Iterator["_ChangeStream"]:
        """See the port. Also raises IncrementsUnavailable (of a key that is not unique), and
        ResyncRequired if what the lake tells does not add up.
        """
        with (
            LastingPipe() as pipe,
            opened(
                source,
                version,
                self.limits,
                (pipe.path,),
                ordered=file_format is not FileFormat.PARQUET,
                joins=True,
            ) as reader,
        ):
            _check_tables(reader, source, (table,))
            # What the catalog says of files must be of one moment, whatever expires meanwhile.
            reader.connection.execute("BEGIN")
            first = _check_held(reader, source, since)
            last = lake_snapshot(version) or 0
            columns = as_published(reader.columns(table.source), table)
            # One Parquet document is one statement, which cannot be taken in passes.
            at_once = None if file_format is FileFormat.PARQUET else self._keys_at_once()
            moved = _moved_at(reader, source, table.source, first, last)
            span = _Span(reader, table, columns, first, last, moved, at_once)
            stream = _ChangeStream(span, version, pipe, file_format, compression)
            with closing(stream.chunks):
                yield stream

    def _keys_at_once(self) -> int:
        if self.keys_at_once is not None:
            return self.keys_at_once
        megabytes = int(self.limits.memory.removesuffix("MB"))
        return megabytes * 1_000_000 // 4 // _BYTES_A_KEY


def _place(version: str, versions: Mapping[int, str]) -> VersionPlace:
    number = lake_snapshot(version)
    if number is None:
        return VersionPlace.FOREIGN
    if number > max(versions):
        return VersionPlace.FUTURE
    if number not in versions:
        return VersionPlace.EXPIRED
    # Of another lake, or of this one before it was restored from a copy.
    return VersionPlace.HELD if versions[number] == version else VersionPlace.FOREIGN


def _check_held(reader: OpenSource, source: Source, since: str) -> int:
    """The number of the snapshot. Raises SyncVersionExpired."""
    versions = lake_versions(reader.connection, source)
    number = lake_snapshot(since)
    if number is None or versions.get(number) != since:
        raise SyncVersionExpired(
            "The changes since this version are not kept any more; start a full export, and go on "
            "from its version.",
            minValidSyncVersion=versions[min(versions)] if versions else None,
        )
    return number


def _moved_at(
    reader: OpenSource, source: Source, table: str, since: int, version: int
) -> tuple[int, ...]:
    """The snapshots at which files ended that were there at the first: what was left of their rows
    came with the same ones, if they were rewritten."""
    catalog = lake_catalog(source)
    rows = reader.connection.execute(
        f"SELECT DISTINCT f.end_snapshot FROM {catalog}.ducklake_data_file AS f "
        f"JOIN {catalog}.ducklake_table AS t USING (table_id) "
        f"JOIN {catalog}.ducklake_schema AS s USING (schema_id) "
        "WHERE s.schema_name = ? AND t.table_name = ? "
        f"AND f.begin_snapshot <= {since} AND f.end_snapshot BETWEEN {since + 1} AND {version}",
        list(split_name(table)),
    ).fetchall()
    return tuple(sorted(int(row[0]) for row in rows))


def _check_tables(reader: OpenSource, source: Source, tables: Sequence[Table]) -> None:
    """Raises IncrementsUnavailable of tables whose changes cannot be told at any time."""
    catalog = lake_catalog(source)
    without_history = {
        table
        for (table,) in reader.connection.execute(
            f"SELECT DISTINCT s.schema_name || '.' || t.table_name "
            f"FROM {catalog}.ducklake_delete_file AS f JOIN {catalog}.ducklake_table AS t "
            f"USING (table_id) JOIN {catalog}.ducklake_schema AS s USING (schema_id) "
            "WHERE f.format <> 'parquet' AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL"
        ).fetchall()
    }

    def hidden(table: Table) -> bool:
        return any(c.name.lower() == "snapshot_id" for c in reader.columns(table.source))

    reasons: dict[str, Callable[[Table], bool]] = {
        "Tables without a primary key have no increments": lambda table: not table.primary_key,
        f"Tables with a column named {CHANGE_COLUMN} have no increments": lambda table: any(
            column.name == CHANGE_COLUMN for column in table.columns
        ),
        "Tables with a column named snapshot_id have no increments, as it hides DuckLake's "
        "own": hidden,
        "Tables with deletion vectors have no increments, as DuckLake reads them wrongly at "
        "older versions": lambda table: table.source in without_history,
    }
    for reason, unfit in reasons.items():
        if found := [table.name for table in tables if unfit(table)]:
            raise IncrementsUnavailable(
                f"{reason}; export them in full, each as `entity`.", tables=found
            )


@dataclass(frozen=True)
class _Layout:
    """What a table was at a version, as the lake's own catalog identifies things.

    ``columns``: by name, what a column is: its id, its type, and the same of what it nests.
    """

    table_id: int
    columns: dict[str, Any]

    @classmethod
    def of(cls, reader: OpenSource, source: Source, table: str, version: int) -> "_Layout | None":
        """None if there was no such table."""
        catalog = lake_catalog(source)

        def rows(columns: str, of: str, where: str, *values: object) -> list[tuple[Any, ...]]:
            return reader.connection.execute(
                f"SELECT {columns} FROM {catalog}.{of} "
                f"WHERE begin_snapshot <= {version} "
                f"AND (end_snapshot IS NULL OR end_snapshot > {version}) AND {where}",
                list(values),
            ).fetchall()

        schema_name, name = split_name(table)
        schemas = rows("schema_id", "ducklake_schema", "schema_name = ?", schema_name)
        found = [
            row
            for (schema_id,) in schemas
            for row in rows(
                "table_id", "ducklake_table", "schema_id = ? AND table_name = ?", schema_id, name
            )
        ]
        if not found:
            return None
        ((table_id,),) = found
        columns = rows(
            "column_id, column_name, column_type, parent_column",
            "ducklake_column",
            "table_id = ?",
            table_id,
        )

        def shape(column_id: int, kind: str) -> Any:
            nested = [
                (child_name, shape(child_id, child_kind))
                for child_id, child_name, child_kind, parent in columns
                if parent == column_id
            ]
            return column_id, kind, tuple(sorted(nested))

        return cls(
            table_id, {name: shape(i, kind) for i, name, kind, parent in columns if parent is None}
        )


# --- what is asked of the engine ------------------------------------------------------------------

_BEFORE, _BEGUN, _ENDED = "accounts_before", "accounts_begun", "accounts_ended"
"""Temporary tables of accounts: that shared at the first version, and that did only then or now."""


@dataclass(frozen=True)
class _Query:
    """SQL, and the values bound in it."""

    text: str
    parameters: list[object]


@dataclass
class _Span:
    """The changes of a table between two versions, in ``passes`` over its keys by hash.

    ``moved_at``: the snapshots that rows may have been moved by.

    Within a pass there are the temporary tables ``touched`` (the keys of what went or was moved),
    ``was`` (those that were there, with their fingerprints), ``kept`` (those of them that still
    are) and ``gone`` (those that are not).
    """

    reader: OpenSource
    table: Table
    columns: dict[str, SourceColumn]
    since: int
    version: int
    moved_at: tuple[int, ...]
    keys_at_once: int | None

    def __post_init__(self) -> None:
        self.passes = 1
        self._prepared: int | None = None
        self._numbers: dict[int, tuple[int, int]] = {}
        """Of each pass: how many were inserted, how many deleted."""
        sources = {column.name: column.source for column in self.table.columns}
        self._keys = tuple(dict.fromkeys(sources[name] for name in self.table.primary_key))
        # Names in the temporary tables, none of which is a column's.
        mark = "#"
        while any(name.startswith(mark) for name in self.columns):
            mark += "#"
        self._marked = tuple(identifier(f"{mark}{number}") for number in range(len(self._keys)))
        self._print = identifier(f"{mark}print")
        self._began = self._ended = False
        if self.table.account is not None:
            self._load(self.table.whose)
        self._fingerprint = fingerprint(
            tuple(
                self.columns[column.source]
                for column in self.table.read_columns
                if column.source not in self._keys
            )
        )

    def prepare(self, number: int) -> Iterator[bytes]:
        """Makes the tables of a pass; empty chunks while it waits.

        The first one finds out how many passes are needed. Raises IncrementsUnavailable.
        """
        if self._prepared == number:
            return
        self._prepared = None
        yield from self._touch(number)
        was = self._rows(self._before, [], _BEFORE)
        yield from self._make(
            "was",
            f"SELECT {self._key}, {self._fingerprint} AS {self._print} FROM ({was.text}) AS t "
            f"SEMI JOIN touched AS k ON {self._same_key}",
            was.parameters,
        )
        yield from self._check_unique()
        kept = self._rows(self._now, [])
        yield from self._make(
            "kept",
            f"SELECT {self._key} FROM ({kept.text}) AS t SEMI JOIN was AS k ON {self._same_key}",
            kept.parameters,
        )
        same = " AND ".join(f"t.{m} IS NOT DISTINCT FROM k.{m}" for m in self._marked)
        yield from self._make("gone", f"SELECT t.* FROM was AS t ANTI JOIN kept AS k ON {same}", [])
        came = self._came(number, Change.INSERTED)
        row = yield from self._ask(
            f"SELECT (SELECT count(*) FROM {came.text}), (SELECT count(*) FROM gone)",
            came.parameters,
        )
        self._numbers[number] = row
        self._prepared = number

    def rows(self, number: int, change: Change | None, file_format: FileFormat) -> _Query:
        """The rows of a prepared pass, encoded: of one kind of change, or of all (None)."""
        fields = fields_of(self.table, self.columns)
        queries = []
        if change is not Change.DELETED:
            came = self._came(number, change)
            name = (
                f"CASE WHEN k.{self._print} IS NULL THEN {literal(Change.INSERTED)} "
                f"ELSE {literal(Change.UPDATED)} END"
            )
            select = select_rows(name, fields, file_format)
            queries.append(_Query(f"SELECT {select} FROM {came.text}", came.parameters))
        if change in (None, Change.DELETED):
            keys = ", ".join(
                f"{marked} AS {identifier(key)}"
                for key, marked in zip(self._keys, self._marked, strict=True)
            )
            select = select_keys(fields, self.table.primary_key, file_format)
            queries.append(_Query(f"SELECT {select} FROM (SELECT {keys} FROM gone) AS t", []))
        return _Query(
            " UNION ALL ".join(query.text for query in queries),
            [value for query in queries for value in query.parameters],
        )

    def check(self) -> Iterator[bytes]:
        """Raises ResyncRequired if what was told does not add up; empty chunks while it counts."""
        before, now = self._rows(self._before, [], _BEFORE), self._rows(self._now, [])
        counted = yield from self._ask(
            f"SELECT (SELECT count(*) FROM ({before.text})), (SELECT count(*) FROM ({now.text}))",
            before.parameters + now.parameters,
        )
        inserted, deleted = map(sum, zip(*self._numbers.values(), strict=True))
        if counted[0] + inserted - deleted != counted[1]:
            raise ResyncRequired(
                "What the lake tells of the table's changes does not add up, or its primary key is "
                "not unique. Start a full export, and go on from its version.",
                tables=[{"table": self.table.name, "reason": "Its changes do not add up."}],
            )

    def _load(self, whose: SharedRows) -> None:
        connection = self.reader.connection
        load_accounts(connection, self.table)
        make_accounts(connection, _BEFORE, whose.before)
        make_accounts(connection, _BEGUN, whose.begun)
        make_accounts(connection, _ENDED, whose.ended)
        self._began, self._ended = bool(whose.begun), bool(whose.ended)

    @property
    def _went(self) -> _Query:
        """The keys of rows that went since, that were moved, or whose account shares no more."""
        found = [_Query(f"SELECT {self._key} FROM {self.deletions}", [])]
        if self.moved_at:
            moved = ", ".join(map(str, self.moved_at))
            found.append(self._keys_of(self._rows(self._now, [f"snapshot_id IN ({moved})"])))
        if self._ended:
            found.append(self._keys_of(self._rows(self._before, [], _ENDED, public=False)))
        return _Query(
            " UNION ALL ".join(query.text for query in found),
            [value for query in found for value in query.parameters],
        )

    def _keys_of(self, rows: _Query) -> _Query:
        return _Query(f"SELECT {self._key} FROM ({rows.text}) AS t", rows.parameters)

    @property
    def deletions(self) -> str:
        """What stands behind FROM for the rows that went since, intermediate ones among them."""
        schema, name = split_name(self.table.source)
        return (
            f"ducklake_table_deletions('source', {literal(schema)}, {literal(name)}, "
            f"{self.since}, {self.version})"
        )

    @property
    def _now(self) -> str:
        (scan,) = self.reader.scans(self.table.source, None)
        return scan.relation

    @property
    def _before(self) -> str:
        return f"{self._now} AT (VERSION => {self.since})"

    @property
    def _key(self) -> str:
        """The key's columns, by their names in the temporary tables."""
        return ", ".join(
            f"{identifier(key)} AS {marked}"
            for key, marked in zip(self._keys, self._marked, strict=True)
        )

    @property
    def _same_key(self) -> str:
        return " AND ".join(
            f"t.{identifier(key)} IS NOT DISTINCT FROM k.{marked}"
            for key, marked in zip(self._keys, self._marked, strict=True)
        )

    def _within(self, number: int, names: Sequence[str] | None = None) -> list[str]:
        """The condition of a pass, on the key by its own names or by these."""
        keys = ", ".join(names or map(identifier, self._keys))
        return [] if self.passes == 1 else [f"hash({keys}) % {self.passes} = {number}"]

    def _rows(
        self, relation: str, conditions: list[str], whose: str = SHARED, *, public: bool = True
    ) -> _Query:
        """The rows of the table that pass its filters; ``whose``: of the accounts in that table."""
        conditions = [*conditions, *of_accounts(self.table, whose, public=public)]
        parameters: list[object] = []
        for row_filter in self.table.filters:
            conditions.append(condition(row_filter, self.columns[row_filter.column]))
            parameters.extend(row_filter.values)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return _Query(f"SELECT * FROM {relation}{where}", parameters)

    def _came(self, number: int, change: Change | None) -> _Query:
        """What stands behind FROM for rows, ``t``, that came since and differ from what was."""
        differs = {
            None: f"k.{self._print} IS DISTINCT FROM {self._fingerprint}",
            Change.INSERTED: f"k.{self._print} IS NULL",
            Change.UPDATED: f"k.{self._print} <> {self._fingerprint}",
        }
        since = f"snapshot_id > {self.since}"
        if self._began:
            (begun,) = of_accounts(self.table, _BEGUN, public=False)
            since = f"({since} OR {begun})"
        rows = self._rows(self._now, [since, *self._within(number)])
        text = f"({rows.text}) AS t LEFT JOIN was AS k ON {self._same_key} WHERE {differs[change]}"
        return _Query(text, rows.parameters)

    def _touch(self, number: int) -> Iterator[bytes]:
        """The keys of what went or was moved, more than once perhaps."""
        went = self._went
        most = self.keys_at_once
        if most is not None and self.passes == 1:
            yield from self._make(
                "touched", f"SELECT * FROM ({went.text}) LIMIT {most + 1}", went.parameters
            )
            row = yield from self._ask("SELECT count(*) FROM touched", [])
            if row[0] <= most:
                return
            row = yield from self._ask(f"SELECT count(*) FROM ({went.text})", went.parameters)
            self.passes = math.ceil(row[0] / most)
        where = "".join(f" WHERE {one}" for one in self._within(number, self._marked))
        yield from self._make("touched", f"SELECT * FROM ({went.text}){where}", went.parameters)

    def _check_unique(self) -> Iterator[bytes]:
        row = yield from self._ask(
            "SELECT count(*) FROM (SELECT 1 FROM was "
            f"GROUP BY {', '.join(self._marked)} HAVING count(*) > 1)",
            [],
        )
        if row[0]:
            raise IncrementsUnavailable(
                f"The primary key of {self.table.name} is not unique in the source: export the "
                "table in full, as `entity`, until the catalog names a key that is.",
                tables=[self.table.name],
            )

    def _make(self, name: str, select: str, parameters: list[object]) -> Iterator[bytes]:
        yield from run(
            self.reader.connection, f"CREATE OR REPLACE TEMP TABLE {name} AS {select}", parameters
        )

    def _ask(self, select: str, parameters: list[object]) -> Generator[bytes, None, Any]:
        return (yield from run(self.reader.connection, select, parameters))


class _ChangeStream:
    """The document, iterated once; then ``rows`` are its changes."""

    def __init__(
        self,
        span: _Span,
        version: str,
        pipe: LastingPipe,
        file_format: FileFormat,
        compression: Compression,
    ) -> None:
        self._span, self._version, self._pipe = span, version, pipe
        self._format, self._compression = file_format, compression
        self._rows, self._ended = 0, False
        self._copy: CopyStream | None = None
        self.chunks = self._document()

    def __iter__(self) -> Iterator[bytes]:
        """The bytes; the end means complete."""
        return self.chunks

    @property
    def rows_so_far(self) -> int | None:
        """How many changes have come; None of Parquet."""
        under_way = self._copy.rows_so_far if self._copy else 0
        return None if self._format is FileFormat.PARQUET else self._rows + (under_way or 0)

    @property
    def rows(self) -> int:
        """How many changes there were; ValueError before the end."""
        if not self._ended:
            raise ValueError("The changes are known at the end of the stream.")
        return self._rows

    def _document(self) -> Generator[bytes]:
        match self._format:
            case FileFormat.PARQUET:
                yield from self._copied(None)
            case FileFormat.JSON:
                lists = (self._copied(change) for change in Change)
                framed = framed_lists(self._span.table.told_version(self._version), lists)
                yield from compressed(framed, self._compression)
            case _:
                yield from compressed(self._copied(None), self._compression)
        yield from self._span.check()
        self._ended = True

    def _copied(self, change: Change | None) -> Iterator[bytes]:
        """The rows of all passes, one pass behind the other."""
        number = 0
        while number < self._span.passes:
            yield from self._span.prepare(number)
            query = self._span.rows(number, change, self._format)
            header = number == 0
            self._pipe.renew()
            with CopyStream(
                self._pipe,
                self._span.reader.connection,
                query.text,
                query.parameters,
                copy_options(self._format, self._compression, header=header),
                counter=row_counter(self._format, header=header),
            ) as copy:
                self._copy = copy
                yield from copy
                self._copy = None
                self._rows += copy.rows
            number += 1
