"""How fast an export is, beside a plain DuckDB ``COPY`` of the same query to a local file.

The largest table of the sample warehouse, every row and column. Each run is a process of its own,
the contestants take turns, and what is printed are medians of ``-n`` turns:

- *worker*: what a worker of ours does. The table is streamed in its canonical form and uploaded
  in parts, hashed, through the very code that uploads to S3; but the storage is a file.
- *COPY*: DuckDB as it comes, all processors, all memory.
- *COPY, one thread*: the same with one thread, which is what a worker has.

Times are from the opening of the warehouse to the file's last byte, imports not counted; the memory
is the peak of the whole process, Python and boto's client included.

    python benchmarks/export_throughput.py [--warehouse DIR] [-n 5] [--format csv]
                                           [--compression none]
"""

# ruff: noqa: PLC0415  a turn imports what its contestant needs and nothing else

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONTESTANTS = ("worker", "COPY", "COPY, one thread")
PART_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Run:
    """One turn: seconds of the clock and of processors, peak MiB, rows, bytes of the file."""

    wall: float
    cpu: float
    peak: float
    rows: int
    size: int


class FileStorage:
    """An S3 client as far as an upload needs one; the parts land in a file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def upload_part(self, *, PartNumber: int, Body: bytes, **_: Any) -> dict[str, str]:
        """Writes the part where it belongs: all but the last are equally large."""
        os.pwrite(self._descriptor, Body, (PartNumber - 1) * PART_BYTES)
        return {"ETag": str(PartNumber)}


Work = Callable[[], int]
"""What is timed; returns the rows."""


def worker(warehouse: Path, file_format: str, compression: str, out: Path) -> Work:
    """Exports the largest table as a worker does, of which the table and its version are known."""
    from headrace.adapters.s3.part_upload import S3PartUploads
    from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
    from headrace.exports.model import (
        Column,
        Compression,
        FileFormat,
        PartPosition,
        Source,
        Table,
    )

    options = {"catalog": f"sqlite:{warehouse}/catalog.sqlite", "data_path": f"{warehouse}/data"}
    source = Source("sample", "ducklake", options)
    reader = DuckdbWarehouse()
    version = reader.current_version(source)
    columns = reader.describe(source, LARGEST)
    table = Table(
        name="largest",
        source=LARGEST,
        columns=tuple(
            Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale)
            for c in columns
            if c.type is not None
        ),
    )
    if len(table.columns) != len(columns):
        raise SystemExit("A column of the table cannot be exported.")
    upload = S3PartUploads(FileStorage(out), "bucket", PART_BYTES)
    form, packing = FileFormat(file_format), Compression(compression)

    def work() -> int:
        with reader.stream(source, version, table, None, form, packing, PartPosition()) as stream:
            upload("key", "upload", range(1, 5000), iter(stream), lambda: False)
            return stream.rows

    return work


def copy(warehouse: Path, file_format: str, out: Path, *, one_thread: bool) -> Work:
    """Copies the same table with DuckDB alone."""
    import duckdb

    from headrace.adapters.warehouse.engine import literal, load_extension

    options = {
        "csv": "FORMAT csv, HEADER",
        "json": "FORMAT json, ARRAY",
        "ndjson": "FORMAT json",
        "parquet": "FORMAT parquet",
    }[file_format]

    def work() -> int:
        with duckdb.connect(config={"allow_unsigned_extensions": True}) as connection:
            if one_thread:
                connection.execute("SET threads = 1")
            for name in ("sqlite_scanner", "ducklake"):
                load_extension(connection, name)
            connection.execute(
                f"ATTACH {literal(f'ducklake:sqlite:{warehouse}/catalog.sqlite')} AS lake "
                f"(READ_ONLY, DATA_PATH {literal(f'{warehouse}/data/')}, OVERRIDE_DATA_PATH true)"
            )
            row = connection.execute(
                f"COPY (SELECT * FROM lake.{LARGEST}) TO {literal(str(out))} ({options})"
            ).fetchone()
            return int(row[0]) if row else 0

    return work


LARGEST = "hr.payslips"


def run_here(contestant: str, warehouse: Path, file_format: str, compression: str) -> Run:
    """One turn in this process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "document"
        if contestant == "worker":
            work = worker(warehouse, file_format, compression, out)
        else:
            work = copy(warehouse, file_format, out, one_thread=contestant != "COPY")
        wall, cpu = time.perf_counter(), time.process_time()
        rows = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        # Not ru_maxrss: that starts at what the process had which started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        return Run(wall, cpu, peak, rows, out.stat().st_size)


def run_apart(contestant: str, arguments: argparse.Namespace) -> Run:
    """One turn in a process of its own."""
    command = [
        sys.executable,
        __file__,
        f"--warehouse={arguments.warehouse}",
        f"--format={arguments.format}",
        f"--compression={arguments.compression}",
        f"--turn={contestant}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"}
    )
    if done.returncode:
        raise SystemExit(done.stderr or f"the turn of {contestant} failed")
    return Run(**json.loads(done.stdout))


def report(turns: dict[str, list[Run]]) -> None:
    """Prints the medians, and the worker's beside the others'."""

    def median(contestant: str, figure: str) -> float:
        return float(statistics.median(getattr(run, figure) for run in turns[contestant]))

    print(f"{'':18}{'wall s':>9}{'CPU s':>9}{'MB/s':>8}{'peak MiB':>10}{'rows':>11}{'MB':>8}")
    for contestant in CONTESTANTS:
        wall, size = median(contestant, "wall"), median(contestant, "size") / 1e6
        print(
            f"{contestant:18}{wall:9.2f}{median(contestant, 'cpu'):9.2f}{size / wall:8.0f}"
            f"{median(contestant, 'peak'):10.0f}{median(contestant, 'rows'):11,.0f}{size:8.1f}"
        )
    for other in CONTESTANTS[1:]:
        ratios = {
            figure: median("worker", figure) / median(other, figure) for figure in ("wall", "cpu")
        }
        print(
            f"an export takes {ratios['wall']:.2f} times the wall and {ratios['cpu']:.2f} times "
            f"the CPU time of {other}"
        )
    print(f"peak memory of the worker: {max(run.peak for run in turns['worker']):.0f} MiB")


def main() -> None:
    """Runs the contestants in turns, or as ``--turn`` one of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--warehouse", type=Path, help="folder of the sample warehouse")
    parser.add_argument("-n", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--format", default="csv", choices=("csv", "json", "ndjson", "parquet"))
    parser.add_argument("--compression", default="none", choices=("none", "gzip", "zstd"))
    parser.add_argument("--turn", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.turn:
        run = run_here(arguments.turn, arguments.warehouse, arguments.format, arguments.compression)
        json.dump(run.__dict__, sys.stdout)
        return
    if arguments.warehouse is None:
        sys.path.insert(0, str(ROOT))
        from local.home import Home
        from local.sample.warehouse import build

        arguments.warehouse = build(Home.of(os.environ).root)
    arguments.warehouse = arguments.warehouse.resolve()
    turns: dict[str, list[Run]] = {contestant: [] for contestant in CONTESTANTS}
    for _ in repeat(None, arguments.n):
        for contestant in CONTESTANTS:
            turns[contestant].append(run_apart(contestant, arguments))
    packed = (
        "" if arguments.compression == "none" else f", the worker's with {arguments.compression}"
    )
    print(f"{LARGEST} to {arguments.format}{packed}; medians of {arguments.n}")
    report(turns)


if __name__ == "__main__":
    main()
