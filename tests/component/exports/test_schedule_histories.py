"""Whatever happens to the scheduler: every time that was due has one run, and that one operation.

Looks at random moments, some of which die between any two of their writes, outages, operations of
the client's own in between, operations that end well and that fail.
"""

import re
from collections import Counter
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.exports.model import Failure, OperationKind
from headrace.exports.schedules import RunState
from headrace.kernel.errors import OperationActive
from tests.builders import a_schedule
from tests.component.exports.test_schedules import EVENING, Crash, Scheduler, crash
from tests.examples import examples
from tests.fakes import with_quota
from tests.world import a_world

EARLIER = re.compile(r"(\d+) earlier ones were missed")
LOOK = st.tuples(st.just("look"), st.integers(1, 400))
DYING = st.tuples(
    st.sampled_from(["dies before", "dies after"]), st.integers(1, 2), st.integers(1, 400)
)
STEPS = st.lists(
    st.one_of(
        LOOK,
        DYING,
        st.tuples(st.just("outage"), st.integers(1, 5000)),
        st.tuples(st.sampled_from(["ends", "fails", "own"])),
    ),
    min_size=3,
    max_size=18,
)


def step(scheduler: Scheduler, kind: str, *numbers: int) -> None:
    """One thing that happens."""
    world = scheduler.world
    active = [one for one in scheduler.operations()[:1] if one.status.active]
    match kind, numbers:
        case "look", (minutes,):
            world.clock.advance(minutes=minutes)
            scheduler.look()
        case (("dies before" | "dies after"), (write, minutes)):
            world.clock.advance(minutes=minutes)
            with suppress(Crash):
                scheduler.look(scheduler.interrupted(kind.split()[1], write, crash))
        case "outage", (minutes,):
            world.clock.advance(minutes=minutes)
        case "ends", ():
            for operation in active:
                world.run(operation)
        case "fails", ():
            for operation in active:
                world.end(operation, Failure("worker_failed", "It broke."))
        case "own", ():
            with suppress(OperationActive):
                world.start()


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    cron=st.sampled_from(["0 2 * * *", "30 */6 * * *", "0 12 * * MON"]),
    kind=st.sampled_from(list(OperationKind)),
)
def test_every_time_that_was_due_has_one_run_and_no_run_two_operations(
    steps: list[tuple[str, *tuple[int, ...]]], cron: str, kind: OperationKind
) -> None:
    with a_world() as world:
        with_quota(world.configurations, 1_000)
        scheduler = Scheduler(world)
        schedule = a_schedule(cron=cron, kind=kind)
        scheduler.published.schedules = (schedule,)
        scheduler.look()
        for name, *numbers in steps:
            step(scheduler, name, *numbers)
        scheduler.look()

        now = world.clock.now()
        first = schedule.next_due(EVENING)
        assert first is not None
        wanted = schedule.due(first, now)[0] if first <= now else []
        runs = scheduler.runs.latest("north", "bureau", "nightly", 1000)[::-1]
        counted = [int(n) for run in runs if run.reason for n in EARLIER.findall(run.reason.detail)]
        assert [run.due for run in runs] == [due for due in wanted if due in {r.due for r in runs}]
        assert len(runs) + sum(counted) == len(wanted)
        assert all(run.state is not RunState.WAITING for run in runs[:-1])

        started = {run.occasion: run.operation_id for run in runs if run.operation_id}
        operations = [one for one in scheduler.operations() if one.occasion is not None]
        assert {one.occasion: one.operation_id for one in operations} == started
        assert max(Counter(one.occasion for one in operations).values(), default=1) == 1
