"""Exports that start by themselves, on the deployed scheduler."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from headrace.exports.model import FileFormat, OperationKind
from headrace.exports.schedules import Schedule
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import ACTIVE, Integrator, Json, Platform, at_once, eventually

pytestmark = pytest.mark.system

EVENT = json.loads(
    (Path(__file__).parents[3] / "events" / "run_schedules.json").read_text(encoding="utf-8")
)


def every_minute(integrator: Integrator, tenant: str = NORTHWIND) -> Schedule:
    """An export of the departments, every minute."""
    return Schedule(
        name="often",
        tenant=tenant,
        client_id=integrator.client_id,
        configuration_id="hr-full",
        cron="* * * * *",
        time_zone="Europe/Amsterdam",
        file_format=FileFormat.NDJSON,
        entity="departments",
    )


def runs(integrator: Integrator) -> list[Json]:
    """The runs that the client sees of its schedule."""
    [schedule] = integrator.get("/data/v1/schedules").json()["schedules"]
    found: list[Json] = schedule["runs"]
    return found


def started(integrator: Integrator) -> list[Json]:
    """Those that were started."""
    return [run for run in runs(integrator) if run["state"] == "started"]


@dataclass
class Scheduled:
    """Clients with a schedule each. Minutes pass for all of them at once."""

    clients: Clients
    integrator: Integrator
    neighbour: Integrator
    incremental: Integrator
    schedules: tuple[Schedule, ...]

    def end(self, *of: Integrator) -> None:
        """Takes these clients' schedules away."""
        ended = {one.client_id for one in of}
        self.schedules = tuple(one for one in self.schedules if one.client_id not in ended)
        self.clients.schedule(*self.schedules)


@pytest.fixture(scope="module")
def scheduled(clients: Clients) -> Iterator[Scheduled]:
    integrator, incremental = clients.of(NORTHWIND), clients.of(NORTHWIND)
    neighbour = clients.of(HARBOUR)
    schedules = (
        every_minute(integrator),
        every_minute(neighbour, HARBOUR),
        replace(every_minute(incremental), kind=OperationKind.INCREMENTAL),
    )
    clients.schedule(*schedules)
    yield Scheduled(clients, integrator, neighbour, incremental, schedules)
    clients.schedule()


def test_what_is_due_in_the_next_minute_is_started_by_itself_and_only_once(
    platform: Platform, scheduled: Scheduled
) -> None:
    integrator = scheduled.integrator
    [shown] = integrator.get("/data/v1/schedules").json()["schedules"]
    assert (shown["name"], shown["cron"], shown["enabled"]) == ("often", "* * * * *", True)
    assert shown["nextRun"] is not None

    # Nobody calls anything: EventBridge does.
    first = eventually(lambda: started(integrator), within=200, what="a run was started")[-1]
    done = integrator.ended(first["operationId"], within=200)
    assert (done["status"], done["schedule"], done["entity"]) == (
        "succeeded",
        "often",
        "departments",
    )
    document = integrator.document(done["jobs"][0]["jobId"])
    assert document.count(b"\n") == done["jobs"][0]["rows"] > 0
    due = datetime.fromisoformat(first["dueAt"])
    assert (due.second, due.microsecond) == (0, 0)
    assert datetime.fromisoformat(done["createdAt"]) >= due

    # Several look at once, as if the schedule had sent its event more than once.
    before = len(started(integrator))
    eventually(integrator.is_free, within=200, what="the client is free")
    outcomes = at_once(3, lambda _: platform.invoke("RunSchedules", EVENT))
    assert [error for error, _ in outcomes] == [None, None, None]
    eventually(lambda: len(started(integrator)) > before, within=200, what="another run began")

    scheduled.end(integrator, scheduled.neighbour)
    assert integrator.get("/data/v1/schedules").json() == {"schedules": []}
    error, _ = platform.invoke("RunSchedules", EVENT)
    assert error is None
    listed = integrator.get("/data/v1/operations", params={"pageSize": 100}).json()
    own = [one for one in listed["operations"] if one["schedule"] == "often"]
    assert listed["quota"]["used"] == len(own)
    created = sorted(one["createdAt"][:16] for one in own)
    assert len(set(created)) == len(created), "no minute has two"


def test_an_incremental_schedule_begins_in_full_and_goes_on_with_what_changed(
    scheduled: Scheduled,
) -> None:
    integrator = scheduled.incremental

    def increments() -> list[Json]:
        return [run for run in started(integrator) if run["kind"] == "incremental"]

    second = eventually(increments, within=400, what="an increment was started")[-1]
    first = started(integrator)[-1]
    scheduled.end(integrator)
    assert (first["kind"], first["reason"]["code"]) == ("full", "no_baseline")
    assert second["reason"] is None

    def ended() -> Json:
        path = f"/data/v1/incrementals/{second['operationId']}/status"
        seen: Json = integrator.get(path).json()
        return {} if seen["status"] in ACTIVE else seen

    full = integrator.ended(first["operationId"])
    increment = eventually(ended, within=200, what="the increment came to an end")
    assert (full["status"], increment["status"]) == ("succeeded", "succeeded")
    assert increment["schedule"] == "often"
    assert increment["sinceSyncVersion"] == full["syncVersion"]
    assert increment["jobs"][0]["content"] == "changes"


def test_a_schedule_is_its_clients_own_and_nobody_elses(
    scheduled: Scheduled, integrator: Integrator, neighbour: Integrator
) -> None:
    scheduled.clients.schedule(*scheduled.schedules, every_minute(integrator))
    assert len(integrator.get("/data/v1/schedules").json()["schedules"]) == 1
    assert neighbour.get("/data/v1/schedules").json() == {"schedules": []}
    scheduled.clients.schedule(*scheduled.schedules)
