"""docs/client.md is true: its commands run, its example runs, its exit codes are the command's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_client.command.outcome import EXIT_CODES
from tests.component.client.carrying import CarryingService
from tests.component.client.changing import ChangingSource, people, visits
from tests.component.client.pushing import PushedService
from tests.component.client.service import CLIENT_ID, CLIENT_SECRET, Service, csv_rows
from tests.component.client.test_command import an_environment, headrace
from tests.component.client.walking import WalkingService, persons

PAGE = Path(__file__).parents[3] / "docs" / "client.md"
TABLES = {"absences": csv_rows(3), "employees": csv_rows(40)}
ROWS = {"absences": 3, "employees": 40}

ATHLETES = "syncId,givenName,familyName,dateOfBirth\nA-1042,Ada,Lovelace,1992-12-10\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def commands(block: str) -> Iterator[list[str]]:
    for line in block.splitlines():
        assert line.startswith("$ headrace "), line
        yield shlex.split(line.removeprefix("$ headrace "))


@pytest.mark.parametrize("block", blocks("console"))
def test_the_commands_of_a_block_run_one_after_the_other(
    block: str, tmp_path: Path, database: str
) -> None:
    source = ChangingSource({"people": people(), "visits": visits()})
    increments = "headrace sync" in block or "headrace changes" in block
    with (
        CarryingService()
        if "headrace dataset" in block
        else WalkingService(persons(9))
        if "headrace template" in block
        else PushedService()
        if "headrace profiles" in block
        else Service(TABLES, source=source if increments else None)
    ) as service:
        service.rows = ROWS
        (tmp_path / "athletes.csv").write_text(ATHLETES)
        if "retry" in block:
            service.looks_until_done = 3  # active at the status, done for the pull
        service.begin()
        if "retry" not in block:
            service.finish(service.operations["op-0001"])
        environment = an_environment(service, tmp_path)
        for arguments in commands(block):
            here = [elsewhere(argument, tmp_path, database) for argument in arguments]
            if increments and "--since" in here:
                here[here.index("--since") + 1] = source.version
            if "PROCESS_ID" in here:
                here[here.index("PROCESS_ID")] = imported(service)
            done = headrace(environment, *here)
            assert done.returncode == 0, f"{arguments}: {done.stderr}"
            assert done.stdout


def imported(service: Service) -> str:
    """The last import."""
    assert isinstance(service, CarryingService)
    return str(service.started("import")[-1]["id"])


def elsewhere(argument: str, home: Path, database: str) -> str:
    """A place of the page's, as one of this test."""
    if argument in ("data", "copy") or argument.endswith((".zip", ".csv", ".ndjson")):
        return str(home / argument)
    if argument.startswith("duckdb:"):
        return f"duckdb:{home}/{argument.removeprefix('duckdb:')}"
    return f"postgresql:{database}" if argument.startswith("postgresql:") else argument


def test_the_example_runs(tmp_path: Path) -> None:
    _, example = blocks("python")
    with Service(TABLES) as service:
        service.rows = ROWS
        done = run(example, service, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"employees data/employees.ndjson {ROWS['employees']}" in done.stdout
    assert (tmp_path / "data" / "employees.ndjson").read_bytes() == TABLES["employees"]


def test_the_example_of_templates_runs(tmp_path: Path) -> None:
    example, _ = blocks("python")
    with WalkingService(persons(9)) as service:
        done = run(example, service, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*map(str, range(9)), "9"]


def run(example: str, service: Service, folder: Path) -> subprocess.CompletedProcess[str]:
    """An example of the page's, in this folder."""
    given = f"{service.api_url!r}, {CLIENT_ID!r}, {CLIENT_SECRET!r}"
    return subprocess.run(
        [sys.executable, "-c", f"api_url, client_id, client_secret = {given}\n{example}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_exit_codes_are_those_of_the_command() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.read_text("utf-8"), re.M)
    assert {int(code): said for code, said in rows} == {
        int(code): said for code, said in EXIT_CODES.items()
    }
