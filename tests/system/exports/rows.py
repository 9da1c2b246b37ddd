"""The same rows from two sides: as the source holds them, and as readers of others find them.

The source is asked with DuckDB directly, with nothing of ours between; documents are read by
Python's csv and json and by pyarrow. Both give rows of the same plain values (``Row``), so that
equal means equal: numbers keep their digits, NULL is None, and times are microseconds.
"""

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd

from local.sample.warehouse import attached
from tests.builders import number_of

type Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Kind:
    """A type: how the source is asked for it, and how each format has it.

    ``ask`` makes the SQL of a plain value from that of the column; ``csv`` and ``json`` read what
    the document has, and raise where it is not in its canonical form.
    """

    ask: Callable[[str], str]
    csv: Callable[[str], Any]
    json: Callable[[Any], Any]
    parquet: Callable[[Any], bool]
    plain: Callable[[Any], Any] = lambda value: value
    """From what the source answered to the plain value."""
    from_parquet: Callable[[Any], Any] = lambda value: value


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        assert type(value) is kind, (kind, value)
        return value

    return check


def _integer(text: str) -> int:
    assert text == str(int(text)), text
    return int(text)


def _decimal_of(scale: int) -> Callable[[Any], Decimal]:
    def check(value: Any) -> Decimal:
        number = Decimal(value)
        assert number.as_tuple().exponent == -scale, value
        return number

    return check


def _microseconds(zone: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        assert len(text) == 26 + len(zone) and text.endswith(zone), text
        moment = datetime.strptime(text, f"%Y-%m-%dT%H:%M:%S.%f{zone}")
        return (moment - _EPOCH) // timedelta(microseconds=1)

    return read


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _loads(text: str) -> Any:
    """A JSON text, with the digits of its numbers."""
    return _typed(json.loads(text, parse_float=Decimal, parse_constant=_refuse))


def _typed(value: Any) -> Any:
    """Comparable values: in Python, 1 == True == Decimal(1)."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return (type(value).__name__, str(value)) if isinstance(value, bool | int | Decimal) else value


def _refuse(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")


def _timestamp(zone: str) -> Kind:
    read = _microseconds(zone)
    return Kind(
        lambda c: f"epoch_us({c})",
        read,
        read,
        lambda t: t == pa.timestamp("us", tz="UTC" if zone else None),
    )


def _decimal(precision: int, scale: int) -> Kind:
    check = _decimal_of(scale)
    return Kind(
        lambda c: c,
        check,
        lambda value: check(_exactly(Decimal)(value)),
        lambda t: t == pa.decimal128(precision, scale),
    )


BIGINT = Kind(lambda c: c, _integer, _exactly(int), lambda t: t == pa.int64())
STRING = Kind(lambda c: c, str, _exactly(str), lambda t: t == pa.string())
BOOLEAN = Kind(lambda c: c, _boolean, _exactly(bool), lambda t: t == pa.bool_())
DATE = Kind(lambda c: c, date.fromisoformat, date.fromisoformat, lambda t: t == pa.date32())
TIMESTAMP = _timestamp("")
TIMESTAMPTZ = _timestamp("Z")
UUIDS = Kind(
    lambda c: c,
    UUID,
    lambda value: UUID(_exactly(str)(value)),
    lambda t: t == pa.binary(16),
    from_parquet=lambda value: UUID(bytes=value),
)
BINARY = Kind(
    lambda c: c,
    lambda text: base64.b64decode(text, validate=True),
    lambda value: base64.b64decode(_exactly(str)(value), validate=True),
    lambda t: t == pa.binary(),
)
JSON = Kind(
    lambda c: f"{c}::VARCHAR",
    _loads,
    _typed,
    lambda t: t == pa.string(),
    plain=_loads,
    from_parquet=_loads,
)


@dataclass(frozen=True)
class Expected:
    """A table as the sample catalog grants it: public names, source columns, types."""

    table: str
    columns: tuple[tuple[str, str, Kind], ...]

    @property
    def names(self) -> list[str]:
        """The public names, in their order."""
        return [name for name, _, _ in self.columns]

    def in_source(self, warehouse: Path, version: str, tenant: str) -> list[Row]:
        """The tenant's rows at that snapshot, asked of the DuckLake itself."""
        asked = ", ".join(kind.ask(f'"{source}"') for _, source, kind in self.columns)
        with attached(warehouse) as connection:
            rows = connection.execute(
                f"SELECT {asked} FROM lake.hr.{self.table} AT (VERSION => {number_of(version)}) "
                "WHERE tenant_id = ?",
                [tenant],
            ).fetchall()
        plain = [kind.plain for _, _, kind in self.columns]
        return [
            tuple(None if v is None else p(v) for p, v in zip(plain, row, strict=True))
            for row in rows
        ]

    def in_document(self, document: bytes, file_format: str, compression: str) -> list[Row]:
        """The rows of a document, read with the tools of others."""
        if file_format == "parquet":
            return self._in_parquet(document, compression)
        text = decompressed(document, compression)
        if file_format == "csv":
            return list(self._in_csv(text))
        if file_format == "json":
            found = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
            assert isinstance(found, list)
        else:
            *lines, rest = text.split(b"\n")
            assert rest == b""
            found = [
                json.loads(line, parse_float=Decimal, parse_constant=_refuse) for line in lines
            ]
        return [self._of_object(row) for row in found]

    def _in_csv(self, text: bytes) -> Iterator[Row]:
        # An unquoted empty field is None to this reader, a quoted one is "".
        lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
        reader = csv.reader(lines, quoting=csv.QUOTE_NOTNULL, strict=True)
        assert next(reader) == self.names
        read = [kind.csv for _, _, kind in self.columns]
        for row in reader:
            yield tuple(None if v is None else r(v) for r, v in zip(read, row, strict=True))

    def _of_object(self, row: dict[str, Any]) -> Row:
        assert list(row) == self.names
        return tuple(
            None if row[name] is None and kind is not JSON else kind.json(row[name])
            for name, _, kind in self.columns
        )

    def _in_parquet(self, document: bytes, compression: str) -> list[Row]:
        file = pq.ParquetFile(pa.BufferReader(document), arrow_extensions_enabled=False)
        codecs = {"none": "SNAPPY", "gzip": "GZIP", "zstd": "ZSTD"}
        for group in range(file.metadata.num_row_groups):
            for column in range(file.metadata.num_columns):
                stored = file.metadata.row_group(group).column(column)
                assert stored.compression == codecs[compression]
        read = file.read()
        assert read.schema.names == self.names
        columns = []
        for name, _, kind in self.columns:
            column = read[name]
            assert kind.parquet(column.type), (name, column.type)
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.int64())
            plain = kind.from_parquet
            columns.append([None if v is None else plain(v) for v in column.to_pylist()])
        return list(zip(*columns, strict=True))


