"""What change capture costs writers, and what a hundredth of a table's rows cost as changes: beside
a full export, and beside finding them by comparing a hash of each row.

Of twins, made of ``employments``, one is captured. They are written in turns, in one session, by
the same statements.
"""

import csv
import hashlib
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg

from benchmarks.data import DATABASE, EXPORTED, WHERE, Data, table
from benchmarks.measuring import processor_seconds
from benchmarks.report import machine
from benchmarks.report import table as markdown
from headrace.adapters.postgresql.capturing import (
    installation,
    owner_connection,
    run,
    uninstallation,
)
from headrace.adapters.postgresql.change_log import CapturedTable
from headrace.adapters.postgresql.changes import PostgresqlChanges
from headrace.adapters.postgresql.connection import connection_parameters
from headrace.adapters.postgresql.warehouse import PostgresqlWarehouse
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition
from headrace.exports.sources import Column, Source, Table
from local.home import LocalFailure

ONE_BY_ONE = 500
"""Rows that are updated in a transaction each."""

Session = psycopg.Connection[tuple[Any, ...]]

PLAIN, CAPTURED = "plain_twin", "captured_twin"

Seconds = tuple[float, float]
"""Of the clock, and of the server's processors."""


def measure(data: Data, rounds: int) -> str:
    """The report; needs the server to run and ``employments`` to be there."""
    with _twins(data) as writer:
        costs = _writing(data, writer, rounds)
        reading, changed, size = _reading(data, writer, rounds)
    rows = [
        [what, *_row(one[PLAIN], one[CAPTURED]), f"{per_row:.0f}"]
        for (what, per_row), one in costs.items()
    ]
    heads = (
        "one statement",
        "wall s",
        "captured",
        "ratio",
        "CPU s",
        "captured",
        "ratio",
        "µs more",
    )
    text = [
        f"`python -m benchmarks capture -n {rounds} --rows {data.rows}`: a table of "
        f"{2 * data.rows:,} rows that is captured, and its twin that is not; {machine()}; medians "
        f"of {rounds}, in turns. CPU is the server's; µs more are by the clock, for each row.",
        "",
        markdown(heads, rows),
        "",
        f"{changed:,} changed rows of the {data.rows:,} that the tenant has, as CSV; the log has "
        f"{size:.0f} bytes a row, with its index:",
        "",
        markdown(
            ("", "wall s", "of the export"),
            [
                [name, f"{seconds:.2f}", f"{seconds / reading['full export']:.2f}"]
                for name, seconds in reading.items()
            ],
        ),
    ]
    return "\n".join(text)


def _row(plain: Seconds, captured: Seconds) -> list[str]:
    cells = []
    for without, with_it in zip(plain, captured, strict=True):
        ratio = f"{with_it / without:.1f}" if without >= 0.01 else "–"
        cells += [f"{without:.2f}", f"{with_it:.2f}", ratio]
    return cells


@contextmanager
def _twins(data: Data) -> Iterator[Session]:
    """A session that writes both."""
    made = "; ".join(
        f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (LIKE employments INCLUDING ALL); "
        f"INSERT INTO {name} SELECT * FROM employments; VACUUM ANALYZE {name}"
        for name in (PLAIN, CAPTURED)
    )
    owner = data.postgresql
    for statement in made.split("; "):
        data.server.run(statement, DATABASE)
    captured = CapturedTable(
        f"public.{CAPTURED}", ("id",), ("tenant",), tuple(sorted({*EXPORTED, "tenant"}))
    )
    with owner_connection(owner) as connection:
        run(connection, uninstallation(connection))
        plan = installation(connection, [captured], reader=None, retention_days=14)
        run(connection, plan)
    try:
        parameters = connection_parameters(owner)
        with psycopg.connect(autocommit=True, **parameters) as writer:  # type: ignore[arg-type]
            yield writer
    finally:
        with owner_connection(owner) as connection:
            run(connection, uninstallation(connection))
        data.server.run(f"DROP TABLE IF EXISTS {PLAIN}, {CAPTURED}", DATABASE)


# --- writing ------------------------------------------------------------------------------------


