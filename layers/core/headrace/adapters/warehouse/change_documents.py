"""Documents of changes: how a change is written in each format, as SQL of DuckDB's.

CSV, NDJSON and Parquet lead with ``_change``; of a deleted row only the primary key has values
(NDJSON: only the key's members are there). JSON has a list for each kind of change, one behind the
other, so that nobody has to hold one to write another.
"""

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum

from headrace.adapters.sql_text import identifier, literal
from headrace.adapters.warehouse.streaming import framed
from headrace.adapters.warehouse.values import Field, csv_value, line_of, parquet_value
from headrace.exports.model import FileFormat
from headrace.exports.slices import PartPosition

CHANGE_COLUMN = "_change"


class Change(StrEnum):
    """What became of a row; in the order of JSON's lists."""

    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"


def select_rows(change: str, fields: tuple[Field, ...], file_format: FileFormat) -> str:
    """What stands between SELECT and FROM for whole rows; ``change`` is SQL of the change's name.

    As ``values.select_list``, with the change before it; JSON's rows do not name it.
    """
    match file_format:
        case FileFormat.JSON:
            return line_of(fields, file_format)
        case FileFormat.NDJSON:
            return line_of(fields, file_format, member=(CHANGE_COLUMN, change))
        case FileFormat.CSV:
            values = [f"{csv_value(f)} AS {identifier(f.name)}" for f in fields]
        case FileFormat.PARQUET:
            values = [f"{parquet_value(f.source)} AS {identifier(f.name)}" for f in fields]
    return ", ".join([f"{change} AS {identifier(CHANGE_COLUMN)}", *values])


def select_keys(fields: tuple[Field, ...], key: tuple[str, ...], file_format: FileFormat) -> str:
    """What stands between SELECT and FROM for deleted rows; ``key`` are the key's public names."""
    change = literal(Change.DELETED)
    if file_format in (FileFormat.JSON, FileFormat.NDJSON):
        return select_rows(change, tuple(f for f in fields if f.name in key), file_format)
    values = [f"{change} AS {identifier(CHANGE_COLUMN)}"]
    for field in fields:
        value = "NULL"
        if field.name in key:
            csv = file_format is FileFormat.CSV
            value = csv_value(field) if csv else parquet_value(field.source)
        values.append(f"{value} AS {identifier(field.name)}")
    return ", ".join(values)


def framed_lists(version: str, lists: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
    """JSON's document: for each ``Change`` in order the lines of its rows, each ending ``},``."""
    yield f'{{"syncVersion":{json.dumps(version)}'.encode()
    for change, lines in zip(Change, lists, strict=True):
        yield f',"{change}":'.encode()
        yield from framed(lines, FileFormat.JSON, PartPosition())
    yield b"}\n"
