"""What Headrace costs on AWS: published prices times what was measured and counted.

    python -m benchmarks.cost [--measure] [--rows ROWS] [-n ROUNDS] [--write]

Prints the tables of docs/cost.md from the prices below and the figures in ``cost.json`` beside
this file. ``--measure`` makes those anew: workers' seconds by exporting ``--rows`` rows with the
real engine into the benchmarks' sink, requests and transitions by running whole operations over
moto (``benchmarks.counting``). ``--write`` puts the tables into the page.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks import report
from headrace.exports.model import Limits
from headrace.exports.slices import MAX_SLICES
from headrace.exports.sources import MAX_READERS
from local.home import CHECKOUT

PAGE = CHECKOUT / "docs" / "cost.md"
FIGURES = Path(__file__).with_suffix(".json")
REGION = "eu-west-1"


@dataclass(frozen=True)
class Price:
    """USD for ``per`` units, as the service's page says for the region, without free tiers."""

    usd: float
    per: float
    unit: str
    page: str


PRICES: Mapping[str, Price] = {
    "lambda_gb_s": Price(0.0000166667, 1, "GB-second of Lambda, x86", "lambda"),
    "lambda_call": Price(0.20, 1e6, "calls of Lambda", "lambda"),
    "transition": Price(0.025, 1e3, "state transitions, Standard workflow", "step-functions"),
    "dynamodb_write": Price(0.7068, 1e6, "write request units, on demand", "dynamodb"),
    "dynamodb_read": Price(0.1415, 1e6, "read request units, on demand", "dynamodb"),
    "s3_put": Price(0.005, 1e3, "PUT, POST and LIST requests, S3 Standard", "s3"),
    "s3_get": Price(0.0004, 1e3, "GET requests, S3 Standard", "s3"),
    "s3_gb_month": Price(0.023, 1, "GB-month, S3 Standard", "s3"),
    "kms": Price(0.03, 1e4, "requests to KMS", "kms"),
    "kms_sign": Price(0.03, 1e4, "signatures by an RSA 2048 key", "kms"),
    "kms_key_month": Price(1.00, 1, "key and month", "kms"),
    "api_call": Price(3.50, 1e6, "calls of a REST API", "api-gateway"),
    "scheduler": Price(1.00, 1e6, "calls by EventBridge Scheduler", "eventbridge"),
    "internet_gb": Price(0.09, 1, "GB out to the internet", "ec2/on-demand"),
}
PRICED_ON = "2026-11-25"

SERVICES: Mapping[str, tuple[str, ...]] = {
    "Lambda": ("lambda_gb_s", "lambda_call"),
    "S3 requests": ("s3_put", "s3_get"),
    "S3 storage": ("s3_gb_month",),
    "KMS": ("kms", "kms_sign", "kms_key_month"),
    "Step Functions": ("transition",),
    "DynamoDB": ("dynamodb_write", "dynamodb_read"),
    "API Gateway": ("api_call",),
    "Scheduler": ("scheduler",),
}
"""How the lines of a bill are summed up; every price but that of the network is in one."""

STREAMS: Mapping[str, tuple[str, str, str]] = {
    "PostgreSQL → CSV": ("postgresql", "csv", "none"),
    "PostgreSQL → CSV, zstd": ("postgresql", "csv", "zstd"),
    "PostgreSQL → NDJSON": ("postgresql", "ndjson", "none"),
    "PostgreSQL → NDJSON, zstd": ("postgresql", "ndjson", "zstd"),
    "PostgreSQL → Parquet": ("postgresql", "parquet", "none"),
    "DuckLake → CSV": ("ducklake", "csv", "none"),
    "DuckLake → CSV, zstd": ("ducklake", "csv", "zstd"),
    "DuckLake → NDJSON": ("ducklake", "ndjson", "none"),
    "DuckLake → NDJSON, zstd": ("ducklake", "ndjson", "zstd"),
    "DuckLake → Parquet": ("ducklake", "parquet", "none"),
}
"""Source, format and compression of each line."""

