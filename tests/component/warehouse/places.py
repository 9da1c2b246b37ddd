"""Sources made for a test, and documents read back by readers that are not ours."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd

from headrace.adapters.sql_text import literal
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
from headrace.adapters.warehouse.engine import load_extension
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition, TableRange
from headrace.exports.sources import Column, RowFilter, Source, Table

WAREHOUSE = WarehouseByKind()
SPLITTING = DuckdbWarehouse(least_range_bytes=1)
"""Splits small tables too."""
PLAIN = Compression.NONE
ONLY = PartPosition(first=True, last=True)


# --- sources ----------------------------------------------------------------------------------


def loaders_engine() -> duckdb.DuckDBPyConnection:
    """DuckDB for a loader. It proves no extension's signature, which takes more than most tests:
    test_describe.py does, for the pinned packages."""
    return duckdb.connect(
        config={"autoinstall_known_extensions": False, "allow_unsigned_extensions": True}
    )


@contextmanager
def loader(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A loader's connection to the DuckLake in ``folder``, made if need be; attached as lake."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = loaders_engine()
    for name in ("sqlite_scanner", "ducklake"):
        load_extension(connection, name)
    connection.execute(
        f"ATTACH {literal(f'ducklake:sqlite:{folder}/catalog.sqlite')} AS lake "
        f"(DATA_PATH {literal(f'{folder}/data/')}, META_JOURNAL_MODE 'WAL', "
        "META_BUSY_TIMEOUT 10000)"
    )
    connection.execute("USE lake")
    try:
        yield connection
    finally:
        connection.close()


def lake_source(folder: Path) -> Source:
    """The DuckLake that ``loader(folder)`` made."""
    catalog, data = f"sqlite:{folder}/catalog.sqlite", f"{folder}/data"
    return Source("lake", "ducklake", {"catalog": catalog, "data_path": data})


def a_lake(folder: Path, *statements: str) -> Source:
    """A DuckLake after these statements, each a transaction."""
    with loader(folder) as connection:
        for statement in statements:
            connection.execute(statement)
    return lake_source(folder)


def a_duckdb_file(path: Path, *statements: str) -> Source:
    """A DuckDB file after these statements."""
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return Source("file", "duckdb", {"path": str(path)})


def a_parquet_folder(folder: Path, **tables: str | list[str]) -> Source:
    """A folder of Parquet files: per table one SELECT, or several for a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for name, selects in tables.items():
            if isinstance(selects, str):
                connection.execute(f"COPY ({selects}) TO {literal(f'{folder}/{name}.parquet')}")
                continue
            (folder / name).mkdir()
            for index, select in enumerate(selects):
                path = f"{folder}/{name}/{index:03d}.parquet"
                connection.execute(f"COPY ({select}) TO {literal(path)} (ROW_GROUP_SIZE 2048)")
    return Source("folder", "parquet", {"path": str(folder)})


def a_table_of(
    source: Source, table: str, *filters: RowFilter, columns: tuple[str, ...] = ()
) -> Table:
    """All columns of the source's table that can be exported (or these), as a configured one."""
    described = WAREHOUSE.describe(source, table)
    return Table(
        name="things",
        source=table,
        columns=tuple(
            Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale, c.text_of)
            for c in described
            if c.type is not None and (not columns or c.name in columns)
        ),
        filters=filters,
    )


# --- documents --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """What a stream gave: its bytes and its rows."""

    stored: bytes
    rows: int


def part(
    source: Source,
    version: str,
    table: Table,
    row_range: TableRange | None = None,
    file_format: FileFormat = FileFormat.CSV,
    compression: Compression = PLAIN,
    position: PartPosition = ONLY,
) -> Document:
    """One part, streamed to its end."""
    with WAREHOUSE.stream(
        source, version, table, row_range, file_format, compression, position
    ) as stream:
        stored = b"".join(stream)
        return Document(stored, stream.rows)


def document(
    source: Source,
    table: Table,
    file_format: FileFormat,
    compression: Compression = PLAIN,
    *,
    version: str | None = None,
    ranges: tuple[TableRange, ...] | None = None,
) -> Document:
    """The whole table as one document: in one part, or in one part per range."""
    version = WAREHOUSE.current_version(source) if version is None else version
    parts = [
        part(
            source,
            version,
            table,
            row_range,
            file_format,
            compression,
            PartPosition(first=index == 0, last=index == len(ranges or (None,)) - 1),
        )
        for index, row_range in enumerate(ranges or (None,))
    ]
    return Document(b"".join(p.stored for p in parts), sum(p.rows for p in parts))


def unpacked(stored: bytes, compression: Compression) -> bytes:
    """The document's bytes, read by Python's gzip and by zstandard's reference library."""
    match compression:
        case Compression.GZIP:
            return gzip.decompress(stored)
        case Compression.ZSTD:
            return zstd.decompress(stored)
        case _:
            return stored


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _no_constant(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")


def parsed(line: str | bytes) -> Any:
    """JSON, strictly; numbers stay as they were written."""
    return json.loads(line, parse_int=Number, parse_float=Number, parse_constant=_no_constant)


def rows_of(stored: bytes, file_format: FileFormat, compression: Compression = PLAIN) -> Any:
    """A document's rows as dicts: of CSV texts and None, of JSON values with ``Number``."""
    match file_format:
        case FileFormat.PARQUET:
            return pq.read_table(pa.BufferReader(stored)).to_pylist()
        case FileFormat.CSV:
            csv.field_size_limit(2**31 - 1)
            text = unpacked(stored, compression).decode()
            reader = csv.reader(
                io.StringIO(text, newline=""), strict=True, quoting=csv.QUOTE_NOTNULL
            )
            header = next(reader)
            return [dict(zip(header, row, strict=True)) for row in reader]
        case FileFormat.JSON:
            return parsed(unpacked(stored, compression))
        case FileFormat.NDJSON:
            lines = unpacked(stored, compression).split(b"\n")
            assert lines.pop() == b""
            return [parsed(line) for line in lines]
