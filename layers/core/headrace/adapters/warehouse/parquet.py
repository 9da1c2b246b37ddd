"""Folders of Parquet files: a file, or a folder of files, is a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from headrace.adapters.sql_text import literal, split_name
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.fingerprints import check_unchanged, fingerprint, size_and_time
from headrace.adapters.warehouse.layouts import inexact, layouts_of
from headrace.adapters.warehouse.open_source import OpenSource, Scan, folder_path, option
from headrace.adapters.warehouse.values import classify
from headrace.exports.slices import RowRange
from headrace.exports.sources import Source
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import SourceUnavailable


@dataclass(frozen=True)
class ParquetTables:
    """Tables made of Parquet files, each a list of paths in their order."""

    connection: Connection
    files: Mapping[str, tuple[str, ...]]
    unchanged: Callable[[], None]
    known: dict[str, tuple[SourceColumn, ...]] = field(default_factory=dict, kw_only=True)

    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(f"main.{name}" for name in self.files))

    def columns(self, table: str) -> tuple[SourceColumn, ...]:
        if not self._paths(table):
            return ()
        if table not in self.known:
            self.known[table] = self._described(table)
        return self.known[table]

    def _described(self, table: str) -> tuple[SourceColumn, ...]:
        found = []
        layouts = layouts_of(self.connection, self._paths(table))
        rows = self.connection.execute(f"DESCRIBE FROM {self._relation(table)}").fetchall()
        for name, text, *_ in rows:
            kind = self.connection.sqltype(text)
            column = replace(classify(name, kind, nullable=True), promised=False)
            if column.reason is None and (reason := inexact(name, kind, layouts)):
                column = column.refused(reason)
            found.append(column)
        return tuple(found)

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
        listed = engine.listed(self._paths(table))
        return f"read_parquet({listed}, union_by_name = true, hive_partitioning = false)"

    def _extents(self, table: str) -> list[tuple[str, int, int]]:
        """Each file's path, the position of its first row, and its number of rows."""
        listed = engine.listed(self._paths(table))
        rows = dict(
            self.connection.execute(
                f"SELECT file_name, num_rows FROM parquet_file_metadata({listed})"  # noqa: S608
            ).fetchall()
        )
        extents, start = [], 0
        for path in self._paths(table):
            extents.append((path, start, rows[path]))
            start += rows[path]
        return extents


def open_parquet(
    connection: Connection, source: Source, version: str | None, files: tuple[str, ...]
) -> OpenSource:
    """Lists the files, which must not change while they are read."""
    root = folder_path(option(source, "path"))
    if engine.is_remote(root):
        engine.allow_s3(connection)

    def listing() -> dict[str, tuple[int, int]]:
        return remote_files(connection, root) if engine.is_remote(root) else local_files(root)

    found = listing()
    unchanged = check_unchanged(lambda: fingerprint(listing()), version)
    unchanged()
    tables: dict[str, tuple[str, ...]] = {}
    places: dict[str, tuple[str, str]] = {}
    for relative in sorted(found):
        first, slash, _ = relative.partition("/")
        name = first.removesuffix(".parquet")
        if places.setdefault(name, (first, slash)) != (first, slash):
            raise SourceUnavailable(
                f"The source {source.name} has two files or folders for the table {name}."
            )
        tables[name] = (*tables.get(name, ()), root + relative)
    engine.lock_down(connection, [root], files)
    return ParquetTables(connection, tables, unchanged)


def local_files(root: str) -> dict[str, tuple[int, int]]:
    """The files in a folder, with their sizes and times of change (ns)."""
    folder = Path(root)
    if not folder.is_dir():
        raise SourceUnavailable("The folder of the source is not there.")
    found = (*folder.glob("*.parquet"), *folder.glob("*/*.parquet"))
    return {
        file.relative_to(folder).as_posix(): size_and_time(file) for file in found if file.is_file()
    }


def remote_files(
    connection: Connection, root: str, pattern: str = "**/*.parquet"
) -> dict[str, tuple[int, int]]:
    """The files in a folder in S3, with their sizes and times of change (µs)."""
    try:
        rows = connection.execute(
            "SELECT filename, size, epoch_us(last_modified) FROM read_blob(?)",
            [f"{engine.as_glob(root)}{pattern}"],
        ).fetchall()
    except duckdb.IOException as error:
        if "No files found" not in str(error):
            raise
        return {}
    found = {name.removeprefix(root): (size, modified) for name, size, modified in rows}
    return {name: facts for name, facts in found.items() if name.count("/") <= 1}
