"""`headrace pull` beside other operations of the same client, and over its own death."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, eventually

pytestmark = pytest.mark.system


def pulling(integrator: Integrator, directory: Path, *options: str) -> subprocess.Popen[str]:
    """A pull that has begun."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE")}
    command = [sys.executable, "-m", "headrace_client", "pull", "--json", "--out", str(directory)]
    return subprocess.Popen(
        [*command, *options],
        env={
            **kept,
            "HEADRACE_API_URL": integrator.platform.api_url,
            "HEADRACE_CLIENT_ID": integrator.client_id,
            "HEADRACE_CLIENT_SECRET": integrator.client_secret,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def pulled(integrator: Integrator, directory: Path, *options: str, code: int = 0) -> Any:
    """What a pull says that ends with this exit code."""
    process = pulling(integrator, directory, *options)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == code, said
    return json.loads(said)


def test_a_pull_killed_while_it_waits_goes_on_with_the_same_operation(
    integrator: Integrator, tmp_path: Path
) -> None:
    first = pulling(integrator, tmp_path, "--entity", "payslips", "--format", "json")
    [running] = eventually(
        lambda: integrator.get("/data/v1/operations").json()["operations"],
        within=60,
        what="the pull started an operation",
    )
    eventually(
        lambda: running["operationId"] in (tmp_path / ".headrace" / "pull.json").read_text(),
        within=30,
        what="the pull knows its operation",
    )
    first.send_signal(signal.SIGKILL)
    assert first.wait(timeout=10) == -signal.SIGKILL
    assert integrator.status(running["operationId"])["status"] in ("scheduled", "running")

    again = pulled(integrator, tmp_path)

    assert (again["how"], again["operationId"]) == ("resumed", running["operationId"])
    assert [file["table"] for file in again["files"]] == ["payslips"]
    assert integrator.quota()["used"] == 1


def test_a_pull_beside_another_export_says_what_runs_and_ends_with_4(
    integrator: Integrator, tmp_path: Path
) -> None:
    running = integrator.start(fileFormat="json")
    refused = pulled(integrator, tmp_path, "--format", "parquet", code=4)
    assert refused["error"]["code"] == "operation_active"
    assert running["operationId"] in refused["error"]["detail"]
    assert not list(tmp_path.glob("*.parquet"))

    joined = pulling(integrator, tmp_path, "--format", "json")
    eventually(
        lambda: (
            (tmp_path / ".headrace" / "pull.json").exists()
            and running["operationId"] in (tmp_path / ".headrace" / "pull.json").read_text()
        ),
        within=30,
        what="the same export was joined",
    )
    integrator.cancel(running["operationId"])
    said, _ = joined.communicate(timeout=60)
    assert joined.returncode == 1, said
    assert integrator.quota()["used"] == 1


def test_a_pull_without_quota_says_when_there_is_more_and_ends_with_4(
    clients: Clients, tmp_path: Path
) -> None:
    once = clients.special(NORTHWIND, "cost_centres", daily_quota=1)
    assert pulled(once, tmp_path)["how"] == "started"
    refused = pulled(once, tmp_path, code=4)
    assert refused["error"]["code"] == "quota_exhausted"
    assert refused["error"]["members"]["quota"]["resetsAt"] == once.quota()["resetsAt"]
    assert (tmp_path / "cost_centres.csv").exists(), "what was there stays"
