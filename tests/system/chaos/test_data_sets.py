"""A sample of `make chaos`: data sets that are built, imported and undone while things go wrong.

The whole of it, with its results, is in docs/reliability.md.
"""

from collections.abc import Callable

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.faults import Fault
from tests.chaos.runs import Case, Chaos
from tests.system.chaos.conftest import BUILDS, IMPORTS, POINTS, UNDOINGS, Lane

pytestmark = pytest.mark.system

SAMPLE = (
    (BUILDS, "in the middle of the payload", Fault.KILL, 1),
    (BUILDS, "after the build's commit", Fault.KILL, 1),
    (BUILDS, "after completing the upload", Fault.DUPLICATE, 1),
    (IMPORTS, "after a batch's commit", Fault.KILL, 1),
    (IMPORTS, "before a batch's commit", Fault.ERROR, 3),
    (IMPORTS, "after background processing is stopped", Fault.KILL, 2),
    (UNDOINGS, "after a batch's commit", Fault.KILL, 2),
)
"""What is of data sets alone; what they share with exports is in their sample."""


def test_every_invariant_holds_in_a_sample_of_what_goes_wrong(
    chaos: Chaos, lane: Callable[..., Lane]
) -> None:
    points = {(name, point.name): point for name in POINTS for point in POINTS[name]}
    todo = [(name, Case(points[name, point], fault, seed)) for name, point, fault, seed in SAMPLE]
    runs = Campaign(chaos)([lane(BUILDS, IMPORTS, UNDOINGS)], todo)
    assert len(runs) == len(SAMPLE)
    assert [(run.journey.name, str(run.case), run.broken) for run in runs if run.broken] == []
