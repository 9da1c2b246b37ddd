"""The command `headrace` against the deployed product, as an integrator uses it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.deployed import Integrator

pytestmark = pytest.mark.system

COMMAND = [sys.executable, "-m", "headrace_client"]

# kills itself, as a power cut would, once `limit` bytes of files have arrived
KILLED_ON_THE_WAY = """
import os, signal, sys
from pathlib import Path
from headrace_client import FileFormat, HeadraceClient, Pull, Wanted
from headrace_client.events import BytesArrived

url, client_id, secret, directory, limit = sys.argv[1:]
arrived = 0

def watch(event):
    global arrived
    if isinstance(event, BytesArrived):
        arrived += event.bytes
        if arrived > int(limit):
            os.kill(os.getpid(), signal.SIGKILL)

with HeadraceClient(url, client_id, secret) as client:
    Pull(client, Path(directory), listener=watch)(Wanted(file_format=FileFormat.CSV))
"""


def an_environment(integrator: Integrator) -> dict[str, str]:
    held = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    return held | {
        "HEADRACE_API_URL": integrator.platform.api_url,
        "HEADRACE_CLIENT_ID": integrator.client_id,
        "HEADRACE_CLIENT_SECRET": integrator.client_secret,
    }


def headrace(integrator: Integrator, *arguments: str, code: int = 0) -> Any:
    """The document that the command prints; it must end with this exit code."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"],
        env=an_environment(integrator),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_killed_in_the_middle_of_the_download_it_goes_on_with_the_same_operation(
    integrator: Integrator, tmp_path: Path
) -> None:
    credentials = [integrator.client_id, integrator.client_secret]
    arguments = [integrator.platform.api_url, *credentials, str(tmp_path), str(40_000_000)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_ON_THE_WAY, *arguments], timeout=300, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".headrace"]

    pulled = headrace(integrator, "pull", "--out", str(tmp_path), "--verify-rows")

    assert pulled["how"] == "resumed"
    assert 0 < pulled["reusedBytes"] < pulled["bytes"]
    assert integrator.quota()["used"] == 1
    manifest = integrator.manifest(pulled["operationId"])
    assert manifest == json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    for file in manifest["files"]:
        content = (tmp_path / file["fileName"]).read_bytes()
        assert len(content) == file["bytes"]
        for part in file["parts"]:
            held = content[part["offset"] : part["offset"] + part["bytes"]]
            assert hashlib.sha256(held).hexdigest() == part["sha256"]
        with (tmp_path / file["fileName"]).open(encoding="utf-8", newline="") as text:
            assert sum(1 for _ in csv.reader(text)) - 1 == file["rows"]


def test_what_is_cancelled_and_retried_is_pulled(integrator: Integrator, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path), "--format", "ndjson", "--compression", "gzip"]
    waited = headrace(integrator, "pull", *out, "--timeout", "0.1", code=9)
    operation_id = waited["error"]["operation"]["operationId"]
    assert headrace(integrator, "quota")["activeOperationId"] == operation_id
    assert headrace(integrator, "cancel")["status"] == "cancelled"
    ended = headrace(integrator, "pull", "--operation", operation_id, *out, code=1)
    assert ended["error"]["code"] == "operation_unsuccessful"
    assert headrace(integrator, "retry", operation_id)["attempt"] == 2

    pulled = headrace(integrator, "pull", *out, "--verify-rows")

    assert (pulled["how"], pulled["operationId"]) == ("resumed", operation_id)
    granted = {table["name"] for table in headrace(integrator, "metadata")["tables"]}
    assert {file["table"] for file in pulled["files"]} == granted
    assert all(file["countedRows"] == file["rows"] for file in pulled["files"])
    assert headrace(integrator, "delete", operation_id) == {"deleted": operation_id}
    assert headrace(integrator, "status", operation_id, code=8)["error"]["code"] == "not_found"
