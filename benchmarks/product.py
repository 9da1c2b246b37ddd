"""The whole product over HTTP, from the start to the last byte downloaded and verified.

A large table beside the engine alone into the same store, and one of 1,000 rows on a warm
platform, with what its seconds went into. It needs a platform that runs: ``make up``.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report
from benchmarks.contestants import Arena, Ours
from benchmarks.data import EXPORTED, WHERE, Data, table
from benchmarks.publishing import TENANT, exported_columns, published
from benchmarks.turn import TABLES
from headrace_admin.deployment import Deployment
from headrace_client import FileFormat, HeadraceClient, Pull, Wanted
from headrace_client.events import DownloadPlanned, Event, OperationChosen, OperationSeen
from headrace_client.model import Status
from local.deployment import client as aws
from local.home import Home, LocalFailure
from local.sample.warehouse import attached

CLIENT = "benchmark"
SMALL_ROWS = 1_000
BIG, SMALL = TABLES["ducklake"], f"hr.employments_of_{SMALL_ROWS}"
WARMING = 3

_STREAM = re.compile(r"/headrace-(?P<function>\w+)-\w+\[")
_DURATION = re.compile(r"\tDuration: (?P<ms>[\d.]+) ms")


@dataclass(frozen=True)
class Platform:
    """The local platform that runs."""

    about: dict[str, Any]
    root: Path

    @classmethod
    def here(cls) -> "Platform":
        """That of this home. Raises LocalFailure."""
        home = Home.of(os.environ)
        if not home.outputs.is_file():
            raise LocalFailure("There is no platform to measure: make up")
        return cls(json.loads(home.outputs.read_text()), home.root)

    @property
    def port(self) -> int:
        """Of its endpoint."""
        return int(self.about["aws_endpoint_url"].rpartition(":")[2])


@dataclass(frozen=True)
class Pulled:
    """A pull, in seconds: accepted, succeeded as the client saw it, planned, done; since when."""

    began: float
    accepted: float
    succeeded: float
    planned: float
    done: float


def pull(client: HeadraceClient, configuration: str) -> Pulled:
    """Pulls the configuration's table as CSV into a folder that is removed."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-pull-"))
    marks: dict[str, float] = {}
    began, clock = time.time(), time.perf_counter()

    def note(event: Event) -> None:
        now = time.perf_counter() - clock
        if isinstance(event, OperationChosen):
            marks["accepted"] = now
        elif isinstance(event, OperationSeen) and event.operation.status is Status.SUCCEEDED:
            marks["succeeded"] = now
        elif isinstance(event, DownloadPlanned):
            marks["planned"] = now

    try:
        Pull(client, folder, listener=note)(
            Wanted(configuration_id=configuration, file_format=FileFormat.CSV)
        )
        done = time.perf_counter() - clock
        return Pulled(began, marks["accepted"], marks["succeeded"], marks["planned"], done)
    finally:
        shutil.rmtree(folder)


def engine_alone(data: Data, platform: Platform) -> float:
    """Seconds that the engine takes for the same document into the same bucket."""
    outputs = platform.about["outputs"]
    bucket, key = outputs["FilesBucketName"], outputs["FilesKeyArn"]
    arena = Arena(data, platform.port, Path(), relay=0)
    turn = Ours("CSV", "csv", source="ducklake", bucket=bucket, key=key).turn(arena)
    aws("s3", platform.port).delete_object(Bucket=bucket, Key="employments.csv")
    return turn.wall


