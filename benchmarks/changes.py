"""An increment beside a full export of the same table, and beside comparing two full copies.

    python -m benchmarks.changes [-n ROUNDS] [--rows ROWS] [--share PER_MILLE]

Makes a DuckLake of one table of twelve columns and changes a share of its rows: nine tenths of
them are updated all over the table, and of the rest as many are deleted as new ones are inserted.
What is timed, each in a process of its own and round robin, is

- *full*: the table as it is now, as a document of ours;
- *increment*: the document of what changed;
- *hashes*: what somebody does who has no increments: a hash of every row of both versions, joined
  by the key (DuckDB, one thread). It is spared the export, transport and storage of both.

The increment must name the very keys that the hashes find.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import measuring, report
from headrace.adapters.warehouse.by_kind import ChangesByKind, WarehouseByKind
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition
from headrace.exports.sources import Column, Source, Table
from local.home import Home, LocalFailure
from local.sample.warehouse import ROW_GROUP, attached

WAYS = ("full", "increment", "hashes")

ROWS_SQL = """
    SELECT i AS id, i // 2 AS person, 'E' || lpad(i::VARCHAR, 9, '0') AS number,
        'Person ' || md5(i::VARCHAR)[:12] || ' of ' || i % 997 AS full_name,
        'Title ' || i % 211 AS job_title,
        ((i * 7919) % 900000 / 100 + 1500)::DECIMAL(12,2) AS salary,
        CASE WHEN i % 3 = 0 THEN ((i * 31) % 100000 / 10000)::DECIMAL(18,4) END AS allowance,
        DATE '1990-01-01' + (i % 12000)::INTEGER AS started_on, i % 11 <> 0 AS active,
        TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_seconds(i) AS changed_at,
        CASE WHEN i % 5 = 0 THEN 'remark, "quoted" ' || i END AS remarks,
        ('{{"grade": ' || i % 15 || ', "site": "S' || i % 40 || '"}}')::JSON AS attributes
    FROM range({first}, {last}) r(i)
