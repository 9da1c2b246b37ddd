"""Random values of each type come back from CSV and NDJSON as they went in."""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.exports.model import Compression, FileFormat
from tests.component.warehouse.places import Number, a_duckdb_file, a_table_of, document, rows_of
from tests.examples import examples


@dataclass(frozen=True)
class Kind:
    """A type, values for it, and how its canonical text is read back."""

    engine_type: str
    values: st.SearchStrategy[Any]
    read: Callable[[str], Any]
    number: bool = False
    """Is it a number in JSON."""


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda n: Decimal(f"{n}E-{scale}"))


def exact(scale: int) -> Callable[[str], Decimal]:
    def read(text: str) -> Decimal:
        value = Decimal(text)
        assert -value.as_tuple().exponent == scale  # type: ignore[operator]
        return value

    return read


def instant(text: str) -> datetime:
    assert text[-1] == "Z"
    assert len(text) == len("2024-01-31T12:00:00.000000Z")
    return datetime.fromisoformat(text)


def moment(text: str) -> datetime:
    assert len(text) == len("2024-01-31T12:00:00.000000")
    return datetime.fromisoformat(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON_TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)

INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))

KINDS = {
    "flag": Kind("BOOLEAN", st.booleans(), lambda text: {"true": True, "false": False}[text]),
    "small": Kind("SMALLINT", st.integers(-(2**15), 2**15 - 1), int, number=True),
    "big": Kind("BIGINT", st.integers(-(2**63), 2**63 - 1), int, number=True),
    "huge": Kind("HUGEINT", st.integers(-(2**127), 2**127 - 1), int, number=True),
    "money": Kind("DECIMAL(12,2)", decimals(12, 2), exact(2), number=True),
    "share": Kind("DECIMAL(9,9)", decimals(9, 9), exact(9), number=True),
    "fine": Kind("DECIMAL(38,10)", decimals(38, 10), exact(10), number=True),
    "rate": Kind("DOUBLE", st.floats(allow_nan=False, allow_infinity=False), float, number=True),
    "words": Kind("VARCHAR", TEXT, str),
    "key": Kind("UUID", st.uuids(), uuid.UUID),
    "bytes": Kind(
        "BLOB", st.binary(max_size=20), lambda text: base64.b64decode(text, validate=True)
    ),
    "day": Kind("DATE", st.dates(), date.fromisoformat),
    "hour": Kind("TIME", st.times(), time.fromisoformat),
    "local": Kind("TIMESTAMP", st.datetimes(), moment),
    "instant": Kind("TIMESTAMPTZ", INSTANTS, instant),
    "tree": Kind("JSON", JSON_TREE.map(lambda tree: json.dumps(tree, indent=1)), json.loads),
}

ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | kind.values for name, kind in KINDS.items()}),
    max_size=8,
)


def bound(value: Any) -> Any:
    """As the engine's client takes it: text, where Python's own type would lose something."""
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime() if value.tzinfo is not None:
            return value.isoformat()
        case _:
            return value


@settings(max_examples=examples(40), deadline=None)
@given(ROWS)
def test_what_goes_in_comes_out(rows: list[dict[str, Any]]) -> None:
    columns = ", ".join(f"{name} {kind.engine_type}" for name, kind in KINDS.items())
    places = ", ".join(f"CAST(? AS {kind.engine_type})" for kind in KINDS.values())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.duckdb"
        source = a_duckdb_file(path, f"CREATE TABLE t(n INTEGER, {columns})")
        with duckdb.connect(path) as connection:
            for index, row in enumerate(rows):
                values = [bound(row[name]) for name in KINDS]
                connection.execute(f"INSERT INTO t VALUES ({index}, {places})", values)
        table = a_table_of(source, "main.t")
        cells = document(source, table, FileFormat.CSV, Compression.GZIP)
        lines = document(source, table, FileFormat.NDJSON, Compression.ZSTD)
    from_csv = rows_of(cells.stored, FileFormat.CSV, Compression.GZIP)
    from_json = rows_of(lines.stored, FileFormat.NDJSON, Compression.ZSTD)
    assert cells.rows == lines.rows == len(from_csv) == len(from_json) == len(rows)
    for row, cell, line in zip(rows, from_csv, from_json, strict=True):
        for name, kind in KINDS.items():
            value = row[name]
            if value is None:
                assert cell[name] is None
                assert line[name] is None
                continue
            want = json.loads(value) if kind.engine_type == "JSON" else value
            assert same(kind.read(cell[name]), want), name
            if kind.engine_type == "JSON":
                assert json.loads(json.dumps(line[name])) == json.loads(json.dumps(numbers(want)))
                continue
            if kind.engine_type == "BOOLEAN":
                assert line[name] is want
                continue
            assert isinstance(line[name], Number) is kind.number
            assert same(kind.read(line[name]), want), name


def same(one: Any, other: Any) -> bool:
    """Equal, and of two zeros the same one."""
    return bool(one == other) and (not isinstance(other, float) or repr(one) == repr(other))


def numbers(tree: Any) -> Any:
    """The tree with integers as the strict reader leaves them: as texts."""
    match tree:
        case bool() | None | str():
            return tree
        case int():
            return str(tree)
        case list():
            return [numbers(item) for item in tree]
        case _:
            return {key: numbers(value) for key, value in tree.items()}


def test_a_timestamp_keeps_its_instant_across_offsets(tmp_path: Path) -> None:
    offsets = [timedelta(hours=h, minutes=m) for h, m in ((-12, 0), (5, 45), (14, 0))]
    shown = [f"2024-03-31 02:30:00.5{sign(offset)}" for offset in offsets]
    values = ", ".join(f"({n}, '{text}'::TIMESTAMPTZ)" for n, text in enumerate(shown))
    source = a_duckdb_file(
        tmp_path / "x.duckdb",
        "CREATE TABLE t(n INT, v TIMESTAMPTZ)",
        f"INSERT INTO t VALUES {values}",
    )
    made = document(source, a_table_of(source, "main.t"), FileFormat.CSV)
    read = [instant(row["v"]) for row in rows_of(made.stored, FileFormat.CSV)]
    local = datetime(2024, 3, 31, 2, 30, 0, 500_000, tzinfo=UTC)
    assert read == [local - offset for offset in offsets]


def sign(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
