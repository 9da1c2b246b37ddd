"""Templates read to their end while the source changes: by `headrace template`, and by dlt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator

from headrace.identity.users import Permission
from local.sample.roster import Roster
from tests.system.client.test_command import COMMAND
from tests.system.conftest import NORTHWIND, People
from tests.system.deployed import Person, Platform

pytestmark = pytest.mark.system

TEMPLATE = "training-sessions"
FAR = "interval '4000 days'"
MINE = f"tenant_id = '{NORTHWIND}'"


class Sessions:
    """The training sessions in the operational database."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def in_order(self) -> list[Any]:
        """The ids of the tenant's, as the template orders them."""
        said = self._roster.run(
            f"SELECT json_agg(id ORDER BY starts_at, id) FROM public.training_sessions WHERE {MINE}"
        )
        found: list[Any] = json.loads(said)
        return found

    def move(self) -> None:
        """Every third goes to the front: who counts rows of what is there now reads some twice."""
        self._shift("-")

    def move_back(self) -> None:
        self._shift("+")

    def _shift(self, sign: str) -> None:
        self._roster.run(
            f"UPDATE public.training_sessions SET starts_at = starts_at {sign} {FAR} "
            f"WHERE {MINE} AND id % 3 = 0"
        )


@pytest.fixture
def sessions(platform: Platform) -> Iterator[Sessions]:
    """As the sample has them; what a test moves is put back."""
    held = Sessions(Roster(platform.home.roster))
    before = held.in_order()
    yield held
    if held.in_order() != before:
        held.move_back()
    assert held.in_order() == before


@pytest.fixture
def reader(platform: Platform, people: People) -> Person:
    """A person of a tenant for which the template is active."""
    if not platform.deployment.activations().is_active(NORTHWIND, TEMPLATE):
        platform.headrace_admin("template", "activate", TEMPLATE, "--tenant", NORTHWIND)
    return people.of(NORTHWIND, Permission.EXPORT_TEMPLATES)


@pytest.fixture
def environment(reader: Person, tmp_path: Path) -> Mapping[str, str]:
    """One in which the person is logged in."""
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    held = kept | {"HOME": str(tmp_path), "HEADRACE_PASSWORD": reader.password}
    for folder in ("CONFIG", "STATE", "CACHE"):
        held[f"XDG_{folder}_HOME"] = str(tmp_path / folder.lower())
    url = reader.platform.api_url
    done = headrace(held, "login", "--api-url", url, "--username", reader.username)
    assert done.returncode == 0, done.stdout + done.stderr
    return held


def headrace(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def ids(rows: list[Any]) -> list[Any]:
    return [row["id"] for row in rows]


def test_a_person_logs_in_and_reads_all_rows_in_each_format(
    environment: Mapping[str, str], sessions: Sessions, tmp_path: Path
) -> None:
    wanted = sessions.in_order()
    for row_format in ("json", "csv", "ndjson"):
        file = tmp_path / f"sessions.{row_format}"
        options = ["--all", "--count", "700", "--to", str(file), "--json"]
        done = headrace(environment, "template", TEMPLATE, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["rows"] == len(wanted)
        text = file.read_text("utf-8")
        if row_format == "json":
            assert ids(json.loads(text)) == wanted
        elif row_format == "ndjson":
            assert ids([json.loads(line) for line in text.splitlines()]) == wanted
        else:
            _, *lines = text.splitlines()
            assert len(lines) == len(wanted)


def test_killed_on_the_way_it_goes_on_in_the_snapshot_of_its_beginning(
    environment: Mapping[str, str], sessions: Sessions, tmp_path: Path
) -> None:
    wanted, file = sessions.in_order(), tmp_path / "sessions.ndjson"
    command = ["template", TEMPLATE, "--all", "--count", "100", "--to", str(file), "--json"]
    partial, note = (tmp_path / f".{file.name}.{end}" for end in ("partial", "walk.json"))
    process = subprocess.Popen([*COMMAND, *command], env=dict(environment))
    deadline = time.monotonic() + 120
    while not note.exists():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline, "no page came"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    sessions.move()

    done = headrace(environment, *command)

    assert done.returncode == 0, done.stdout + done.stderr
    assert ids([json.loads(line) for line in file.read_text("utf-8").splitlines()]) == wanted
    assert 0 < json.loads(done.stdout)["resumedRows"] < len(wanted)
    assert not partial.exists()


@pytest.mark.parametrize("ends_by", ["an empty page", "the total"])
def test_a_paginator_by_offset_reads_every_row_once_while_the_source_changes(
    reader: Person, sessions: Sessions, ends_by: str
) -> None:
    wanted = sessions.in_order()
    total = ends_by == "the total"
    client = RESTClient(
        reader.platform.api_url,
        headers={"Authorization": f"Bearer {reader.token()}"},
        data_selector="rows",
    )
    pages = client.paginate(
        f"/api/ver3/services/exporttemplate/{TEMPLATE}",
        params={"showTotal": "true"} if total else None,
        paginator=OffsetPaginator(
            400,
            limit_param="count",
            total_path="total" if total else None,
            stop_after_empty_page=True,
        ),
    )
    found = ids(list(next(pages)))
    sessions.move()
    assert sessions.in_order() != wanted
    for page in pages:
        found += ids(list(page))
    assert found == wanted
