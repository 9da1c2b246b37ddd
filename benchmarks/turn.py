"""One turn of ours, in a process of its own: reads as workers do, uploads with the product's code.

    python -m benchmarks.turn SPECIFICATION    JSON of ``Turn``; prints the JSON of a ``Figures``

What is timed is a worker's work: from opening the source to the completed upload, imports and
the planning of ranges not counted, as a warm worker has made the one and another makes the other.
"""

# ruff: noqa: PLC0415  what a worker imports is imported by it, before it is timed

import json
import multiprocessing
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data import named, table

if TYPE_CHECKING:
    from headrace.exports.model import Source, Table, TableRange

TABLES = {"postgresql": "public.employments", "ducklake": "hr.employments"}


@dataclass(frozen=True)
class Turn:
    """What to do. ``upto``: rows whose id is not beyond it, of PostgreSQL; ``stages``: which of
    the pipe's stages run (``profile``)."""

    rows: int
    source: str
    file_format: str = "csv"
    compression: str = "none"
    workers: int = 1
    port: int = 0
    upto: int | None = None
    upload: bool = True


@dataclass(frozen=True)
class Figures:
    """What a turn took: seconds of the clock and of processors, the peak in MiB of the largest
    process, rows and bytes of the document."""

    wall: float
    cpu: float
    peak: float
    rows: int
    size: int


def peak_mib() -> float:
    """The most memory that this process ever had.

    Not ru_maxrss: that starts at what the process had which started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def environment(port: int) -> None:
    """What Lambda sets, for clients that reach the sink."""
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "TZ": "UTC",
    }


def _worker(
    parent: Connection,
    turn: Turn,
    source: "Source",
    exported: "Table",
    row_range: "TableRange | None",
    place: tuple[int, int],
    target: tuple[str, str],
) -> None:
    """Announces itself, waits to be let go, exports its range, and says what it took."""
    from headrace.adapters.s3.part_upload import S3PartUploads
    from headrace.adapters.warehouse.by_kind import WarehouseByKind
    from headrace.exports.model import Compression, FileFormat, PartPosition, part_numbers
    from headrace.runtime.wiring import client

    reader = WarehouseByKind()
    reader.reader(source)
    upload = S3PartUploads(client("s3"), "bench")
    index, count = place
    position = PartPosition(first=index == 0, last=index == count - 1)
    parent.send(None)
    parent.recv()
    cpu = time.process_time()
    with reader.stream(
        source,
        reader.current_version(source),
        exported,
        row_range,
        FileFormat(turn.file_format),
        Compression(turn.compression),
        position,
    ) as stream:
        parts, _ = upload(*target, part_numbers(index, count), iter(stream), lambda: False)
        rows = stream.rows
    parent.send((time.process_time() - cpu, peak_mib(), rows, parts))


def export(turn: Turn) -> Figures:
    """Exports the table in as many processes as there are workers. Raises what goes wrong."""
    from benchmarks.data import EXPORTED
    from headrace.adapters.s3.files import S3Files
    from headrace.adapters.warehouse.by_kind import WarehouseByKind
    from headrace.exports.model import Column, Compression, ExportRequest, FileFormat, KeyRange
    from headrace.runtime.wiring import client

    data = named(turn.rows)
    source = data.postgresql if turn.source == "postgresql" else data.ducklake
    reader = WarehouseByKind()
    described = {c.name: c for c in reader.describe(source, TABLES[turn.source])}
    chosen = [described[name] for name in EXPORTED]
    columns = tuple(
        Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale)
        for c in chosen
        if c.type is not None
    )
    exported = table(columns, TABLES[turn.source])
    file_format, compression = FileFormat(turn.file_format), Compression(turn.compression)
    request = ExportRequest("bench", ("employments",), file_format, compression)
    ranges: tuple[TableRange | None, ...] = (None,)
    if turn.upto is not None:
        ranges = (KeyRange(None, (str(turn.upto),), turn.rows),)
    elif turn.workers > 1:
        ranges = reader.plan(
            source,
            reader.current_version(source),
            exported,
            file_format,
            target_bytes=1,
            max_ranges=turn.workers,
            compression=compression,
        )
    files = S3Files(client("s3"), "bench", "key", timedelta(minutes=5))
    key = request.file_name("employments")
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in ranges]
    upload_id = files.open_upload(key, request, key, None)
    workers = [
        context.Process(
            target=_worker,
            args=(
                pipe[1],
                turn,
                source,
                exported,
                row_range,
                (index, len(ranges)),
                (key, upload_id),
            ),
        )
        for index, (pipe, row_range) in enumerate(zip(pipes, ranges, strict=True))
    ]
    for worker in workers:
        worker.start()
    for ours, theirs in pipes:
        theirs.close()
        ours.recv()
    started = time.perf_counter()
    for ours, _ in pipes:
        ours.send(None)
    results = [ours.recv() for ours, _ in pipes]
    parts = tuple(part for _, _, _, done in results for part in done)
    files.complete(key, upload_id, parts)
    wall = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return Figures(
        wall=wall,
        cpu=sum(cpu for cpu, _, _, _ in results),
        peak=max(peak for _, peak, _, _ in results),
        rows=sum(rows for _, _, rows, _ in results),
        size=sum(part.size for part in parts),
    )


def main() -> None:
    """Does one turn."""
    turn = Turn(**json.loads(sys.argv[1]))
    environment(turn.port)
    json.dump(asdict(export(turn)), sys.stdout)


if __name__ == "__main__":
    main()
