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

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.duckdb_file import database_files, open_duckdb
from headrace.adapters.warehouse.ducklake import current_snapshot, open_ducklake, rows_changed_at
from headrace.adapters.warehouse.engine import Connection, Limits
from headrace.adapters.warehouse.engine_errors import errors_translated
from headrace.adapters.warehouse.fingerprints import fingerprint
from headrace.adapters.warehouse.logged_tables import (
    newest_change,
    open_logged_tables,
    version_text,
    versions_now,
)
from headrace.adapters.warehouse.open_source import OpenSource, folder_path, option
from headrace.adapters.warehouse.parquet import local_files, open_parquet, remote_files
from headrace.adapters.warehouse.staged import open_staged
from headrace.exports.sources import Source
from headrace.kernel.errors import SourceUnavailable

_BUSY = ("database is locked", "Could not set lock", "SQLITE_BUSY")
_PAUSE_S = 0.2


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


_OPENERS: Mapping[str, _Opener] = {
    "ducklake": open_ducklake,
    "duckdb": open_duckdb,
    "parquet": open_parquet,
    "delta": open_logged_tables,
    "staged": open_staged,
}


def current_version(source: Source, limits: Limits) -> str:
    """The version that a read begun now would see."""
    match source.kind:
        case "duckdb":
            return fingerprint(database_files(Path(option(source, "path"))))
        case "parquet" if not engine.is_remote(option(source, "path")):
            return fingerprint(local_files(folder_path(option(source, "path"))))
        case "parquet" | "staged":
            pattern = "**" if source.kind == "staged" else "**/*.parquet"
            return fingerprint(_listed(source, limits, pattern))
        case "delta" | "iceberg":
            return version_text(versions_now(source))
        case _:
            with opened(source, None, limits) as reader:
                return current_snapshot(reader, source)


def _listed(source: Source, limits: Limits, pattern: str) -> dict[str, tuple[int, int]]:
    """The files of a folder in S3."""
    with errors_translated():
        connection = engine.connect(limits)
        try:
            engine.allow_s3(connection)
            return remote_files(connection, folder_path(option(source, "path")), pattern)
        finally:
            connection.close()


def changed_at(source: Source, limits: Limits) -> datetime | None:
    """When the source's data last changed, in any of its tables; None if there is none."""
    match source.kind:
        case "duckdb":
            files = database_files(Path(option(source, "path")))
            return _latest(files, per_second=1_000_000_000)
        case "parquet" if not engine.is_remote(option(source, "path")):
            files = local_files(folder_path(option(source, "path")))
            return _latest(files, per_second=1_000_000_000)
        case "parquet":
            return _latest(_listed(source, limits, "**/*.parquet"), per_second=1_000_000)
        case "delta" | "iceberg":
            return newest_change(source)
        case _:
            with opened(source, None, limits) as reader:
                return rows_changed_at(reader.connection, source)


def _latest(files: Mapping[str, tuple[int, int]], *, per_second: int) -> datetime | None:
    changed = max((changed for _, changed in files.values()), default=None)
    return None if changed is None else datetime.fromtimestamp(changed / per_second, UTC)
