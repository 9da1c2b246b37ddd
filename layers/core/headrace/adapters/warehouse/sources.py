"""The kinds of source: how each is opened at a version, and what it reads its rows by.

==========  =====================================  ==================================  ===========
kind        opened                                 version                             position
==========  =====================================  ==================================  ===========
ducklake    attached read-only at a snapshot       the snapshot's id                   ``rowid``
duckdb      attached read-only                     fingerprint of the file             ``rowid``
parquet     its files listed                       fingerprint of all its files        row number
                                                                                       over files
delta,      folders with a log each, read at a     every table's version               the same
iceberg     version of it
staged      the files that a query unloaded        the same as of parquet              the same
==========  =====================================  ==================================  ===========

A *position* orders a table's rows at a version, so that ranges of positions split it. The engine
skips row groups and whole files by it (measured, 600,000 rows in one file: a twelfth of the rows
by ``rowid`` costs a fifth of a full scan of four columns, 20 of 94 ms of CPU, most of it fixed).
"""

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import duckdb

from headrace.adapters.postgresql.connection import (
    UNPROVEN,
    connection_parameters,
    is_unproven,
    secret_was_renewed,
)
from headrace.adapters.sql_text import identifier, literal, split_name
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.delta import DeltaFormat
from headrace.adapters.warehouse.engine import Connection, Limits
from headrace.adapters.warehouse.storage import Storage, storage_of
from headrace.adapters.warehouse.table_files import VIRTUAL, TableColumn, TableFiles, relation
from headrace.adapters.warehouse.values import REFUSAL, classify
from headrace.exports.model import RowRange
from headrace.exports.ports import SourceColumn
from headrace.exports.sources import ColumnType, Source
from headrace.kernel.errors import (
    HeadraceError,
    SourceChanged,
    SourceUnavailable,
    ValueNotExportable,
)

_log = logging.getLogger(__name__)

LAST_POSITION = 2**53 - 1
"""Beyond every position, and still exact where JSON numbers are doubles."""

_BUSY = ("database is locked", "Could not set lock", "SQLITE_BUSY")
_BUSY_TIMEOUT_MS = 1000
_PAUSE_S = 0.2
"""SQLite waits for so long of itself; then there is a pause, and another try."""


@dataclass(frozen=True)
class Scan:
    """Rows to read: what stands behind FROM, and conditions that stand behind WHERE."""

    relation: str
    conditions: tuple[str, ...] = ()


def query_scan(query: str) -> Scan:
    """What a query gives, read as a table is. It is a template's, and so the operator's own SQL."""
    return Scan(f"({query}\n)")  # it may end in a comment


class OpenSource(Protocol):
    """A source opened at a version, locked down to its own files."""

    @property
    def connection(self) -> Connection:
        """The engine; ``source`` is what is attached, if anything is."""
        ...

    def tables(self) -> tuple[str, ...]:
        """All tables, as ``schema.table``."""
        ...

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        """The columns of ``schema.table``; empty if there is no such table."""
        ...

    def query_columns(self, query: str) -> tuple[SourceColumn, ...]:
        """The columns of what a SELECT gives, which names tables as ``schema.table``."""
        ...

    def position(self, table: str) -> str | None:
        """SQL of a row's position; None if the table has none and cannot be split."""
        ...

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        """What to read, in order, for the range (None: for the whole table)."""
        ...

    def verify(self) -> None:
        """Raises SourceChanged if what was read may be of more than one version."""
        ...

    def check_held(self) -> None:
        """Raises SourceChanged if a table can no longer be read at the version."""
        ...


def translated(error: duckdb.Error) -> HeadraceError:
    """What the engine's error means. Its text may quote values or paths, so it is not passed on."""
    text = str(error)
    if REFUSAL in text:
        reason = text.split(REFUSAL, 1)[1].splitlines()[0]
        return ValueNotExportable(f"A {reason} (docs/types.md).")
    if "No snapshot found" in text:
        return SourceChanged("The source no longer holds the version asked for.")
    match error:
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return ValueNotExportable("A value is too large for its type in this format.")
        case duckdb.OutOfMemoryException():
            return SourceUnavailable("The rows need more memory than a worker has.")
        case duckdb.PermissionException():
            return SourceUnavailable("The source has files outside its data path.")
        case duckdb.BinderException() | duckdb.CatalogException():
            return SourceChanged("A table or column is no longer as it was when it was published.")
        case _:
            return SourceUnavailable("The source cannot be read now.")


