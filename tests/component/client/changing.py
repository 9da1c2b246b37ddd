"""A source that changes, in versions, with net changes between them: a model, kept in dictionaries.

A value is the text that a CSV cell has for it (docs/types.md), None for NULL; documents are made of
these texts, Parquet by DuckDB. Every version is kept, so a test can ask what the rows were.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

Key = tuple[str, ...]
Row = Mapping[str, str | None]
Rows = Mapping[Key, Row]


class Resync(StrEnum):
    """What the operator chose for tables whose changes cannot be told."""

    REFUSE = "refuse"
    DOCUMENT = "document"


@dataclass(frozen=True)
class Field:
    """A column. `parquet` is the type that DuckDB has for it."""

    name: str
    type: str
    parquet: str
    precision: int | None = None
    scale: int | None = None


@dataclass(frozen=True)
class Shape:
    """A table as it is granted."""

    name: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def hash(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def metadata(self) -> dict[str, Any]:
        """As GET metadata shows it."""
        return {
            "name": self.name,
            "primaryKey": list(self.key),
            "schemaHash": self.hash,
            "rowEstimate": 12345,
            "fields": [
                {
                    "name": field.name,
                    "type": field.type,
                    "nullable": field.name not in self.key,
                    "precision": field.precision,
                    "scale": field.scale,
                    "textOf": None,
                }
                for field in self.fields
            ],
        }

    def shown(self, row: Row) -> tuple[str | None, ...]:
        """The row's granted cells."""
        return tuple(row.get(name) for name in self.columns)


@dataclass(frozen=True)
class Plan:
    """What an operation reads, fixed when it begins."""

    version: str
    shapes: Mapping[str, Shape]
    after: Mapping[str, Rows]
    before: Mapping[str, Rows]
    """The rows at the version that an increment begins at, of the tables whose changes it has."""

    @property
    def hashes(self) -> dict[str, str]:
        return {name: shape.hash for name, shape in self.shapes.items()}

    def changes(self, table: str) -> bool:
        """Does the table's document hold changes, and not all rows."""
        return table in self.before

    def rows(self, table: str) -> list[tuple[str | None, ...]]:
        """The rows of the table's document."""
        shape, after = self.shapes[table], self.after[table]
        if table not in self.before:
            return [shape.shown(row) for row in after.values()]
        before = self.before[table]
        found: list[tuple[str | None, ...]] = []
        for key, row in after.items():
            if key not in before:
                found.append(("inserted", *shape.shown(row)))
            elif shape.shown(row) != shape.shown(before[key]):
                found.append(("updated", *shape.shown(row)))
        for key in before:
            if key not in after:
                only_key = dict(zip(shape.key, key, strict=True))
                found.append(("deleted", *shape.shown(only_key)))
        return found

    def document(self, table: str, file_format: str, compression: str) -> bytes:
        """The table's document."""
        shape, rows = self.shapes[table], self.rows(table)
        columns = (("_change",) if table in self.before else ()) + shape.columns
        if file_format == "parquet":
            change = Field("_change", "string", "VARCHAR")
            fields = ((change,) if table in self.before else ()) + shape.fields
            return _parquet(fields, rows)
        lines = [",".join(columns), *(",".join(map(_cell, row)) for row in rows)]
        text = "".join(f"{line}\n" for line in lines).encode()
        return gzip.compress(text) if compression == "gzip" else text


@dataclass
class ChangingSource:
    """The source: what is granted of it, and every version of its rows."""

    shapes: dict[str, Shape]
    rows: dict[str, dict[Key, Row]] = field(default_factory=dict)
    """The rows as they are being changed: they become a version by `commit`."""
    name: str = "lake"
    catalog_version: int = 1
    resync: Resync = Resync.REFUSE
    history: dict[str, dict[str, dict[Key, Row]]] = field(default_factory=dict)
    kept_from: int = 0

    def __post_init__(self) -> None:
        for table in self.shapes:
            self.rows.setdefault(table, {})
        self.known = {shape.hash: shape for shape in self.shapes.values()}
        self.keys = {table: shape.key for table, shape in self.shapes.items()}
        if not self.history:
            self.commit()

    # -- what a test does to it ----------------------------------------------------------------

    def commit(self) -> str:
        """Make a version of the rows."""
        version = f"{self.name}:{len(self.history)}"
        self.history[version] = {table: dict(rows) for table, rows in self.rows.items()}
        return version

    def put(self, table: str, **cells: str | None) -> None:
        """Insert a row, or replace the one of its key."""
        key = tuple(str(cells[name]) for name in self.keys[table])
        self.rows[table] = self.rows[table] | {key: cells}

    def remove(self, table: str, *key: str) -> None:
        self.rows[table] = {one: row for one, row in self.rows[table].items() if one != key}

    def grant(self, shape: Shape) -> None:
        """Publish a catalog that grants the table in this shape."""
        self.shapes = self.shapes | {shape.name: shape}
        self.rows.setdefault(shape.name, {})
        self.known[shape.hash] = shape
        self.keys[shape.name] = shape.key
        self.catalog_version += 1

    def revoke(self, table: str) -> None:
        """Publish a catalog without the table."""
        self.shapes = {name: shape for name, shape in self.shapes.items() if name != table}
        self.catalog_version += 1

    def expire(self) -> None:
        """Forget the changes before the latest version."""
        self.kept_from = len(self.history) - 1

    # -- what the service asks -----------------------------------------------------------------

    @property
    def version(self) -> str:
        return f"{self.name}:{len(self.history) - 1}"

    @property
    def oldest(self) -> str:
        return f"{self.name}:{self.kept_from}"

    def knows(self, version: str) -> bool:
        return version in self.history

    def expired(self, version: str) -> bool:
        return int(version.rpartition(":")[2]) < self.kept_from

    def hashes(self) -> dict[str, str]:
        return {name: shape.hash for name, shape in self.shapes.items()}

    def plan(self, since: str | None, told: Mapping[str, str] | None) -> Plan:
        """What an operation begun now reads. `told`: the hashes at the version `since`."""
        now = self.history[self.version]
        after: dict[str, Rows] = {name: now.get(name, {}) for name in self.shapes}
        before: dict[str, Rows] = {}
        if since is not None and told is not None:
            before = {
                name: self.history[since].get(name, {})
                for name, shape in self.shapes.items()
                if told.get(name) == shape.hash
            }
        return Plan(self.version, dict(self.shapes), after, before)

    # -- what a test compares with -------------------------------------------------------------

    def at(self, version: str, schemas: Mapping[str, str | None]) -> dict[str, Counter[Any]]:
        """The rows of a version as multisets, in the shapes with these hashes."""
        return {
            table: Counter(
                normal(shape, shape.shown(row))
                for row in self.history[version].get(table, {}).values()
            )
            for table, told in schemas.items()
            for shape in [self.known[told or ""]]
        }