def _writing(
    data: Data, writer: Session, rounds: int
) -> Mapping[tuple[str, float], Mapping[str, Seconds]]:
    """By what is done, and the microseconds that a row takes longer by the clock."""
    updated, written = min(100_000, data.rows), min(50_000, data.rows)
    last = 2 * data.rows
    writer.execute(
        "CREATE TEMP TABLE fresh_rows AS SELECT * FROM employments "
        f"WHERE id <= {written}; UPDATE fresh_rows SET id = id + {last}".encode()
    )
    bulk = {
        f"update of {updated:,} rows": (
            updated,
            "UPDATE {} SET salary = salary + 1 WHERE id <= " + str(updated),
        ),
        f"insert of {written:,} rows": (
            written,
            "INSERT INTO {} SELECT * FROM fresh_rows",
        ),
        f"delete of {written:,} rows": (written, f"DELETE FROM {{}} WHERE id > {last}"),
    }
    taken: dict[str, dict[str, list[Seconds]]] = {}
    one_by_one = f"update of {ONE_BY_ONE:,} rows, a transaction each"
    for number in range(rounds):
        for name in (PLAIN, CAPTURED) if number % 2 else (CAPTURED, PLAIN):
            for what, (_, statement) in bulk.items():
                seconds = _timed(data, _executed(writer, statement.format(name)))
                taken.setdefault(what, {}).setdefault(name, []).append(seconds)
            statements = [
                f"UPDATE {name} SET salary = salary + 1 WHERE id = {1 + n}"
                for n in range(ONE_BY_ONE)
            ]
            writer.execute("SET synchronous_commit = off")
            seconds = _timed(data, _executed(writer, *statements))
            writer.execute("RESET synchronous_commit")
            taken.setdefault(one_by_one, {}).setdefault(name, []).append(seconds)
        writer.execute(f"VACUUM {PLAIN}")
        writer.execute(f"VACUUM {CAPTURED}")
    counts = {what: count for what, (count, _) in bulk.items()} | {one_by_one: ONE_BY_ONE}
    found: dict[tuple[str, float], dict[str, Seconds]] = {}
    for what, of in taken.items():
        medians = {
            name: (median(one[0] for one in times), median(one[1] for one in times))
            for name, times in of.items()
        }
        more = (medians[CAPTURED][0] - medians[PLAIN][0]) / counts[what] * 1e6
        found[what, more] = medians
    return found


def _executed(writer: Session, *statements: str) -> Callable[[], None]:
    def execute() -> None:
        for statement in statements:
            writer.execute(statement.encode())

    return execute


def _timed(data: Data, work: Callable[[], None]) -> Seconds:
    server = data.server.process() or 0
    used, begun = processor_seconds(server), time.perf_counter()
    work()
    return time.perf_counter() - begun, processor_seconds(server) - used


# --- reading ------------------------------------------------------------------------------------


def _reading(data: Data, writer: Session, rounds: int) -> tuple[Mapping[str, float], int, float]:
    """Seconds by the clock, how many rows had changed, and the bytes of a row of the log."""
    source = data.postgresql
    exported = _as_published(source)
    warehouse, told = PostgresqlWarehouse(), PostgresqlChanges()
    before = _hashes(source)
    since = warehouse.current_version(source)
    writer.execute("DELETE FROM headrace.change_log")
    writer.execute("VACUUM FULL headrace.change_log")
    count = writer.execute(
        f"UPDATE {CAPTURED} SET remarks = 'changed' WHERE {WHERE} AND id % 100 = 0"
    ).rowcount
    writer.execute("ANALYZE headrace.change_log")
    size = writer.execute(
        "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
        "WHERE inhparent = 'headrace.change_log'::regclass"
    ).fetchone()
    version = warehouse.current_version(source)

    def changes() -> None:
        with told.stream_changes(
            source, since, version, exported, FileFormat.CSV, Compression.NONE
        ) as stream:
            _drained(stream)
            if stream.rows != count:
                raise LocalFailure(f"{stream.rows} changes were told, of {count}")

    def export() -> None:
        position = PartPosition(first=True, last=True)
        with warehouse.stream(
            source, version, exported, None, FileFormat.CSV, Compression.NONE, position
        ) as stream:
            _drained(stream)

    def comparison() -> None:
        now = _hashes(source)
        differing = sum(before.get(key) != value for key, value in now.items())
        if differing + len(before.keys() - now.keys()) != count:
            raise LocalFailure(f"{differing} hashes differed, of {count}")

    ways = {"changes": changes, "full export": export, "comparison of hashes": comparison}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - begun)
    bytes_of_log = float(size[0]) if size else 0.0
    return {name: median(times) for name, times in taken.items()}, count, bytes_of_log / count


def _drained(stream: Any) -> None:
    digest = hashlib.sha256()
    for chunk in stream:
        digest.update(chunk)


def _hashes(source: Source) -> dict[str, str]:
    """A hash of each row, made by the server, as one does who has no log."""
    listed = ", ".join(EXPORTED)
    query = (
        f"COPY (SELECT id, md5(ROW({listed})::text) FROM {CAPTURED} WHERE {WHERE}) TO STDOUT CSV"
    )
    with owner_connection(source) as connection, connection.cursor().copy(query.encode()) as copy:
        text = b"".join(copy).decode()
    return {key: value for key, value in csv.reader(io.StringIO(text))}  # noqa: C416


def _as_published(source: Source) -> Table:
    described = PostgresqlWarehouse().describe(source, f"public.{CAPTURED}")
    by_name = {column.name: column for column in described}
    columns = []
    for name in EXPORTED:
        one = by_name[name]
        if one.type is None:
            raise LocalFailure(f"{name} is of no type that is exported")
        columns.append(Column(name, name, one.type, one.nullable, one.precision, one.scale))
    return table(tuple(columns), f"public.{CAPTURED}")