_WITHOUT_DATA = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.PermissionException,
)


def cause(error: duckdb.Error) -> duckdb.Error | None:
    """The error, to be raised from, if its text can hold no data: causes are logged.

    Of any other its kind is logged here, or nobody could tell what happened.
    """
    if isinstance(error, _WITHOUT_DATA):
        return error
    _log.warning("the engine ended a query: %s", type(error).__name__)
    return None


@contextmanager
def errors_translated() -> Iterator[None]:
    """Errors of the engine within become ours."""
    try:
        yield
    except duckdb.Error as error:
        raise translated(error) from cause(error)


@contextmanager
def opened(
    source: Source,
    version: str | None,
    limits: Limits,
    writable_files: tuple[str, ...] = (),
    *,
    ordered: bool = True,
    joins: bool = False,
) -> Iterator[OpenSource]:
    """The source at ``version`` (None: as it is now); ``writable_files`` stay reachable.

    ``ordered`` and ``joins`` are those of ``engine.connect``.

    Raises SourceUnavailable, and SourceChanged if it no longer holds the version.
    """
    opener = _OPENERS.get(source.kind)
    if opener is None:
        raise SourceUnavailable(f"Sources of kind {source.kind} are not known here.")
    with errors_translated():
        connection, reader = _when_free(
            lambda: engine.connect(
                limits, ordered=ordered, joins=joins, statistics=source.kind != "ducklake"
            ),
            lambda connection: opener(connection, source, version, writable_files),
            limits.patience_s,
        )
    try:
        with errors_translated():
            yield reader
    finally:
        connection.close()


_Opener = Callable[[Connection, Source, str | None, tuple[str, ...]], OpenSource]


def _when_free(
    connect: Callable[[], Connection],
    attach: Callable[[Connection], OpenSource],
    patience_s: float,
) -> tuple[Connection, OpenSource]:
    """Opens the source, again after a pause while a writer holds it."""
    deadline = time.monotonic() + patience_s
    while True:
        connection = connect()
        try:
            return connection, attach(connection)
        except duckdb.Error as error:
            connection.close()
            if time.monotonic() > deadline or not any(sign in str(error) for sign in _BUSY):
                raise
            time.sleep(_PAUSE_S)
        except BaseException:
            connection.close()
            raise


def _option(source: Source, name: str) -> str:
    value = source.options.get(name)
    if not value:
        raise SourceUnavailable(f"The source {source.name} lacks its option {name}.")
    return value


def _folder(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"


# --- DuckLake and DuckDB: a database, attached -----------------------------------------------


@dataclass(frozen=True)
class _Attached:
    """Tables of the database attached as ``source``."""

    connection: Connection
    unchanged: Callable[[], None]

    def tables(self) -> tuple[str, ...]:
        rows = self.connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = 'source' AND NOT contains(schema_name, '.') ORDER BY 1"
        ).fetchall()
        return tuple(row[0] for row in rows)

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        schema, name = split_name(table)
        rows = self.connection.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE database_name = 'source' AND schema_name = ? AND table_name = ? "
            "ORDER BY column_index",
            [schema, name],
        ).fetchall()
        return tuple(
            classify(column, self.connection.sqltype(data_type), nullable=nullable)
            for column, data_type, nullable in rows
        )

    def query_columns(self, query: str) -> tuple[SourceColumn, ...]:
        self.connection.execute("USE source")
        asked = f"DESCRIBE SELECT * FROM {query_scan(query).relation}"  # noqa: S608
        if len(self.connection.extract_statements(asked)) > 1:
            raise duckdb.ParserException("It is more than one statement.")
        rows = self.connection.execute(asked).fetchall()
        return tuple(
            # The engine calls NOT NULL what an outer join may leave empty.
            replace(
                classify(row[0], self.connection.sqltype(row[1]), nullable=True), promised=False
            )
            for row in rows
        )

    def position(self, table: str) -> str | None:
        # A column of this name hides the row's own.
        names = {column.name.lower() for column in self.columns(table)}
        return None if "rowid" in names else "rowid"

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        schema, name = split_name(table)
        relation = f"source.{identifier(schema)}.{identifier(name)}"
        if row_range is None:
            return (Scan(relation),)
        return (Scan(relation, (_between("rowid", row_range),)),)

    def verify(self) -> None:
        self.unchanged()

    def check_held(self) -> None:
        """It was when it was attached."""