"""


def folder(rows: int, per_mille: int) -> Path:
    """Where the lake is kept."""
    return Home.of(os.environ).root / "bench" / f"changes-{rows}-{per_mille}"


def build(place: Path, rows: int, per_mille: int) -> None:
    """Makes the lake if it is not there, and notes its two versions beside it."""
    mark = place / "versions.json"
    if mark.exists():
        return
    (place / "data").mkdir(parents=True, exist_ok=True)
    few = max(1, rows * per_mille // 20_000)  # a twentieth of what changes
    step = 1000 * 10 // (per_mille * 9) or 1
    versions = []
    with attached(place, read_only=False) as connection:
        connection.execute(f"CALL lake.set_option('parquet_row_group_size', {ROW_GROUP})")
        connection.execute(f"CREATE TABLE lake.t AS {ROWS_SQL.format(first=0, last=rows)}")
        versions.append(WarehouseByKind().current_version(source(place)))
        connection.execute(
            f"UPDATE lake.t SET salary = salary + 1, remarks = 'changed' WHERE id % {step} = 0"
        )
        connection.execute(f"DELETE FROM lake.t WHERE id % {step} = 1 AND id < {few * step}")
        last = f"{ROWS_SQL.format(first=rows, last=rows + few)}"
        connection.execute(f"INSERT INTO lake.t {last}")
    versions.append(WarehouseByKind().current_version(source(place)))
    mark.write_text(json.dumps(versions), encoding="utf-8")


def source(place: Path) -> Source:
    """The lake as a source."""
    options = {"catalog": f"sqlite:{place}/catalog.sqlite", "data_path": f"{place}/data"}
    return Source("bench", "ducklake", options)


def table(place: Path) -> Table:
    """The table as a catalog that was published describes it."""
    columns = tuple(
        Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale)
        for c in WarehouseByKind().describe(source(place), "main.t")
        if c.type is not None
    )
    return Table("t", "main.t", columns, ("id",))


def digest(keys: Iterable[tuple[str, str]]) -> str:
    """Of what became of which keys, in whatever order they were found."""
    listed = "\n".join(sorted(f"{change} {key}" for change, key in keys))
    return hashlib.sha256(listed.encode()).hexdigest()


def contest(way: str, place: Path) -> None:
    """Goes one way, and prints the seconds, the bytes, the rows and what changed."""
    since, version = json.loads((place / "versions.json").read_text(encoding="utf-8"))
    configured, found = table(place), ""
    cpu, wall = time.process_time(), time.perf_counter()
    size = rows = 0
    if way == "hashes":
        changed = hashed(place, since, version)
        rows = len(changed)
    elif way == "full":
        with WarehouseByKind().stream(
            source(place),
            version,
            configured,
            None,
            FileFormat.CSV,
            Compression.GZIP,
            PartPosition(),
        ) as stream:
            size, rows = sum(map(len, stream)), 0
            rows = stream.rows
    else:
        with ChangesByKind().stream_changes(
            source(place), since, version, configured, FileFormat.CSV, Compression.GZIP
        ) as changes:
            size = sum(map(len, changes))
            rows = changes.rows
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if way == "hashes":
        found = digest(changed)
    elif way == "increment":
        found = digest(told(place, since, version))
    print(json.dumps([wall, cpu, size, rows, found]))


def hashed(place: Path, since: str, version: str) -> list[tuple[str, str]]:
    """What changed, by a hash of every row of both versions."""
    numbers = [int(one.partition("@")[0]) for one in (since, version)]
    names = "id, person, number, full_name, job_title, salary, allowance, started_on, active, "
    names += "changed_at, remarks, attributes"
    hashes = [
        f"SELECT id, md5(concat_ws('|', {names})) AS h FROM lake.t AT (VERSION => {number})"
        for number in numbers
    ]
    with attached(place) as connection:
        connection.execute("SET threads = 1")
        return connection.execute(
            "SELECT CASE WHEN o.h IS NULL THEN 'inserted' WHEN n.h IS NULL THEN 'deleted' "
            "ELSE 'updated' END, coalesce(o.id, n.id)::VARCHAR "
            f"FROM ({hashes[0]}) AS o FULL JOIN ({hashes[1]}) AS n USING (id) "
            "WHERE o.h IS DISTINCT FROM n.h"
        ).fetchall()


def told(place: Path, since: str, version: str) -> list[tuple[str, str]]:
    """What changed, by the increment."""
    with ChangesByKind().stream_changes(
        source(place), since, version, table(place), FileFormat.NDJSON, Compression.NONE
    ) as stream:
        lines = b"".join(stream).splitlines()
    return [(row["_change"], str(row["id"])) for row in map(json.loads, lines)]


def measure(rows: int, per_mille: int, rounds: int) -> tuple[str, bool]:
    """The report, and whether the increment and the hashes found the same."""
    place = folder(rows, per_mille)
    build(place, rows, per_mille)
    figures: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    last = {}
    for _ in range(rounds):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.changes", "--way", way]
            ended = measuring.run([*command, "--rows", str(rows), "--share", str(per_mille)])
            wall, cpu, size, count, found = json.loads(ended.printed)
            figures[way].append([wall, cpu, size])
            last[way] = (count, found)
    medians = {
        way: [statistics.median(column) for column in zip(*runs, strict=True)]
        for way, runs in figures.items()
    }
    ours = medians["increment"]
    lines = report.table(
        ("", "wall s", "CPU s", "MB", "rows", "increment's wall", "increment's CPU"),
        [
            [
                way,
                f"{wall:.2f}",
                f"{cpu:.2f}",
                f"{size / 1e6:.2f}" if size else "–",
                f"{last[way][0]:,}",
                f"{ours[0] / wall:.2f} of it",
                f"{ours[1] / cpu:.2f} of it",
            ]
            for way, (wall, cpu, size) in medians.items()
        ],
    )
    right = last["increment"] == last["hashes"]
    same = "the same keys changed" if right else "**NOT the same keys changed**"
    head = f"{rows:,} rows, {per_mille / 10:g} % changed, CSV with gzip, {rounds} rounds, "
    return f"{head}{report.machine()}; increment and hashes: {same}.\n\n{lines}", right


def main() -> None:
    """Measures, or goes one way (``--way``)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--rows", type=int, default=2_500_000)
    parser.add_argument("--share", type=int, default=10, help="of a thousand rows (default 10)")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.way:
        contest(arguments.way, folder(arguments.rows, arguments.share))
        return
    text, right = measure(arguments.rows, arguments.share, arguments.n)
    print(text)
    if arguments.write:
        report.write("changes", text)
    if not right:
        raise SystemExit("the increment is wrong")


if __name__ == "__main__":
    try:
        main()
    except LocalFailure as failure:
        raise SystemExit(str(failure)) from None