def decompressed(document: bytes, compression: str) -> bytes:
    """The document as the standard tools unpack it, member by member."""
    if compression == "gzip":
        return gzip.decompress(document)
    if compression == "zstd":
        return bytes(zstd.decompress(document))
    return document


EMPLOYEES = Expected(
    "employees",
    (
        ("id", "id", BIGINT),
        ("externalId", "external_id", UUIDS),
        ("employeeNumber", "employee_number", STRING),
        ("firstName", "first_name", STRING),
        ("lastName", "last_name", STRING),
        ("preferredName", "preferred_name", STRING),
        ("birthDate", "birth_date", DATE),
        ("email", "email", STRING),
        ("phone", "phone", STRING),
        ("legacyNumber", "legacy_number", BIGINT),
        ("active", "active", BOOLEAN),
        ("address", "address", JSON),
        ("notes", "notes", STRING),
        ("photo", "photo_thumbnail", BINARY),
        ("hiredAt", "hired_at", TIMESTAMPTZ),
        ("updatedAt", "updated_at", TIMESTAMP),
    ),
)

ABSENCES = Expected(
    "absences",
    (
        ("id", "id", BIGINT),
        ("employeeId", "employee_id", BIGINT),
        ("kind", "kind", STRING),
        ("startsAt", "starts_at", TIMESTAMPTZ),
        ("endsAt", "ends_at", TIMESTAMPTZ),
        ("hours", "hours", _decimal(8, 2)),
        ("approved", "approved", BOOLEAN),
        ("remark", "remark", STRING),
        ("details", "details", JSON),
    ),
)


def assert_same_rows(found: Sequence[Row], expected: Sequence[Row], names: Sequence[str]) -> None:
    """Equal as multisets; a difference is shown by its first row and column."""
    assert len(found) == len(expected)
    # repr, as None does not sort, and as -0.0 == 0.0
    theirs, ours = sorted(map(repr, expected)), sorted(map(repr, found))
    if theirs == ours:
        return
    here, there = {row[0]: row for row in found}, {row[0]: row for row in expected}
    assert here.keys() == there.keys()
    for key, row in there.items():
        for name, value, want in zip(names, here[key], row, strict=True):
            assert repr(value) == repr(want), f"{name} of the row {key}"
    raise AssertionError("the same rows, but not as often")
