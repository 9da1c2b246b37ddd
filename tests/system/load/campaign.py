"""`make load`: many clients for a day in minutes; the tables are written to docs/load.md."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from benchmarks import report
from local.home import CHECKOUT
from tests.load.crowd import Crowd
from tests.load.memory import Memory
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Platform

pytestmark = pytest.mark.system

PAGE = CHECKOUT / "docs" / "load.md"
CLIENTS = int(os.environ.get("CLIENTS") or 200)
DAY_S = float(os.environ.get("DAY") or 600)


def _head() -> str:
    command = f"`make load CLIENTS={CLIENTS} DAY={DAY_S:.0f}`"
    return f"{command} on {datetime.now(UTC).date()}, a machine with {report.machine()}"


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
        f"{crowd.seen.calls:,} calls in {crowd.seconds:.0f} s. "
        f"Wrong: {len(crowd.seen.wrong)}; left behind: {len(left)}; "
        f"grown in memory: {', '.join(memory.grown()) or 0}."
    )
    tables = (crowd.seen.endpoints(), crowd.seen.errands(), memory.table())
    _told("day", "\n\n".join([head, *tables]), capsys)
    assert crowd.seen.wrong == []
    assert left == []
    assert memory.grown() == []