GB = 100
"""The export whose cost is told: so many GB (10⁹ bytes) of rows as plain CSV …"""
TABLES = 20
"""… in so many tables of one size: Parquet is not cut, and a worker has 15 minutes."""
OPERATIONS = 1_000
STORED_DAYS = 1.0
FEWEST_ROWS = 200_000
"""To measure with."""
SWEEPS_A_MONTH = 30 * 24 * 60 / 5
LOOKS_A_MONTH = 30 * 24 * 60
"""At the schedules of recurring exports."""
WATCHES_A_MONTH = 30 * 24 * 60 / 5
"""At how far the sources are behind."""
RANGES_AT_ONCE = 8
"""Parameter ``RangeConcurrency``."""
WORKER_GB = 1769 / 1024
"""Parameter ``WorkerMemory``."""
HOLDER_GB = 512 / 1024

SECOND = {"dynamodb_write": 0.5, "dynamodb_read": 1.0}
"""What a worker says and asks while it reads, whatever it does: progress, and whether its attempt
still counts, each at least every two seconds."""
HELD_SECOND = {"dynamodb_read": 2.0}
"""What the holder of a snapshot asks: the operation and its jobs, every second."""

type Usage = Mapping[str, float]


@dataclass(frozen=True)
class Stream:
    """A worker's export of the measured rows: seconds, CPU seconds, bytes of the document."""

    wall: float
    cpu: float
    size: int


@dataclass(frozen=True)
class Shape:
    """What an operation with one table uses, and what comes on top for each piece of it.

    ``calls`` is the client's part (a token, the start, three times the status, the manifest, a
    download), ``workflow`` that of the workflow with one slice of one part. A range's and a
    slice's own do not include their parts'.
    """

    calls: Usage
    workflow: Usage
    per_range: Usage
    per_slice: Usage
    per_part: Usage


@dataclass(frozen=True)
class Figures:
    """All that was measured and counted. ``plain`` is the size of the rows as plain CSV."""

    day: str
    machine: str
    rows: int
    rounds: int
    plain: Mapping[str, int]
    streams: Mapping[str, Stream]
    shapes: Mapping[str, Shape]
    sweep_idle: Usage
    sweep_operation: Usage
    look_idle: Usage
    watch_one: Usage
    """A look at one source, a DuckLake."""
    webhook: Usage
    """What an operation uses on top when a webhook is told of its end, and has it at once."""

    @classmethod
    def read(cls, file: Path = FIGURES) -> "Figures":
        """What ``--measure`` wrote."""
        told = json.loads(file.read_text(encoding="utf-8"))
        streams = {name: Stream(**one) for name, one in told.pop("streams").items()}
        shapes = {name: Shape(**one) for name, one in told.pop("shapes").items()}
        return cls(streams=streams, shapes=shapes, **told)


def usd(usage: Usage) -> dict[str, float]:
    """The cost of it by service; what is not used costs nothing."""
    return {
        service: sum(usage.get(name, 0) * PRICES[name].usd / PRICES[name].per for name in names)
        for service, names in SERVICES.items()
    }


def added(*pieces: tuple[float, Usage]) -> Usage:
    """The sum of so many times each."""
    total: Counter[str] = Counter()
    for times, usage in pieces:
        for name, number in usage.items():
            total[name] += times * number  # type: ignore[assignment]
    return total


