"""`make load`: many clients for a day in minutes; the tables are written to docs/load.md."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from benchmarks import report
from local.home import CHECKOUT
from tests.load.crowd import Crowd
from tests.load.fairness import ALONE, Fairness, export_over_and_over, flood
from tests.load.growth import Growth
from tests.load.memory import Memory
from tests.system.conftest import HARBOUR, NORTHWIND, Clients, People
from tests.system.deployed import Platform

pytestmark = pytest.mark.system

PAGE = CHECKOUT / "docs" / "load.md"
CLIENTS = int(os.environ.get("CLIENTS") or 200)
DAY_S = float(os.environ.get("DAY") or 600)
COUNTS = (1, 100, 10_000, int(os.environ.get("OPERATIONS") or 100_000))
STARVED = 20
"""So many times the longest that it took alone is starving: work is shared, not kept waiting."""


def _head() -> str:
    command = f"`make load CLIENTS={CLIENTS} DAY={DAY_S:.0f}`"
    return f"{command} on {datetime.now(UTC).date()}, a busy machine with {report.machine()}"


def _told(section: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Shows it, and puts it into the page."""
    with capsys.disabled():
        print(f"\n{text}\n")  # noqa: T201
    report.write(section, text, PAGE)


@pytest.fixture(autouse=True)
def _active(platform: Platform) -> Iterator[None]:
    platform.headrace_admin("template", "activate", "persons", "--tenant", NORTHWIND)
    yield
    platform.headrace_admin("template", "deactivate", "persons", "--tenant", NORTHWIND)


def test_a_day_of_many_clients(
    platform: Platform, clients: Clients, people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd, memory = Crowd(platform, clients, people, CLIENTS), Memory(platform)
    asyncio.run(crowd.live(DAY_S, memory))
    left = crowd.left()
    head = (
        f"{_head()}: {len(crowd.visitors)} clients ({crowd.population()}), "
        f"{crowd.seen.calls:,} calls in {crowd.seconds:.0f} s."
    )
    tables = (crowd.seen.endpoints(), crowd.seen.errands(), memory.table())
    _told("day", "\n\n".join([head, *tables]), capsys)
    assert crowd.seen.wrong == []
    assert left == []
    assert memory.grown() == []


def test_a_huge_tenant_does_not_starve_a_small_one(
    clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    [small] = clients.several(1, HARBOUR, "departments", "cost_centres")
    huge = clients.several(3, NORTHWIND, "payslips", "employments", "absences", "shifts")
    many = clients.several(20, NORTHWIND, "departments")
    fairness = Fairness(small)

    async def measure() -> None:
        await fairness.beside("warming", [], flood)
        await fairness.beside(ALONE, [], flood)
        await fairness.beside("beside 3 huge exports", huge, export_over_and_over)
        await fairness.beside("beside 20 clients that flood the API", many, flood)

    asyncio.run(measure())
    del fairness.took["warming"]
    _told("fairness", f"{_head()}: medians of {fairness.turns}.\n\n{fairness.table()}", capsys)
    assert fairness.wrong == []
    longest = max(fairness.took[ALONE]) * STARVED
    assert all(max(took) <= longest for took in fairness.took.values())


def test_status_and_list_cost_the_same_however_many_operations_there_are(
    platform: Platform, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    [client] = clients.several(1, HARBOUR, "departments")
    growth = Growth(platform, client)
    for count in COUNTS:
        growth.grow_to(count)
        growth.measure()
    _told("growth", f"{_head()}: medians of 20.\n\n{growth.table()}", capsys)
    assert growth.grown() == []
