"""`headrace sync` against the deployed product, while a loader writes to the lake."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from local.sample.warehouse import load_more
from tests.system.client.test_command import headrace
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import ACTIVE, Platform, eventually
from tests.system.exports.rows import ABSENCES, EMPLOYEES, Expected, Row, assert_same_rows

pytestmark = pytest.mark.system

# kills itself, as a power cut would, as soon as its operation has been started
KILLED_ON_THE_WAY = """
import os, signal, sys
from headrace_client import HeadraceClient, Sync, sync_destination
from headrace_client.events import OperationSeen

url, client_id, secret, to = sys.argv[1:]

def watch(event):
    if isinstance(event, OperationSeen):
        print(event.operation.operation_id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

with HeadraceClient(url, client_id, secret) as client:
    Sync(client, sync_destination(to), listener=watch)()
"""


def in_copy(expected: Expected, folder: Path, kind: str) -> list[Row]:
    """The rows of the copy, asked as the lake is."""
    asked = ", ".join(kind.ask(f'"{name}"') for name, _, kind in expected.columns)
    copy = folder / "copy.duckdb"
    table = expected.table
    if kind == "folder":
        copy, table = Path(":memory:"), f"'{folder / 'copy' / f'{table}.parquet'}'"
    with duckdb.connect(str(copy)) as connection:
        rows = connection.execute(f"SELECT {asked} FROM {table}").fetchall()
    plain = [kind.plain for _, _, kind in expected.columns]
    return [
        tuple(None if v is None else p(v) for p, v in zip(plain, row, strict=True)) for row in rows
    ]


@pytest.mark.parametrize("kind", ["folder", "duckdb"])
def test_a_copy_is_the_lake_at_its_version_whatever_is_loaded_and_killed(
    platform: Platform, clients: Clients, tmp_path: Path, kind: str
) -> None:
    integrator = clients.special(NORTHWIND, "employees", "absences")
    to = str(tmp_path / "copy") if kind == "folder" else f"duckdb:{tmp_path / 'copy.duckdb'}"
    warehouse = platform.home.root / "warehouse"

    def assert_copied(version: str) -> None:
        for table in (EMPLOYEES, ABSENCES):
            expected = table.in_source(warehouse, version, NORTHWIND)
            assert_same_rows(in_copy(table, tmp_path, kind), expected, table.names)

    first = headrace(integrator, "sync", "--to", to)
    assert first["action"] == "baseline"
    assert_copied(first["syncVersion"])

    load_more(platform.home.root)
    arguments = [platform.api_url, integrator.client_id, integrator.client_secret, to]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_ON_THE_WAY, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert_copied(first["syncVersion"])
    begun = killed.stdout.strip()

    def ended() -> bool:
        return headrace(integrator, "status", begun)["status"] not in ACTIVE

    eventually(ended, within=120, what="the increment came to its end")
    loaded = load_more(platform.home.root)

    second = headrace(integrator, "sync", "--to", to)
    assert second["operationId"] == begun
    assert second["action"] == "increment"
    assert_copied(second["syncVersion"])

    third = headrace(integrator, "sync", "--to", to)
    changes = {table["table"]: table for table in third["tables"]}
    assert changes["employees"]["updated"] == 1
    assert 0 < changes["absences"]["deleted"] <= loaded.deleted
    assert_copied(third["syncVersion"])

    assert headrace(integrator, "sync", "--to", to)["action"] == "nothing"
    assert len(headrace(integrator, "operations")["operations"]) == 3