def large(name: str, figures: Figures) -> tuple[Usage, float]:
    """What one export of ``GB`` GB uses, and the GB of its documents."""
    source, file_format, _ = STREAMS[name]
    stream, plain = figures.streams[name], figures.plain[source]
    shape, limits = figures.shapes[source], Limits()
    table_plain = GB * 1e9 / TABLES
    scale = table_plain / plain
    stored, seconds = stream.size * scale, stream.wall * scale
    # A slice aims at a size before compression.
    [uncompressed] = [
        figures.streams[other].size
        for other, kind in STREAMS.items()
        if kind == (source, file_format, "none")
    ]
    splits = file_format != "parquet"
    slices = min(MAX_SLICES, ceil(uncompressed * scale / limits.slice_bytes)) if splits else 1
    ranges = limits.ranges(slices, MAX_READERS if source == "postgresql" else None)
    parts = max(slices, ceil(stored / limits.part_bytes))
    held_s = seconds / min(ranges, RANGES_AT_ONCE) if source == "postgresql" and slices > 1 else 0
    table = added(
        (1, shape.workflow),
        (ranges - 1, shape.per_range),
        (slices - 1, shape.per_slice),
        (parts - 1, shape.per_part),
        (seconds, {"lambda_gb_s": WORKER_GB}),
        (seconds, SECOND),
        (held_s, {"lambda_gb_s": HOLDER_GB}),
        (held_s, HELD_SECOND),
        (stored / 1e9 * STORED_DAYS / 30, {"s3_gb_month": 1}),
        # A client fetches a document part by part.
        (parts - 1, {"s3_get": 1, "kms": 1}),
    )
    # Planning and ending are done once for all tables; counting them for each is a little much.
    return added((TABLES, table), (1, shape.calls)), TABLES * stored / 1e9


def small(source: str, figures: Figures) -> Usage:
    """What ``OPERATIONS`` operations of a table of 1,000 rows use."""
    shape = figures.shapes[source]
    one = added((1, shape.calls), (1, shape.workflow), (1, figures.sweep_operation))
    return added((OPERATIONS, one))


def idle_month(figures: Figures) -> Usage:
    """What a month costs in which nothing is asked for: three functions on a schedule, two keys."""
    return added(
        (SWEEPS_A_MONTH, figures.sweep_idle),
        (LOOKS_A_MONTH, figures.look_idle),
        (WATCHES_A_MONTH, figures.watch_one),
        (2, {"kms_key_month": 1}),
    )


# --- the page -----------------------------------------------------------------------------------


def prices_text() -> str:
    """The table of prices."""
    rows = [
        [price.unit, f"{price.usd:.10f}".rstrip("0").rstrip("."), f"{price.per:,.0f}", price.page]
        for price in PRICES.values()
    ]
    head = ("", "USD", "for so many", "aws.amazon.com/…/pricing")
    return f"{REGION}, as written down on {PRICED_ON}:\n\n{report.table(head, rows)}"


def measured_text(figures: Figures) -> str:
    """What was measured, and what was counted."""
    streams = []
    for name, stream in figures.streams.items():
        plain = figures.plain[STREAMS[name][0]]
        streams.append(
            [
                name,
                f"{stream.wall / plain * 1e9:.1f}",
                f"{stream.cpu / plain * 1e9:.1f}",
                f"{stream.size / plain:.2f}",
            ]
        )
    head = (
        f"Workers, on {figures.day}, {figures.rows:,} rows, the fastest of {figures.rounds} runs, "
        f"{figures.machine}; for each GB (10⁹ bytes) that the rows have as plain CSV:"
    )
    units = [
        name for name in PRICES if any(_uses(shape, name) for shape in figures.shapes.values())
    ]
    counted = [
        [f"{source}: {what}", *(_number(getattr(shape, piece).get(name, 0)) for name in units)]
        for source, shape in figures.shapes.items()
        for what, piece in PIECES.items()
    ]
    return "\n\n".join(
        [
            head,
            report.table(("", "seconds", "CPU seconds", "GB of document"), streams),
            "Counted, of an operation with one table of 1,000 rows, and for each further piece:",
            report.table(("", *(name.replace("_", " ") for name in units)), counted),
        ]
    )


PIECES = {
    "the client's calls": "calls",
    "the workflow": "workflow",
    "a range more": "per_range",
    "a slice more": "per_slice",
    "a part more": "per_part",
}


def _uses(shape: Shape, name: str) -> bool:
    return any(name in getattr(shape, piece) for piece in PIECES.values())