def _between(position: str, row_range: RowRange) -> str:
    return f"{position} BETWEEN {int(row_range.first)} AND {int(row_range.last)}"


def _open_ducklake(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    kind, _, place = _option(source, "catalog").partition(":")
    attach = _CATALOGS.get(kind)
    if attach is None:
        raise SourceUnavailable(
            f"The source {source.name} has a catalog of kind {kind}: "
            f"use one of {', '.join(_CATALOGS)}."
        )
    engine.load_extension(connection, "ducklake")
    options = ["READ_ONLY"]
    data_path = source.options.get("data_path", "")
    if data_path:
        options.append(f"DATA_PATH {literal(_folder(data_path))}, OVERRIDE_DATA_PATH true")
    number = None if version is None else lake_snapshot(version)
    if number is not None:
        options.append(f"SNAPSHOT_VERSION {number}")
    elif version is not None:
        raise SourceChanged(_NOT_HELD)
    remote = engine.is_remote(data_path) or engine.is_remote(place)
    if remote:
        engine.allow_s3(connection)
    elif not data_path:  # It is the catalog that says where they are: perhaps in S3.
        engine.load_extension(connection, "httpfs")
    attach(connection, source, place, options)
    if number is not None and lake_versions(connection, source, number).get(number) != version:
        raise SourceChanged(_NOT_HELD)
    if kind == "sqlite" and version is None:
        _warn_unless_wal(connection, source)
    data = connection.execute("SELECT data_path FROM ducklake_settings('source')").fetchone()
    if data and engine.is_remote(data[0]) and not remote:
        engine.allow_s3(connection)
    engine.lock_down(connection, [_folder(data[0])] if data else [], files)
    return _Attached(connection, lambda: None)


_NOT_HELD = "The source no longer holds the version asked for."


def lake_catalog(source: Source) -> str:
    """Where an attached DuckLake's own tables are, as SQL."""
    catalog = "__ducklake_metadata_source"
    if schema := source.options.get("metadata_schema"):
        catalog = f"{catalog}.{identifier(schema)}"
    return catalog


def lake_versions(
    connection: Connection, source: Source, number: int | None = None
) -> dict[int, str]:
    """The versions of an attached DuckLake by the numbers of their snapshots: all, or of one.

    A version is the snapshot's number and when it was committed, as a lake that was made anew or
    restored from a copy comes to the same numbers with other rows.
    """
    chosen = "" if number is None else f" WHERE snapshot_id = {int(number)}"
    rows = connection.execute(
        "SELECT snapshot_id, strftime(make_timestamp(epoch_us(CAST(snapshot_time AS TIMESTAMPTZ))),"  # noqa: S608
        f" '%Y-%m-%dT%H:%M:%S.%fZ') FROM {lake_catalog(source)}.ducklake_snapshot{chosen}"
    ).fetchall()
    return {int(found): f"{found}@{moment}" for found, moment in rows}


def lake_snapshot(version: str) -> int | None:
    """The number of the snapshot that a version of a DuckLake names; None if it is no such one."""
    number, at, _ = version.partition("@")
    canonical = re.fullmatch(r"0|[1-9][0-9]{0,18}", number)
    return int(number) if at and canonical else None


def _attach_lake(connection: Connection, target: str, options: list[str]) -> None:
    place = literal(f"ducklake:{target}")
    connection.execute(f"ATTACH {place} AS source ({', '.join(options)})")


def _attach_over_duckdb(
    connection: Connection, _source: Source, place: str, options: list[str]
) -> None:
    _attach_lake(connection, place, options)


def _attach_over_sqlite(
    connection: Connection, _source: Source, place: str, options: list[str]
) -> None:
    engine.load_extension(connection, "sqlite_scanner")
    busy_timeout = f"META_BUSY_TIMEOUT {_BUSY_TIMEOUT_MS}"
    _attach_lake(connection, f"sqlite:{place}", [*options, busy_timeout])


def _attach_over_postgresql(
    connection: Connection, source: Source, database: str, options: list[str]
) -> None:
    if re.search(r"[^\w-]", database):
        raise SourceUnavailable(
            f"The source {source.name} has a catalog postgres: with more than a database's name "
            "behind it; host, port and secret are options of their own."
        )
    if database:
        source = replace(source, options={**source.options, "database": database})
    if schema := source.options.get("metadata_schema"):
        options = [*options, f"META_SCHEMA {literal(schema)}"]
    engine.load_extension(connection, "postgres_scanner")

    def attach() -> None:
        rest = engine.keep_secret(connection, connection_parameters(source))
        _attach_lake(connection, f"postgres:{rest}", options)

    try:
        attach()
    except duckdb.Error as error:
        if is_unproven(str(error)):
            raise SourceUnavailable(UNPROVEN) from None
        if "authentication failed" not in str(error):
            raise
        if not secret_was_renewed(source):
            raise SourceUnavailable(
                f"The database of the source {source.name} refuses its user or password."
            ) from None
        attach()


_CATALOGS: Mapping[str, Callable[[Connection, Source, str, list[str]], None]] = {
    "sqlite": _attach_over_sqlite,
    "postgres": _attach_over_postgresql,
    "duckdb": _attach_over_duckdb,
}
"""The kinds of database that a DuckLake has its catalog in: how each is attached."""


def _warn_unless_wal(connection: Connection, source: Source) -> None:
    # With the rollback journal, the transaction that a long read holds open keeps every writer
    # from committing; with a write-ahead log it does not. Asked through the engine's own SQLite:
    # closing the file through another would drop that one's locks on it.
    mode = connection.execute(
        "FROM sqlite_query('__ducklake_metadata_source', 'PRAGMA journal_mode')"
    ).fetchone()
    if mode != ("wal",):
        _log.warning(
            "source %s: its SQLite catalog is not in WAL mode, so a loader cannot commit while "
            "an export reads; switch it once with PRAGMA journal_mode=WAL",
            source.name,
        )


def _ducklake_version(reader: OpenSource, source: Source) -> str:
    row = reader.connection.execute("SELECT id FROM ducklake_current_snapshot('source')").fetchone()
    if row is None:
        raise SourceUnavailable("The DuckLake has no snapshot.")
    number = int(row[0])
    return lake_versions(reader.connection, source, number)[number]


def _open_duckdb(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    path = Path(_option(source, "path"))
    unchanged = _unchanged(lambda: _fingerprint(_database_files(path)), version)
    unchanged()
    connection.execute(f"ATTACH {literal(str(path))} AS source (READ_ONLY)")
    engine.lock_down(connection, [], files)
    return _Attached(connection, unchanged)


def _database_files(path: Path) -> dict[str, tuple[int, int]]:
    # What was committed last may still be in the log beside the file.
    found = {}
    for file in (path, path.with_name(path.name + ".wal")):
        if file.exists():
            found[file.name] = _size_and_time(file)
    if path.name not in found:
        raise SourceUnavailable("The DuckDB file of the source is not there.")
    return found


# --- Parquet: a folder of files ----------------------------------------------------------------


@dataclass(frozen=True)
class _Folder:
    """Tables made of Parquet files, each a list of paths in their order."""

    connection: Connection
    files: Mapping[str, tuple[str, ...]]
    unchanged: Callable[[], None]

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(f"main.{name}" for name in self.files))

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        if not self._paths(table):
            return ()
        rows = self.connection.execute(f"DESCRIBE FROM {self._relation(table)}").fetchall()
        return tuple(
            replace(
                classify(row[0], self.connection.sqltype(row[1]), nullable=True), promised=False
            )
            for row in rows
        )

    def query_columns(self, query: str) -> tuple[SourceColumn, ...]:
        raise SourceUnavailable("Files have no database that a query could be run in.")

    def position(self, table: str) -> str | None:
        names = {column.name.lower() for column in self.columns(table)}
        if names & {"file_row_number", "file_index", "filename"}:
            return None
        starts = ", ".join(str(start) for _, start, _ in self._extents(table))
        return f"[{starts}][file_index::BIGINT + 1] + file_row_number"

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        relation = self._relation(table)
        if row_range is None:
            return (Scan(relation),)
        # Conditions on the file's name alone keep the engine from opening the others, those on
        # the row's number from reading other row groups; so neighbouring whole files share a scan.
        scans: list[Scan] = []
        whole: list[str] = []

        def close_whole() -> None:
            if whole:
                listed = ", ".join(literal(path) for path in whole)
                scans.append(Scan(relation, (f"filename IN ({listed})",)))
                whole.clear()

        for path, start, rows in self._extents(table):
            first = max(row_range.first - start, 0)
            last = min(row_range.last - start, rows - 1)
            if first > last:
                continue
            if (first, last) == (0, rows - 1):
                whole.append(path)
                continue
            close_whole()
            within = f"file_row_number BETWEEN {first} AND {last}"
            scans.append(Scan(relation, (f"filename = {literal(path)}", within)))
        close_whole()
        return tuple(scans)

    def verify(self) -> None:
        self.unchanged()

    def check_held(self) -> None:
        """It was when the files were listed."""

    def _paths(self, table: str) -> tuple[str, ...]:
        schema, name = split_name(table)
        return self.files.get(name, ()) if schema == "main" else ()

    def _relation(self, table: str) -> str:
        listed = ", ".join(literal(path) for path in self._paths(table))
        return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"

    def _extents(self, table: str) -> list[tuple[str, int, int]]:
        """Each file's path, the position of its first row, and its number of rows."""
        listed = ", ".join(literal(path) for path in self._paths(table))
        rows = dict(
            self.connection.execute(
                f"SELECT file_name, num_rows FROM parquet_file_metadata([{listed}])"  # noqa: S608
            ).fetchall()
        )
        extents, start = [], 0
        for path in self._paths(table):
            extents.append((path, start, rows[path]))
            start += rows[path]
        return extents


def _open_parquet(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    root = _folder(_option(source, "path"))
    if engine.is_remote(root):
        engine.allow_s3(connection)

    def listing() -> dict[str, tuple[int, int]]:
        return _remote_files(connection, root) if engine.is_remote(root) else _local_files(root)

    found = listing()
    unchanged = _unchanged(lambda: _fingerprint(listing()), version)
    unchanged()
    tables: dict[str, tuple[str, ...]] = {}
    for relative in sorted(found):
        name = relative.split("/")[0].removesuffix(".parquet")
        if "/" not in relative and name in {other.split("/")[0] for other in found}:
            raise SourceUnavailable(
                f"The source {source.name} has both a file and a folder for the table {name}."
            )
        tables[name] = (*tables.get(name, ()), root + relative)
    engine.lock_down(connection, [root], files)
    return _Folder(connection, tables, unchanged)


def _local_files(root: str) -> dict[str, tuple[int, int]]:
    folder = Path(root)
    if not folder.is_dir():
        raise SourceUnavailable("The folder of the source is not there.")
    found = (*folder.glob("*.parquet"), *folder.glob("*/*.parquet"))
    return {
        file.relative_to(folder).as_posix(): _size_and_time(file)
        for file in found
        if file.is_file()
    }


def _remote_files(
    connection: Connection, root: str, pattern: str = "**/*.parquet"
) -> dict[str, tuple[int, int]]:
    try:
        rows = connection.execute(
            "SELECT filename, size, epoch_us(last_modified) FROM read_blob(?)",
            [f"{root}{pattern}"],
        ).fetchall()
    except duckdb.IOException as error:
        if "No files found" not in str(error):
            raise
        return {}
    found = {name.removeprefix(root): (size, modified) for name, size, modified in rows}
    return {name: facts for name, facts in found.items() if name.count("/") <= 1}


# --- rows that another engine unloaded: Parquet files of any name, one table ------------------


_STAGED_TYPES: Mapping[ColumnType, str] = {
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.BIGINT: "BIGINT",
    ColumnType.DOUBLE: "DOUBLE",
    ColumnType.STRING: "VARCHAR",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.BINARY: "BLOB",
    ColumnType.JSON: "JSON",
}
"""What a column is where no file says it: a query without rows leaves none."""


@dataclass(frozen=True)
class _Staged(_Folder):
    """Unloaded rows under the names that their columns have in the source.

    ``relation`` has the columns ``names`` last; before them those that tell a row's position, which
    it lacks where a name is one of theirs.
    """

    relation: str
    names: tuple[str, ...]

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        rows = self.connection.execute(f"DESCRIBE FROM {self.relation}").fetchall()
        return tuple(
            classify(row[0], self.connection.sqltype(row[1]), nullable=True)
            for row in rows[-len(self.names) :]
        )

    def position(self, table: str) -> str | None:
        return super().position(table) if self._paths(table) else None

    def _relation(self, table: str) -> str:
        return self.relation


def _open_staged(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    root = _folder(_option(source, "path"))
    engine.allow_s3(connection)
    found = _remote_files(connection, root, "**")
    unchanged = _unchanged(lambda: _fingerprint(_remote_files(connection, root, "**")), version)
    unchanged()
    engine.lock_down(connection, [root], files)
    paths = tuple(root + name for name in sorted(found))
    columns = json.loads(_option(source, "columns"))
    names = tuple(column["name"] for column in columns)
    relation = _staged_relation(connection, paths, columns)
    return _Staged(connection, {"rows": paths}, unchanged, relation, names)


def _staged_relation(
    connection: Connection, paths: tuple[str, ...], columns: list[dict[str, Any]]
) -> str:
    """The rows, with their columns as the source calls them."""
    if not paths:
        empty = (f"CAST(NULL AS {_staged_type(c)}) AS {identifier(c['name'])}" for c in columns)
        return f"(SELECT {', '.join(empty)} WHERE false)"
    listed = ", ".join(literal(path) for path in paths)
    read = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM {read}").fetchall()}
    names = {column["name"].lower() for column in columns}
    chosen = [name for name in VIRTUAL if not names & set(VIRTUAL)]
    for index, column in enumerate(columns):
        value = f"c{index}"
        # Timestamps are unloaded as text. All else is what the file says, and held against what
        # was published as in every source.
        if column["type"] == ColumnType.TIMESTAMP and types.get(value) == "VARCHAR":
            value = f"CAST({value} AS TIMESTAMP)"
        chosen.append(f"{value} AS {identifier(column['name'])}")
    return f"(SELECT {', '.join(chosen)} FROM {read})"  # noqa: S608


def _staged_type(column: Mapping[str, Any]) -> str:
    if column["type"] == ColumnType.DECIMAL:
        return f"DECIMAL({int(column['precision'])},{int(column['scale'])})"
    return _STAGED_TYPES[ColumnType(column["type"])]


# --- Delta and Iceberg: folders of tables, each with a log of its own ------------------------


class _TableFormat(Protocol):
    """An open format of tables. ``folder`` ends with a slash."""

    def version(self, storage: Storage, folder: str) -> str | None:
        """The version that the table in ``folder`` is at; None if there is no table."""
        ...

    def changed_at(self, storage: Storage, folder: str) -> datetime | None:
        """When rows of the table in ``folder`` last changed; None if there is no table."""
        ...

    def table(
        self, storage: Storage, connection: Connection, folder: str, version: str
    ) -> TableFiles:
        """The table at a version. Raises SourceChanged if it can no longer be read at it."""
        ...


@dataclass(frozen=True)
class _LoggedTables(_Folder):
    """Tables of an open format, each at the version that ``versions`` has for its name."""

    form: _TableFormat
    storage: Storage
    root: str
    versions: Mapping[str, str]
    read: dict[str, TableFiles]

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(f"main.{name}" for name in self.versions))

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        found = self._read(table)
        return tuple(self._column(column) for column in found.columns) if found else ()

    def position(self, table: str) -> str | None:
        return super().position(table) if self._paths(table) else None

    def scans(self, table: str, row_range: RowRange | None) -> tuple[Scan, ...]:
        self._check_ids(table)
        return super().scans(table, row_range)

    def check_held(self) -> None:
        for table in self.tables():
            self._read(table)

    def _column(self, column: TableColumn) -> SourceColumn:
        if column.reason is not None:
            return SourceColumn(
                column.name, column.type, None, column.nullable, reason=column.reason
            )
        kind = self.connection.sqltype(column.type)
        described = classify(column.name, kind, nullable=column.nullable)
        return replace(described, promised=not column.nullable)

    def _read(self, table: str) -> TableFiles | None:
        schema, name = split_name(table)
        version = self.versions.get(name)
        if schema != "main" or version is None:
            return None
        if name not in self.read:
            folder = f"{self.root}{name}/"
            self.read[name] = self.form.table(self.storage, self.connection, folder, version)
        return self.read[name]

    def _paths(self, table: str) -> tuple[str, ...]:
        found = self._read(table)
        return found.paths if found else ()

    def _relation(self, table: str) -> str:
        found = self._read(table)
        if found is None:
            raise SourceChanged("The source no longer has a table that was published.")
        return relation(found, self._deleted(table, found))

    def _deleted(self, table: str, found: TableFiles) -> str | None:
        """The name of the engine's table of the rows that are deleted, made when first needed."""
        if all(file.deleted is None for file in found.files):
            return None
        deleted = f"temp.{identifier(f'deleted from {table}')}"
        if self.connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [f"deleted from {table}"]
        ).fetchone():
            return deleted
        self.connection.execute(f"CREATE TEMP TABLE {deleted}(file UBIGINT, row BIGINT)")
        for index, file in enumerate(found.files):
            rows = file.deleted() if file.deleted else ()
            for start in range(0, len(rows), _DELETED_AT_ONCE):
                # A list is bound value by value, which takes a hundred times as long.
                text = ",".join(map(str, rows[start : start + _DELETED_AT_ONCE]))
                self.connection.execute(
                    f"INSERT INTO {deleted} "
                    "SELECT ?::UBIGINT, unnest(string_split(?, ',')::BIGINT[])",
                    [index, text],
                )
        return deleted

    def _check_ids(self, table: str) -> None:
        """Where columns are told by fields' ids, a file without any would read as all NULL."""
        found = self._read(table)
        if not found or not found.files or not any(isinstance(c.key, int) for c in found.columns):
            return
        listed = ", ".join(literal(path) for path in found.paths)
        with_ids = self.connection.execute(
            "SELECT count(DISTINCT file_name) FROM "  # noqa: S608
            f"parquet_schema([{listed}]) WHERE field_id IS NOT NULL"
        ).fetchone()
        if with_ids != (len(found.files),):
            raise SourceUnavailable(
                "A file of the table does not tell its columns by ids, as the table does."
            )


_DELETED_AT_ONCE = 100_000
_FORMATS: Mapping[str, _TableFormat] = {"delta": DeltaFormat()}
_MAX_VERSION_CHARACTERS = 16_384


def _versions_now(source: Source) -> dict[str, str]:
    """Every table's version, as the folder has it now."""
    root = _folder(_option(source, "path"))
    storage, form = storage_of(root), _FORMATS[source.kind]
    found = {name: form.version(storage, f"{root}{name}/") for name in storage.folders(root)}
    versions = {name: version for name, version in found.items() if version is not None}
    if not versions:
        raise SourceUnavailable(f"There is no {source.kind} table in the source's folder.")
    return versions


def _version_text(versions: Mapping[str, str]) -> str:
    text = urlencode(sorted(versions.items()))
    if len(text) > _MAX_VERSION_CHARACTERS:
        raise SourceUnavailable(
            "The source has more tables than a version can name; put them into several folders, "
            "each a source."
        )
    return text


def _open_logged_tables(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    root = _folder(_option(source, "path"))
    versions = _versions_now(source) if version is None else dict(parse_qsl(version))
    if engine.is_remote(root):
        engine.allow_s3(connection)
    # The rows are the side of the join that streams, however many of them are deleted.
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    engine.lock_down(connection, [root], files)
    return _LoggedTables(
        connection, {}, lambda: None, _FORMATS[source.kind], storage_of(root), root, versions, {}
    )


# --- fingerprints --------------------------------------------------------------------------------


def _size_and_time(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


def _fingerprint(files: Mapping[str, tuple[int, int]]) -> str:
    """Names, sizes and times of change; a file rewritten in place has another time."""
    digest = hashlib.sha256()
    for name in sorted(files):
        size, changed = files[name]
        digest.update(f"{name}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()[:32]


def _unchanged(fingerprint: Callable[[], str], version: str | None) -> Callable[[], None]:
    """A check against ``version``, or without one against what is there at the first call."""
    expected = [version]

    def check() -> None:
        now = fingerprint()
        if expected[0] is None:
            expected[0] = now
        if now != expected[0]:
            raise SourceChanged("The files of the source have changed since the version was taken.")

    return check


_OPENERS: Mapping[str, _Opener] = {
    "ducklake": _open_ducklake,
    "duckdb": _open_duckdb,
    "parquet": _open_parquet,
    "delta": _open_logged_tables,
    "staged": _open_staged,
}


def current_version(source: Source, limits: Limits) -> str:
    """The version that a read begun now would see."""
    match source.kind:
        case "duckdb":
            return _fingerprint(_database_files(Path(_option(source, "path"))))
        case "parquet" if not engine.is_remote(_option(source, "path")):
            return _fingerprint(_local_files(_folder(_option(source, "path"))))
        case "parquet" | "staged":
            pattern = "**" if source.kind == "staged" else "**/*.parquet"
            return _fingerprint(_listed(source, limits, pattern))
        case "delta" | "iceberg":
            return _version_text(_versions_now(source))
        case _:
            with opened(source, None, limits) as reader:
                return _ducklake_version(reader, source)


def _listed(source: Source, limits: Limits, pattern: str) -> dict[str, tuple[int, int]]:
    """The files of a folder in S3."""
    with errors_translated():
        connection = engine.connect(limits)
        try:
            engine.allow_s3(connection)
            return _remote_files(connection, _folder(_option(source, "path")), pattern)
        finally:
            connection.close()


# --- how new the data is -------------------------------------------------------------------------


def changed_at(source: Source, limits: Limits) -> datetime | None:
    """When the source's data last changed, in any of its tables; None if there is none."""
    match source.kind:
        case "duckdb":
            files = _database_files(Path(_option(source, "path")))
            return _latest(files, per_second=1_000_000_000)
        case "parquet" if not engine.is_remote(_option(source, "path")):
            files = _local_files(_folder(_option(source, "path")))
            return _latest(files, per_second=1_000_000_000)
        case "parquet":
            return _latest(_listed(source, limits, "**/*.parquet"), per_second=1_000_000)
        case "delta" | "iceberg":
            root = _folder(_option(source, "path"))
            storage, form = storage_of(root), _FORMATS[source.kind]
            found = [form.changed_at(storage, f"{root}{n}/") for n in storage.folders(root)]
            moments = [one for one in found if one is not None]
            if not moments:
                raise SourceUnavailable(f"There is no {source.kind} table in the source's folder.")
            return max(moments)
        case _:
            with opened(source, None, limits) as reader:
                return _lake_changed_at(reader.connection, source)


def _latest(files: Mapping[str, tuple[int, int]], *, per_second: int) -> datetime | None:
    changed = max((changed for _, changed in files.values()), default=None)
    return None if changed is None else datetime.fromtimestamp(changed / per_second, UTC)


_ROWS_CHANGED = "(^|,)(inserted_into_table|deleted_from_table|inlined_insert|inlined_delete):"
"""What a DuckLake calls that in ``ducklake_snapshot_changes``; a snapshot may have done several
things. Others made it for tables and views, or only to rearrange the files."""


def _lake_changed_at(connection: Connection, source: Source) -> datetime:
    """When the newest of its snapshots was committed that changed rows.

    Where it holds none, its rows are as they were at the oldest that it holds.
    """
    catalog = lake_catalog(source)
    row = connection.execute(
        "SELECT coalesce(max(epoch_us(moment)) FILTER (WHERE changed), min(epoch_us(moment))) "  # noqa: S608
        "FROM (SELECT CAST(s.snapshot_time AS TIMESTAMPTZ) AS moment, "
        "coalesce(regexp_matches(c.changes_made, ?), false) AS changed "
        f"FROM {catalog}.ducklake_snapshot s "
        f"LEFT JOIN {catalog}.ducklake_snapshot_changes c USING (snapshot_id))",
        [_ROWS_CHANGED],
    ).fetchone()
    if row is None or row[0] is None:
        raise SourceUnavailable("The DuckLake has no snapshot.")
    return datetime.fromtimestamp(row[0] / 1_000_000, UTC)
