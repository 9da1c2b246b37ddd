"""`make chaos`: every fault at every point, in each journey, and the page that tells of it.

Not collected with the other tests: it takes an hour. ``SEEDS``: how many of each; ``LANES``: how
many runs at once; ``JOURNEYS``, ``POINTS`` and ``FAULTS``: parts of names, with commas between, of
what to leave everything else out for. A journey's table is written as soon as it is at its end, if
all points and faults are there.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.chaos import campaign
from tests.chaos.faults import Fault
from tests.chaos.runs import Chaos
from tests.system.chaos.conftest import POINTS, Lane

pytestmark = pytest.mark.system


def _chosen(variable: str, names: list[str]) -> list[str]:
    parts = [part for part in os.environ.get(variable, "").split(",") if part]
    return [name for name in names if not parts or any(part in name for part in parts)]


def test_every_invariant_holds_whatever_goes_wrong(
    chaos: Chaos, lane: Callable[..., Lane], capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = int(os.environ.get("SEEDS") or 3)
    journeys = _chosen("JOURNEYS", [*POINTS])
    faults = _chosen("FAULTS", [*Fault])
    lanes = [lane(*journeys) for _ in range(int(os.environ.get("LANES") or 3))]

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    broken = []
    for journey in journeys:
        points = _chosen("POINTS", [point.name for point in POINTS[journey]])
        todo = [
            (journey, case)
            for case in campaign.cases(seeds, POINTS[journey])
            if case.point.name in points and case.fault in faults
        ]
        runs = campaign.Campaign(chaos, say)(lanes, todo)
        text = campaign.report(runs, f"make chaos SEEDS={seeds}", f"{datetime.now(UTC):%Y-%m-%d}")
        say(f"\n{journey}: {text}")
        if (len(points), len(faults)) == (len(POINTS[journey]), len(Fault)):
            campaign.write(journey, text)
        broken += [f"{journey}: {run.case}: {run.broken}" for run in runs if run.broken]
    assert broken == []