def _number(value: float) -> str:
    return "–" if not value else f"{value:.3f}" if value % 1 else f"{value:.0f}"


def large_text(figures: Figures) -> str:
    """USD of a large export, by service, and what the network adds."""
    services = [name for name in SERVICES if name != "Scheduler"]
    rows = []
    for name in STREAMS:
        usage, stored = large(name, figures)
        cost = usd(usage)
        rows.append(
            [
                name,
                *(_dollars(cost[service]) for service in services),
                f"**{_dollars(sum(cost.values()))}**",
                _dollars(stored * PRICES["internet_gb"].usd),
            ]
        )
    return report.table(("", *services, "**sum**", "beside it: out to the internet"), rows)


def small_text(figures: Figures) -> str:
    """USD of many small operations, and of a month without any."""
    names = {"postgresql": "PostgreSQL", "ducklake": "DuckLake"}
    lines = {
        f"{OPERATIONS:,} operations, {names[source]}": usd(small(source, figures))
        for source in figures.shapes
    }
    lines[f"{OPERATIONS:,} webhooks told"] = usd(added((OPERATIONS, figures.webhook)))
    lines["a month without any"] = usd(idle_month(figures))
    rows = [
        [
            name,
            *(_dollars(cost[service]) for service in SERVICES),
            f"**{_dollars(sum(cost.values()))}**",
        ]
        for name, cost in lines.items()
    ]
    return report.table(("", *SERVICES, "**sum**"), rows)