def measure(data: Data, rounds: int) -> str:
    """The ratio of the large table, the seconds of the small one and their profile."""
    platform = Platform.here()
    with attached(data.lake, read_only=False) as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS lake.{SMALL} AS SELECT * FROM lake.{BIG} "
            f"WHERE {WHERE} LIMIT {SMALL_ROWS}"
        )
    source = data.ducklake
    columns = exported_columns(source, BIG, EXPORTED)
    tables = {"big": table(columns, BIG), "small": table(columns, SMALL)}
    secret = published(Deployment.local(platform.root), source, CLIENT, tables)
    engine, big, small = [], [], []
    with HeadraceClient(platform.about["api_url"], CLIENT, secret, TENANT) as client:
        for _ in range(WARMING):
            pull(client, "small")
        for turn in range(rounds):
            small.append(pull(client, "small"))
            _say(f"round {turn + 1}: {SMALL_ROWS:,} rows", small[-1].done)
        for turn in range(rounds):
            engine.append(engine_alone(data, platform))
            _say(f"round {turn + 1}: engine alone", engine[-1])
            big.append(pull(client, "big"))
            _say(f"round {turn + 1}: product", big[-1].done)
    middle = sorted(small, key=lambda pulled: pulled.done)[len(small) // 2]
    whole = median(pulled.done for pulled in big)
    ratio = whole / median(engine)
    goals = report.table(
        ("goal", "measured", ""),
        [
            [
                f"{data.rows:,} rows ≤ 1.5 × the engine into the same store",
                f"{whole:.1f} s / {median(engine):.1f} s = {ratio:.2f}",
                "reached" if ratio <= 1.5 else "**not reached**",
            ],
            [
                f"{SMALL_ROWS:,} rows, warm, ≤ 3 s",
                f"{middle.done:.2f} s",
                "reached" if middle.done <= 3 else "**not reached**",
            ],
        ],
    )
    head = (
        f"`python -m benchmarks product -n {rounds} --rows {data.rows}` on "
        f"{datetime.now(UTC).date()}: CSV from the DuckLake, the local platform, "
        f"{report.machine()}; medians of {rounds}."
    )
    return "\n\n".join([head, goals, _profiles(platform, middle, big[-1])])


def _say(what: str, seconds: float) -> None:
    print(f"  {what:32} {seconds:7.2f} s", file=sys.stderr, flush=True)


def _profiles(platform: Platform, small: Pulled, big: Pulled) -> str:
    return "\n\n".join(
        f"Where the {pulled.done:.2f} s of {name} went:\n\n{_profile(platform, pulled)}"
        for name, pulled in ((f"{SMALL_ROWS:,} rows", small), ("the large table", big))
    )


def _profile(platform: Platform, pulled: Pulled) -> str:
    """What the client waited for, and how long functions ran meanwhile, as they report."""
    ran: dict[str, list[float]] = defaultdict(list)
    for function, seconds in reported(platform, pulled.began, pulled.began + pulled.done):
        ran[function].append(seconds)
    steps = [
        ["a token, and the start accepted", pulled.accepted],
        ["the operation, till the client saw its end", pulled.succeeded - pulled.accepted],
        ["the manifest", pulled.planned - pulled.succeeded],
        ["the download, verified", pulled.done - pulled.planned],
    ]
    waited = report.table(("the client", "s"), [[str(n), f"{s:.2f}"] for n, s in steps])
    functions = report.table(
        ("functions meanwhile", "calls", "s in all"),
        [
            [name, str(len(seconds)), f"{sum(seconds):.2f}"]
            for name, seconds in sorted(ran.items(), key=lambda item: -sum(item[1]))
        ],
    )
    return f"{waited}\n\n{functions}"


def reported(platform: Platform, began: float, ended: float) -> Iterator[tuple[str, float]]:
    """Each function that ended in that time, and its seconds, as it reported."""
    pages = (
        aws("logs", platform.port)
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName="/headrace/headrace",
            startTime=int(began * 1000),
            endTime=int(ended * 1000) + 50,
        )
    )
    for event in (event for page in pages for event in page["events"]):
        if event["message"].startswith("REPORT"):
            function = _STREAM.search(event["logStreamName"])
            duration = _DURATION.search(event["message"])
            if function and duration:
                yield function["function"], float(duration["ms"]) / 1000
