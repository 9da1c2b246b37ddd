"""A worker's memory while tables of 1, 5 and 20 million rows are exported: it is to stay flat.

The tables are the benchmark's rows several times over: in PostgreSQL a view that repeats them, in
the DuckLake copies of its own.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.contestants import Arena, Ours, a_sink
from benchmarks.data import DATABASE, WHERE, Data
from benchmarks.kept import Kept
from local.sample.warehouse import attached

TIMES = (1, 5, 20)
"""How often the rows are repeated."""

BASE_ROWS = 1_000_000

BOUND_MIB = 256

FORMATS = (("csv", "none"), ("csv", "gzip"), ("ndjson", "none"), ("parquet", "none"))

NAMES = {"csv": "CSV", "ndjson": "NDJSON", "parquet": "Parquet"}

PARTS = {"memory_postgresql": "postgresql", "memory_ducklake": "ducklake"}
"""The parts of the benchmark, each of a source."""


def _place(source: str, times: int) -> str:
    return f"{'bench' if source == 'postgresql' else 'hr'}.employments_{times}"


def build(source: str, data: Data) -> None:
    """Makes the source's views or tables that are not there."""
    if source == "postgresql":
        for times in TIMES:
            data.server.run(
                f"CREATE OR REPLACE VIEW {_place(source, times)} AS SELECT e.* FROM "
                f"generate_series(1, {times}) CROSS JOIN employments e",
                DATABASE,
            )
        return
    with attached(data.lake, read_only=False) as connection:
        connection.execute("SET threads = 1")
        there = {
            row[0]
            for row in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'"
            ).fetchall()
        }
        for times in TIMES:
            if f"employments_{times}" in there:
                continue
            print(f"making {times * data.rows:,} rows in the DuckLake …", flush=True)
            place, rows = f"lake.{_place('ducklake', times)}", "FROM lake.hr.employments"
            connection.execute("BEGIN")
            connection.execute(f"CREATE TABLE {place} AS {rows} WHERE {WHERE}")
            for _ in range(times - 1):
                connection.execute(f"INSERT INTO {place} {rows} WHERE {WHERE}")
            connection.execute("COMMIT")


def measure(source: str, data: Data, *, anew: bool) -> str:
    """A row for each format: peak MiB, and seconds, by millions of rows; ``anew`` as of others."""
    build(source, data)
    kept = Kept.of(data.folder / f"memory_{source}.json", anew=anew)
    rows, peaks = [], []
    with tempfile.TemporaryDirectory() as folder, a_sink() as port:
        arena = Arena(data, port, Path(folder), relay=0)
        for kind, compression in FORMATS:
            title = f"{NAMES[kind]}{'' if compression == 'none' else f', {compression}'}"
            cells = [title]
            for times in TIMES:
                place = _place(source, times)
                ours = Ours(title, kind, source=source, compression=compression, place=place)
                name = f"{title}, {times * data.rows:,} rows"
                if name not in kept.runs:
                    kept.add_run(name, ours.turn(arena))
                run = kept.runs[name][0]
                peaks.append(run.peak)
                cells.append(f"{run.peak:.0f} ({run.wall:.0f} s)")
                print(f"  {name}: {cells[-1]}", file=sys.stderr, flush=True)
            rows.append(cells)
    head = (
        f"`python -m benchmarks memory_{source}` on {datetime.now(UTC).date()}, "
        f"{report.machine()}: the most memory that a worker ever had, MiB (and seconds of the "
        "clock); one run each."
    )
    said = "reached" if max(peaks) <= BOUND_MIB else "**not reached**"
    goal = f"At most {BOUND_MIB} MiB, whatever the rows: {said} (at most {max(peaks):.0f})."
    heads = ("", *(f"{times * data.rows:,} rows" for times in TIMES))
    return f"{head}\n\n{report.table(heads, rows)}\n\n{goal}"
