"""A table that no worker can read in its time, exported by workers that hand over.

Makes a DuckLake of ``--rows`` rows, gives the workers of a running platform ``--timeout`` seconds
and two ranges, exports the table over HTTP, downloads it, and compares it with the source: the
number of rows, and a digest over every value of every row.

    HEADRACE_HOME=DIR python -m benchmarks.long_table [--rows 20000000] [--timeout 60]

Rows, bytes, seconds and hand-overs are printed; a document that is not the table ends it with an
error.
"""

import argparse
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.publishing import TENANT, exported_columns, published
from headrace.adapters.warehouse import engine
from headrace.exports.sources import Source, Table
from headrace_admin.deployment import Deployment
from headrace_client import Compression, FileFormat, HeadraceClient, Pull, Wanted
from local.deployment import client as aws
from local.home import Home

CLIENT = "long-table"

_ROWS = """
    SELECT i AS id, (i * 7919) % 100003 AS employee_id, DATE '2001-01-01' + (i % 9000)::INT AS day,
        (i % 977) / 100.0::DECIMAL(9, 2) AS amount, md5(i::VARCHAR) AS reference,
        CASE i % 5 WHEN 0 THEN NULL ELSE 'Shift "' || (i % 31) || '", night' END AS remark,
        i % 3 = 0 AS approved, TIMESTAMPTZ '2020-01-01' + INTERVAL (i) SECOND AS recorded
    FROM range($first::BIGINT, $last::BIGINT) r(i)
"""
_DIGEST = (
    "count(*), bit_xor(hash(id, employee_id, day, amount, reference, remark, approved, "
    "epoch_us(recorded)))"
)


def made(folder: Path, rows: int) -> Source:
    """A DuckLake with one table of so many rows, several to a file."""
    source = Source(
        "long",
        "ducklake",
        {"catalog": f"sqlite:{folder}/catalog.sqlite", "data_path": f"{folder}/data/"},
    )
    if (folder / "made").exists():
        return source
    (folder / "data").mkdir(parents=True)
    with lake(folder) as connection:
        step = 2_000_000
        for first in range(0, rows, step):
            verb = "INSERT INTO lake.main.shifts" if first else "CREATE TABLE lake.main.shifts AS"
            values = {"first": first, "last": min(rows, first + step)}
            connection.execute(f"{verb} {_ROWS}", values)
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        catalog.execute("PRAGMA journal_mode = WAL")
    catalog.close()
    (folder / "made").touch()
    return source


@contextmanager
def lake(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The DuckLake, attached as ``lake``."""
    connection = engine.connect(engine.Limits(), ordered=True)
    try:
        for extension in ("ducklake", "sqlite_scanner"):
            engine.load_extension(connection, extension)
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake (DATA_PATH '{folder}/data/')"
        )
        yield connection
    finally:
        connection.close()


@contextmanager
def short_of_time(port: int, timeout: int) -> Iterator[None]:
    """The workers have so many seconds, hand over after two thirds of them, and are two."""
    functions = aws("lambda", port)
    names = {
        logical: one["PhysicalResourceId"]
        for one in aws("cloudformation", port).describe_stack_resources(StackName="headrace")[
            "StackResources"
        ]
        if (logical := one["LogicalResourceId"]) in ("PlanJob", "ExportRange")
    }
    before: dict[str, dict[str, Any]] = {}
    given = {"RANGE_SECONDS": str(timeout * 2 // 3), "MAX_RANGES": "2"}
    for logical, name in names.items():
        told = functions.get_function_configuration(FunctionName=name)
        before[name] = {"Environment": told["Environment"], "Timeout": told["Timeout"]}
        variables = {**told["Environment"]["Variables"], **given}
        functions.update_function_configuration(
            FunctionName=name,
            Environment={"Variables": variables},
            Timeout=timeout if logical == "ExportRange" else told["Timeout"],
        )
    try:
        yield
    finally:
        for name, told in before.items():
            functions.update_function_configuration(FunctionName=name, **told)


def hand_overs(port: int, operation_id: str) -> list[dict[str, Any]]:
    """What workers logged when they handed over."""
    logs = aws("logs", port)
    found = []
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"], filterPattern='"handed over"'
        )
        lines = [event["message"] for page in pages for event in page["events"]]
        found += [json.loads(line) for line in lines if operation_id in line]
    return found


def main() -> None:
    """Runs it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--timeout", type=int, default=60)
    told = parser.parse_args()
    home = Home.of(os.environ)
    about = json.loads(home.outputs.read_text())
    port = int(about["aws_endpoint_url"].rpartition(":")[2])
    deployment = Deployment.local(home.root)
    folder = home.root / f"long-{told.rows}"
    source = made(folder, told.rows)
    columns = exported_columns(source, "main.shifts")
    table = Table("shifts", "main.shifts", columns, primary_key=("id",), row_estimate=told.rows)
    secret = published(deployment, source, CLIENT, {"all": table})
    begun = time.monotonic()
    with (
        short_of_time(port, told.timeout),
        HeadraceClient(about["api_url"], CLIENT, secret, TENANT) as client,
    ):
        wanted = Wanted(file_format=FileFormat.CSV, compression=Compression.GZIP)
        pulled = Pull(client, folder / "pulled")(wanted)
    took = time.monotonic() - begun
    [file] = pulled.download.files
    with lake(folder) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        expected = connection.execute(f"SELECT {_DIGEST} FROM lake.main.shifts").fetchone()
        types = {
            name: str(kind)
            for name, kind, *_ in connection.execute("DESCRIBE lake.main.shifts").fetchall()
        }
        arrived = connection.execute(
            f"SELECT {_DIGEST} FROM read_csv($path, header = true, columns = {types}, "
            "nullstr = '', quote = '\"', escape = '\"')",
            {"path": str(file.path)},
        ).fetchone()
    left = hand_overs(port, pulled.operation.operation_id)
    print(
        f"{file.rows:,} rows, {file.bytes:,} bytes of gzip in {took:.1f} s, hand-overs: {len(left)}"
    )
    print(f"source {expected}, document {arrived}")
    if arrived != expected:
        raise SystemExit("The document is not the table.")


if __name__ == "__main__":
    main()
