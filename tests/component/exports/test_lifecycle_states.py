"""Any order of calls, tasks, duplicates, crashes and sweeps keeps the rules of an operation."""

from collections import Counter
from contextlib import ExitStack, suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.exports.model import MOVES, Failure, Operation, Status
from headrace.kernel.errors import HeadraceError
from tests.builders import a_rule
from tests.examples import examples
from tests.world import World, a_world

_pick = st.integers(0, 2)
"""Which of the newest few: what is near in time is what races."""


class Lifecycle(RuleBasedStateMachine):
    """Callers, the workflow's tasks (also stale and repeated ones), the sweeper and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.world: World = self.stack.enter_context(a_world())
        self.world.configurations.rule = a_rule(limit=1000, time_zone="UTC")
        self.started: list[Operation] = []
        self.seen: dict[str, tuple[Status, int]] = {}
        self.ended: dict[tuple[str, int], object] = {}
        self.claims: list[tuple[Operation, str, int, int]] = []

    def teardown(self) -> None:
        self.stack.close()

    def newest(self, pick: int) -> Operation:
        """One of the newest, as it stands now: its present attempt."""
        return self.stored_operation(self.any_attempt(pick))

    def stored_operation(self, operation: Operation) -> Operation:
        found = self.world.operations.find("north", "bureau", operation.operation_id)
        assert found is not None
        return found

    def any_attempt(self, pick: int) -> Operation:
        """An operation as it was at some time: its present attempt, or one that has passed."""
        return self.started[-1 - pick % len(self.started)]

    def any_claim(self, pick: int) -> tuple[Operation, str, int, int]:
        """A claim of a job that some worker holds, or once held."""
        return self.claims[-1 - pick % len(self.claims)]

    # --- callers ----------------------------------------------------------------------------

    @rule()
    def start(self) -> None:
        with suppress(HeadraceError):
            self.started.append(self.world.start())
        self.world.clock.advance(milliseconds=1)

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def cancel(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.cancel(self.any_attempt(pick))

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def retry(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.started.append(self.world.retry(self.any_attempt(pick)))

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def delete(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.delete(self.any_attempt(pick))

    # --- tasks, in any order, as often as they like -----------------------------------------

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def plan(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.plan(self.any_attempt(pick))

    @precondition(lambda self: self.started)
    @rule(pick=_pick, which=st.integers(0, 1), anew=st.booleans())
    def plan_job(self, pick: int, which: int, anew: bool = False) -> None:
        operation = self.any_attempt(pick)
        job_id = operation.jobs[which].job_id
        with suppress(HeadraceError):
            job_attempt, ranges = self.world.plan_job(operation, job_id, anew=anew)
            self.claims.append((operation, job_id, job_attempt, ranges))

    @precondition(lambda self: self.started)
    @rule(pick=st.integers(0, 1), which=st.integers(0, 1))
    def work_up_to_the_commit(self, pick: int, which: int) -> None:
        """A worker that has done all but make the document: whatever happens now races it."""
        self.plan(pick)
        before = len(self.claims)
        self.plan_job(pick, which)
        if len(self.claims) > before:
            self.export_range(0)

    @precondition(lambda self: self.claims)
    @rule(pick=_pick)
    def export_range(self, pick: int) -> None:
        operation, job_id, job_attempt, ranges = self.any_claim(pick)
        with suppress(HeadraceError):
            for index in range(ranges):
                self.world.export_range(operation, job_id, job_attempt, index)

    @precondition(lambda self: self.claims)
    @rule(pick=_pick)
    def complete_job(self, pick: int) -> None:
        operation, job_id, job_attempt, _ = self.any_claim(pick)
        with suppress(HeadraceError):
            self.world.complete_job(operation, job_id, job_attempt)

    @precondition(lambda self: self.claims)
    @rule(pick=_pick)
    def fail_job(self, pick: int) -> None:
        operation, job_id, _, _ = self.any_claim(pick)
        with suppress(HeadraceError):
            self.world.fail_job(operation, job_id)

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def end(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.end(self.newest(pick))

    @precondition(lambda self: self.started)
    @rule(pick=st.integers(0, 1))
    def fail_and_retry_and_fail(self, pick: int) -> None:
        for _ in range(2):
            with suppress(HeadraceError):
                self.world.end(self.newest(pick), Failure("abandoned", "gone"))
            with suppress(HeadraceError):
                self.started.append(self.world.retry(self.newest(pick)))

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def run_all(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.run(self.newest(pick))

    # --- the world around -------------------------------------------------------------------

    @precondition(lambda self: self.world.workflows.executions)
    @rule(pick=_pick)
    def lose_workflow(self, pick: int) -> None:
        names = sorted(self.world.workflows.executions)
        self.world.workflows.executions[names[pick % len(names)]] = False

    @rule()
    def sweep(self) -> None:
        self.world.clock.advance(seconds=61)
        self.world.sweep()

    @rule(rarely=st.integers(0, 5))
    def a_day_passes(self, rarely: int) -> None:
        if rarely == 0:
            self.world.clock.advance(hours=25)

    @rule(rarely=st.integers(0, 3))
    def the_source_moves_on(self, rarely: int) -> None:
        if rarely:
            return
        self.world.warehouse.dropped.add(str(self.world.warehouse.snapshot))
        self.world.warehouse.snapshot += 1

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def the_rules_hold(self) -> None:
        now = {
            one.operation_id: self.stored_operation(one)
            for one in {one.operation_id: one for one in self.started}.values()
        }
        lock = self.world.lock()
        active = {one.operation_id for one in now.values() if one.status.active}
        assert active == ({lock} if lock else set()), "the lock is held exactly while one is active"

        used: Counter[str] = Counter()
        for operation in now.values():
            used[operation.quota_day] += 0 if operation.refunded else 1
            self.check_its_state(operation)
        for day, count in used.items():
            item = self.world.operations.table.get("north#bureau", f"quota#{day}")
            assert item is not None
            assert item["used"] == count, "the quota counts what was accepted less refunds"

        stored = self.world.stored()
        for operation in now.values():
            self.check_its_files(operation, stored)

    def check_its_state(self, now: Operation) -> None:
        """States move only as the model allows, and what ended stays as its end found it."""
        before = self.seen.get(now.operation_id)
        self.seen[now.operation_id] = (now.status, now.attempt)
        if before is not None and before != (now.status, now.attempt):
            assert now.attempt >= before[1]
            assert now.status in _reachable(before[0])
        if now.status.ended:
            jobs = tuple((job.status, job.key, job.rows) for job in now.jobs)
            assert self.ended.setdefault((now.operation_id, now.attempt), jobs) == jobs

    def check_its_files(self, now: Operation, stored: dict[str, bytes]) -> None:
        """A job that succeeded has one file with every row; what is gone has none."""
        if now.status in (Status.EXPIRED, Status.DELETED):
            assert not [key for key in stored if f"/{now.operation_id}/" in key]
            return
        for job in now.jobs:
            if job.status is Status.SUCCEEDED:
                keys = [key for key in stored if f"/{job.job_id}/" in key]
                assert keys == [job.key]
                rows = self.world.warehouse.rows[f"main.{job.table}"]
                assert len(stored[keys[0]].splitlines()) == rows == job.rows


def _reachable(status: Status) -> set[Status]:
    """What a state can become between two looks: several moves may lie between."""
    found, todo = set(), [status]
    while todo:
        for target in MOVES[todo.pop()]:
            if target not in found:
                found.add(target)
                todo.append(target)
    return found


Lifecycle.TestCase.settings = settings(
    max_examples=examples(20),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLifecycle = Lifecycle.TestCase
