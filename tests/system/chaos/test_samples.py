"""A sample of `make chaos`: processes are killed, requests come twice, and so on.

The whole of it, with its results, is in docs/reliability.md. ``PAIRS``: how many pairs of faults
are tried; it has them written there.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.chaos.campaign import Campaign, cases, report_of_pairs, write
from tests.chaos.faults import Fault
from tests.chaos.runs import Case, Chaos, Run
from tests.system.chaos.conftest import (
    BUILDS,
    FULL,
    IMPORTS,
    OF_DATABASE,
    OF_LAKE,
    POINTS,
    UNDOINGS,
    Lane,
)

pytestmark = pytest.mark.system

EXPORTS = (FULL, OF_LAKE, OF_DATABASE)
DATA_SETS = (BUILDS, IMPORTS, UNDOINGS)
SAMPLE = (
    (BUILDS, "in the middle of the payload", Fault.KILL, 1),
    (OF_LAKE, "source open", Fault.KILL, 1),
    (OF_DATABASE, "after completing the upload", Fault.KILL, 1),
    (BUILDS, "after the build's commit", Fault.KILL, 1),
    (FULL, "after the start transaction", Fault.KILL, 1),
    (FULL, "in the middle of part k", Fault.KILL, 2),
    (BUILDS, "after completing the upload", Fault.DUPLICATE, 1),
    (FULL, "job claim", Fault.DUPLICATE, 1),
    (FULL, "last job", Fault.DELAY, 3),
    (IMPORTS, "after a batch's commit", Fault.KILL, 1),
    (FULL, "before the lock's release", Fault.THROTTLE, 1),
    (IMPORTS, "before a batch's commit", Fault.ERROR, 3),
    (FULL, "after completing the upload", Fault.ERROR, 3),
    (IMPORTS, "after background processing is stopped", Fault.KILL, 2),
    (FULL, "after the webhook", Fault.KILL, 1),
    (UNDOINGS, "after a batch's commit", Fault.KILL, 2),
)
"""Each fault, and most points of exports, in each journey; of data sets what is of them alone."""


def test_every_invariant_holds_in_a_sample_of_what_goes_wrong(
    chaos: Chaos, lane: Callable[..., Lane]
) -> None:
    points = {(name, point.name): point for name in POINTS for point in POINTS[name]}
    todo = [(name, Case(points[name, point], fault, seed)) for name, point, fault, seed in SAMPLE]
    runs = Campaign(chaos)([lane(*EXPORTS), lane(*EXPORTS), lane(*DATA_SETS)], todo)
    assert len(runs) == len(SAMPLE)
    assert [(run.journey.name, str(run.case), run.broken) for run in runs if run.broken] == []


def two_cases(name: str) -> st.SearchStrategy[tuple[str, Case, Case]]:
    """What goes wrong at two points of a journey."""
    some = st.sampled_from(cases(2, POINTS[name]))
    pairs = st.tuples(st.just(name), some, some)
    return pairs.filter(lambda pair: pair[1].point != pair[2].point)


def test_every_invariant_holds_when_two_things_go_wrong(
    chaos: Chaos, lane: Callable[..., Lane]
) -> None:
    journeys = {journey.name: journey for journey in lane(FULL, *DATA_SETS)}
    runs: list[Run] = []
    tried: list[tuple[str, Case, Case]] = []
    asked_for = int(os.environ.get("PAIRS") or 0)

    @settings(
        max_examples=asked_for or 3,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(pair=st.sampled_from([*journeys]).flatmap(two_cases))
    def holds(pair: tuple[str, Case, Case]) -> None:
        name, first, second = pair
        run = chaos.run(journeys[name], first, second)
        sys.stdout.write(f"{name}: {first}; {second}: {'; '.join(run.broken) or 'holds'}\n")
        assert run.broken == [], (name, str(first), str(second))
        runs.append(run)
        tried.append(pair)

    holds()
    chaos.settle(runs)
    assert [(run.journey.name, str(run.case), run.broken) for run in runs if run.broken] == []
    if asked_for:
        command = f"make chaos PAIRS={asked_for}"
        write("pairs", report_of_pairs(tried, command, f"{datetime.now(UTC):%Y-%m-%d}"))
