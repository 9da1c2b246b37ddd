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
    from headrace.exports.slices import TableRange
    from headrace.exports.sources import Source, Table

TABLES = {"postgresql": "public.employments", "ducklake": "hr.employments"}


@dataclass(frozen=True)
class Turn:
    """What to do. ``upto``: rows whose id is not beyond it, of PostgreSQL; ``stage``: where the
    pipe ends, one of ``STAGES``; ``bucket`` and ``key``: where the document goes, encrypted by
    what; ``place``: the table in the source."""

    rows: int
    source: str
    file_format: str = "csv"
    compression: str = "none"
    workers: int = 1
    port: int = 0
    upto: int | None = None
    stage: str = "upload"
    bucket: str = "bench"
    key: str = "key"
    place: str = ""

    @property
    def table(self) -> str:
        """``schema.table`` in the source."""
        return self.place or TABLES[self.source]

    @property
    def reads_only(self) -> bool:
        """Does the pipe end where values have come: in the server's own CSV they come as texts."""
        return self.stage == "source" and (self.source, self.file_format) != ("postgresql", "csv")


STAGES = ("source", "encode", "compress", "hash", "upload")
"""What a worker does, each with all before it: columns are read and counted; the document's bytes
come; they are compressed; cut to parts and hashed; sent."""


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
    """What Lambda sets, for clients that reach the sink, or the emulator."""
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "TZ": "UTC",
    }


class _Taking:
    """A storage that takes parts and does nothing with them."""

    def upload_part(self, **_: object) -> dict[str, str]:
        """As S3's."""
        return {"ETag": ""}


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
    from benchmarks.reading import count_values
    from headrace.adapters.s3.part_upload import S3PartUploads
    from headrace.adapters.warehouse.by_kind import WarehouseByKind
    from headrace.exports.model import Compression, FileFormat
    from headrace.exports.slices import PartPosition, UploadedPart, part_numbers
    from headrace.runtime.instance import client

    reader = WarehouseByKind()
    reader.reader(source)
    storage = client("s3") if turn.stage == "upload" else _Taking()
    upload = S3PartUploads(storage, turn.bucket)
    packed = STAGES.index(turn.stage) >= STAGES.index("compress")
    compression = Compression(turn.compression) if packed else Compression.NONE
    index, count = place
    position = PartPosition(first=index == 0, last=index == count - 1)
    parent.send(None)
    parent.recv()
    cpu = time.process_time()
    version = reader.current_version(source)
    parts: tuple[UploadedPart, ...] = ()
    if turn.reads_only:
        rows = count_values(source, version, exported)
    else:
        with reader.stream(
            source,
            version,
            exported,
            row_range,
            FileFormat(turn.file_format),
            compression,
            position,
        ) as stream:
            if turn.stage in ("hash", "upload"):
                numbers, chunks = part_numbers(index, count), iter(stream)
                parts, _ = upload(*target, numbers, chunks, lambda: False, whole=count == 1)
            else:
                parts = (UploadedPart(1, sum(map(len, stream)), "", ""),)
            rows = stream.rows
    parent.send((time.process_time() - cpu, peak_mib(), rows, parts))


def export(turn: Turn) -> Figures:
    """Exports the table in as many processes as there are workers. Raises what goes wrong."""
    from benchmarks.data import EXPORTED
    from headrace.adapters.s3.files import S3Files
    from headrace.adapters.warehouse.by_kind import WarehouseByKind
    from headrace.exports.model import Compression, ExportRequest, FileFormat
    from headrace.exports.slices import KeyRange
    from headrace.exports.sources import Column
    from headrace.runtime.instance import client

    data = named(turn.rows)
    source = data.postgresql if turn.source == "postgresql" else data.ducklake
    reader = WarehouseByKind()
    described = {c.name: c for c in reader.describe(source, turn.table)}
    chosen = [described[name] for name in EXPORTED]
    columns = tuple(
        Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale)
        for c in chosen
        if c.type is not None
    )
    exported = table(columns, turn.table)
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
        if len(ranges) != turn.workers:
            raise SystemExit(f"{len(ranges)} ranges were planned for {turn.workers} workers")
    files = S3Files(client("s3"), turn.bucket, turn.key, timedelta(minutes=5))
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
    if turn.stage == "upload":
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
