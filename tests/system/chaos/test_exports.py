"""A sample of `make chaos`: exports in which a process is killed, a request comes twice, and so on.

The whole of it, with its results, is in docs/reliability.md. ``PAIRS``: how many pairs of faults
are tried.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chaos.campaign import Campaign, cases
from tests.chaos.faults import Fault
from tests.chaos.points import EXPORT
from tests.chaos.runs import Case, Chaos
from tests.system.chaos.conftest import FULL, OF_DATABASE, OF_LAKE, Lane

pytestmark = pytest.mark.system

BY_NAME = {point.name: point for point in EXPORT}
SAMPLE = (
    (OF_LAKE, "source open", Fault.KILL, 1),
    (OF_DATABASE, "after completing the upload", Fault.KILL, 1),
    (FULL, "after the start transaction", Fault.KILL, 1),
    (FULL, "in the middle of part k", Fault.KILL, 2),
    (FULL, "job claim", Fault.DUPLICATE, 1),
    (FULL, "last job", Fault.DELAY, 3),
    (FULL, "before the lock's release", Fault.THROTTLE, 1),
    (FULL, "after completing the upload", Fault.ERROR, 3),
    (FULL, "after the webhook", Fault.KILL, 1),
)
"""Each fault, and most points, in each journey."""


def test_every_invariant_holds_in_a_sample_of_what_goes_wrong(
    chaos: Chaos, lane: Callable[..., Lane]
) -> None:
    todo = [(name, Case(BY_NAME[point], fault, seed)) for name, point, fault, seed in SAMPLE]
    runs = Campaign(chaos)(
        [lane(FULL, OF_LAKE, OF_DATABASE), lane(FULL, OF_LAKE, OF_DATABASE)], todo
    )
    assert len(runs) == len(SAMPLE)
    assert [(run.journey.name, str(run.case), run.broken) for run in runs if run.broken] == []


def test_every_invariant_holds_when_two_things_go_wrong(
    chaos: Chaos, lane: Callable[..., Lane]
) -> None:
    [journey] = lane(FULL)
    some = st.sampled_from(cases(2, EXPORT))

    @settings(
        max_examples=int(os.environ.get("PAIRS") or 2),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(first=some, second=some)
    def holds(first: Case, second: Case) -> None:
        run = chaos.run(journey, first, second)
        chaos.settle([run])
        assert run.broken == [], (str(first), str(second))

    holds()