def _dollars(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def sections(figures: Figures) -> dict[str, str]:
    """The page's written sections, by the names of their markers."""
    return {
        "large": large_text(figures),
        "small": small_text(figures),
        "prices": prices_text(),
        "measured": measured_text(figures),
    }


# --- measuring ----------------------------------------------------------------------------------


def measured(rows: int, rounds: int) -> Figures:
    """Measures and counts all of it anew."""
    # Functions are modules by the names that Lambda has them under.
    sys.path.insert(0, str(CHECKOUT / "functions"))
    from benchmarks import contestants, counting, measuring, turn  # noqa: PLC0415
    from benchmarks.data import named  # noqa: PLC0415

    data, few = named(rows), named(1_000)
    started = [one.server for one in (data, few) if one.server.start()]
    try:
        data.build()
        few.build()
        taken: dict[str, list[Any]] = {name: [] for name in STREAMS}
        with contestants.a_sink() as port:
            for _ in range(rounds):
                for name, (source, file_format, compression) in STREAMS.items():
                    asked = turn.Turn(rows, source, file_format, compression, port=port)
                    command = [sys.executable, "-m", "benchmarks.turn", json.dumps(asdict(asked))]
                    taken[name].append(json.loads(measuring.run(command).printed))
                    print(f"  {name}: {taken[name][-1]}", file=sys.stderr, flush=True)
        shapes = {}
        for source in ("postgresql", "ducklake"):
            shapes[source], idle, swept, looked = _shape(counting, few, data, source)
        watched = _watched(counting, few)
        told = _webhook(counting, few)
    finally:
        for server in started:
            server.stop()
    # The fastest: a worker on Lambda shares its processor with nobody, and this machine is shared.
    best = {name: min(runs, key=lambda one: float(one["wall"])) for name, runs in taken.items()}
    streams = {
        name: Stream(round(one["wall"], 3), round(one["cpu"], 3), one["size"])
        for name, one in best.items()
    }
    return Figures(
        day=datetime.now(UTC).date().isoformat(),
        machine=report.machine(),
        rows=rows,
        rounds=rounds,
        plain={
            source: streams[name].size
            for name, (source, file_format, compression) in STREAMS.items()
            if (file_format, compression) == ("csv", "none")
        },
        streams=streams,
        shapes=shapes,
        sweep_idle=idle,
        sweep_operation=swept,
        look_idle=looked,
        watch_one=watched,
        webhook=told,
    )


def _watched(counting: Any, few: Any) -> Usage:
    """A look at a DuckLake, by an instance that has looked before."""
    with counting.an_account(few, "ducklake") as account:
        account.look_at_sources()
        looked: Usage = account.look_at_sources()
    return looked


def _shape(counting: Any, few: Any, data: Any, source: str) -> tuple[Shape, Usage, Usage, Usage]:
    """The source's shape, a sweep that finds nothing, what a sweep does for an operation, and a
    look at no schedules.
    """
    with counting.an_account(few, source) as account:
        account.export("csv", "zstd")  # the first finds nothing warm
        calls, workflow, _ = account.export("csv", "zstd")
        opening = account.billed["ExportRange"]
        account.sweep()
        idle = account.sweep()
        account.clock.advance(hours=25)
        due = account.sweep()
        account.look_at_schedules()
        looked = account.look_at_schedules()
    whole = _counts(counting, data, source, RANGE_MIB="4096", RANGE_SECONDS="880")
    sliced = _counts(counting, data, source, RANGE_MIB="4096", RANGE_SECONDS="24")
    ranged = _counts(counting, data, source, RANGE_MIB="24", RANGE_SECONDS="880")
    per_part = _times(1 / (whole[1] - 1), whole[0], workflow)
    slices = sliced[2] - 1
    per_slice = added(
        (1, _times(1 / slices, sliced[0], whole[0])), (-(sliced[1] - whole[1]) / slices, per_part)
    )
    per_range = added(
        (1, {"lambda_gb_s": opening}),
        (1, _times(1 / slices, ranged[0], sliced[0])),
        (-(ranged[1] - sliced[1]) / slices, per_part),
    )
    shape = Shape(*(_rounded(u) for u in (calls, workflow, per_range, per_slice, per_part)))
    swept = _rounded(added((0.5, due), (-0.5, idle)))
    return shape, _rounded(idle), swept, _rounded(looked)


def _webhook(counting: Any, few: Any) -> Usage:
    """What it takes on top to tell a webhook of the end. Lambda's seconds of the workflow, which
    are much the same, are left out.
    """
    with counting.an_account(few, "postgresql") as account:
        account.told_export()
        told, delivery = account.told_export()
        _, untold, _ = account.export("csv", "zstd")
    return _rounded(added((1, delivery), (1, _times(1, told, untold))))


def _counts(counting: Any, data: Any, source: str, **environment: str) -> tuple[Usage, int, int]:
    """What the workflow used for the large table, its parts and its slices."""
    with counting.an_account(data, source, **environment) as account:
        _, usage, parts = account.export("csv", "none")
        slices = account.slices()
    print(f"  {source}, {environment}: {len(parts)} parts, {slices} slices", file=sys.stderr)
    return usage, len(parts), slices


def _times(factor: float, more: Usage, less: Usage) -> Usage:
    """The difference, shared out. Seconds are left out: moto's are not those of S3."""
    difference = added((factor, more), (-factor, less))
    return {name: number for name, number in difference.items() if name != "lambda_gb_s"}


def _rounded(usage: Usage) -> Usage:
    return {name: round(usage[name], 4) for name in PRICES if round(usage.get(name, 0), 4)}


def main() -> None:
    """Prints, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", action="store_true", help=f"anew, into {FIGURES.name}")
    parser.add_argument("--rows", type=int, default=300_000, help="rows (default 300,000)")
    parser.add_argument("-n", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--write", action="store_true", help="into docs/cost.md")
    arguments = parser.parse_args()
    if arguments.rows < FEWEST_ROWS:
        parser.error(f"--rows: at least {FEWEST_ROWS:,}, for fewer make no second part to count")
    if arguments.measure:
        figures = asdict(measured(arguments.rows, arguments.n))
        text = json.dumps(figures, indent=1, ensure_ascii=False)
        FIGURES.write_text(text + "\n", encoding="utf-8")
    for name, text in sections(Figures.read()).items():
        print(f"\n## {name}\n\n{text}")
        if arguments.write:
            report.write(name, text, PAGE)


if __name__ == "__main__":
    main()