def normal(shape: Shape, cells: Sequence[str | None]) -> tuple[str | None, ...]:
    """The row in one spelling; of doubles it is the number that counts."""
    return tuple(
        repr(float(cell)) if field.type == "double" and cell is not None else cell
        for field, cell in zip(shape.fields, cells, strict=True)
    )


def _cell(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or any(mark in value for mark in ',"\n\r'):
        return '"' + value.replace('"', '""') + '"'
    return value


def _parquet(fields: Sequence[Field], rows: Sequence[Sequence[str | None]]) -> bytes:
    columns = ", ".join(f'"{field.name}" VARCHAR' for field in fields)
    casts = ", ".join(
        f'from_base64("{field.name}") AS "{field.name}"'
        if field.type == "binary"
        else f'CAST("{field.name}" AS {field.parquet}) AS "{field.name}"'
        for field in fields
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE texts ({columns})")
        if rows:
            marks = ", ".join("?" for _ in fields)
            connection.executemany(f"INSERT INTO texts VALUES ({marks})", [list(r) for r in rows])
        path = Path(folder) / "rows.parquet"
        connection.execute(
            f"COPY (SELECT {casts} FROM texts) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
        )
        return path.read_bytes()


_Forms = Mapping[str, Callable[[str], str]]
_DUCKDB: _Forms = {
    "timestamptz": lambda c: f"strftime({c} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')",
    "timestamp": lambda c: f"strftime({c}, '%Y-%m-%dT%H:%M:%S.%f')",
    "time": lambda c: f"strftime(DATE '2000-01-01' + {c}, '%H:%M:%S.%f')",
    "binary": lambda c: f"to_base64({c})",
}
_POSTGRESQL: _Forms = {
    "timestamptz": lambda c: (
        f"to_char({c} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    ),
    "timestamp": lambda c: f"to_char({c}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
    "time": lambda c: f"to_char(DATE '2000-01-01' + {c}, 'HH24:MI:SS.US')",
    "binary": lambda c: f"encode({c}, 'base64')",
}


def texts(shape: Shape, engine: str) -> str:
    """The columns of a SELECT that tells every value of a destination as its CSV cell."""
    forms = _DUCKDB if engine == "duckdb" else _POSTGRESQL
    kind = "VARCHAR" if engine == "duckdb" else "text"

    def cast(column: str) -> str:
        return f"CAST({column} AS {kind})"

    return ", ".join(forms.get(one.type, cast)(f'"{one.name}"') for one in shape.fields)


def people(*more: Field) -> Shape:
    """A table with every type, and a key of one column."""
    return Shape(
        "people",
        ("id",),
        (
            Field("id", "bigint", "BIGINT"),
            Field("name", "string", "VARCHAR"),
            Field("active", "boolean", "BOOLEAN"),
            Field("level", "integer", "INTEGER"),
            Field("salary", "decimal", "DECIMAL(18, 2)", 18, 2),
            Field("share", "double", "DOUBLE"),
            Field("born", "date", "DATE"),
            Field("starts", "time", "TIME"),
            Field("seen", "timestamp", "TIMESTAMP"),
            Field("hired", "timestamptz", "TIMESTAMPTZ"),
            Field("badge", "uuid", "UUID"),
            Field("photo", "binary", "BLOB"),
            Field("notes", "json", "JSON"),
            *more,
        ),
    )


def visits(*more: Field) -> Shape:
    """A table whose key has two columns, one of which needs a conversion on the way."""
    return Shape(
        "visits",
        ("day", "nr"),
        (
            Field("nr", "integer", "INTEGER"),
            Field("day", "date", "DATE"),
            Field("remark", "string", "VARCHAR"),
            *more,
        ),
    )


def a_person(number: int, **cells: str | None) -> dict[str, str | None]:
    """A row of people with a value in every column."""
    held: dict[str, str | None] = {
        "id": str(number),
        "name": f'Ana "{number}", née\nX',
        "active": "true",
        "level": "-5",
        "salary": "115028.90",
        "share": "0.1",
        "born": "1970-01-31",
        "starts": "12:34:56.700000",
        "seen": "2024-01-31T12:00:00.000001",
        "hired": "2024-01-31T11:00:00.000000Z",
        "badge": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "photo": "AAH/",
        "notes": json.dumps({"b": 1.50, "a": [None, "é"]}, ensure_ascii=False),
    }
    return held | cells


def without(shape: Shape, name: str) -> Shape:
    """The shape without a column."""
    return replace(shape, fields=tuple(field for field in shape.fields if field.name != name))
