"""Any order of calls, tasks, duplicates, crashes and sweeps keeps the rules of an operation."""

from collections import Counter
from contextlib import ExitStack, suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.exports.model import MOVES, Operation, Status
from headrace.kernel.errors import HeadraceError
from tests.builders import a_rule
from tests.world import World, a_world

_pick = st.integers(0, 2**16)


class Lifecycle(RuleBasedStateMachine):
    """Callers, the workflow's tasks (also stale and repeated ones), the sweeper and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.world: World = self.stack.enter_context(a_world())
        self.world.configurations.rule = a_rule(limit=1000, time_zone="UTC")
        self.started: list[Operation] = []
        self.seen: dict[str, tuple[Status, int]] = {}
        self.claims: list[tuple[Operation, str, int, int]] = []

    def teardown(self) -> None:
        self.stack.close()

    def stored_operation(self, operation: Operation) -> Operation:
        found = self.world.operations.find("north", "bureau", operation.operation_id)
        assert found is not None
        return found

    def any_attempt(self, pick: int) -> Operation:
        """An operation as it was at some time: its present attempt, or one that has passed."""
        return self.started[pick % len(self.started)]

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
    @rule(pick=_pick, which=st.integers(0, 1))
    def plan_job(self, pick: int, which: int) -> None:
        operation = self.any_attempt(pick)
        job_id = operation.jobs[which].job_id
        with suppress(HeadraceError):
            job_attempt, ranges = self.world.plan_job(operation, job_id)
            self.claims.append((operation, job_id, job_attempt, ranges))

    @precondition(lambda self: self.claims)
    @rule(pick=_pick)
    def export_range(self, pick: int) -> None:
        operation, job_id, job_attempt, ranges = self.claims[pick % len(self.claims)]
        with suppress(HeadraceError):
            self.world.export_range(operation, job_id, job_attempt, pick % ranges)

    @precondition(lambda self: self.claims)
    @rule(pick=_pick)
    def complete_job(self, pick: int) -> None:
        operation, job_id, job_attempt, _ = self.claims[pick % len(self.claims)]
        with suppress(HeadraceError):
            self.world.complete_job(operation, job_id, job_attempt)

    @precondition(lambda self: self.claims)
    @rule(pick=_pick)
    def fail_job(self, pick: int) -> None:
        operation, job_id, _, _ = self.claims[pick % len(self.claims)]
        with suppress(HeadraceError):
            self.world.fail_job(operation, job_id)

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def end(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.end(self.any_attempt(pick))

    @precondition(lambda self: self.started)
    @rule(pick=_pick)
    def run_all(self, pick: int) -> None:
        with suppress(HeadraceError):
            self.world.run(self.any_attempt(pick))

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

    @rule()
    def a_day_passes(self) -> None:
        self.world.clock.advance(hours=25)

    @rule()
    def the_source_moves_on(self) -> None:
        self.world.warehouse.dropped.add(str(self.world.warehouse.snapshot))
        self.world.warehouse.snapshot += 1

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def the_lock_is_held_exactly_while_an_operation_is_active(self) -> None:
        ids = {one.operation_id for one in self.started}
        active = {
            one for one in ids
            if (found := self.world.operations.find("north", "bureau", one)) and found.status.active
        }
        lock = self.world.lock()
        assert active == ({lock} if lock else set())

    @invariant()
    def states_move_only_as_the_model_allows(self) -> None:
        for operation in {one.operation_id: one for one in self.started}.values():
            now = self.stored_operation(operation)
            before = self.seen.get(operation.operation_id)
            self.seen[operation.operation_id] = (now.status, now.attempt)
            if before is None or before == (now.status, now.attempt):
                continue
            assert now.attempt >= before[1]
            assert now.status in _reachable(before[0])

    @invariant()
    def the_quota_counts_accepted_operations_less_refunds(self) -> None:
        owed: Counter[str] = Counter()
        for operation in {one.operation_id: one for one in self.started}.values():
            owed[operation.quota_day] += 0 if self.stored_operation(operation).refunded else 1
        for day, count in owed.items():
            item = self.world.operations.table.get("north#bureau", f"quota#{day}")
            assert item is not None
            assert item["used"] == count

    @invariant()
    def a_succeeded_job_has_one_file_with_every_row(self) -> None:
        stored = self.world.stored()
        for operation in {one.operation_id: one for one in self.started}.values():
            for job in self.stored_operation(operation).jobs:
                keys = [key for key in stored if f"/{job.job_id}/" in key]
                if job.status is Status.SUCCEEDED and self.stored_operation(operation).status in (
                    Status.RUNNING,
                    Status.SUCCEEDED,
                ):
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
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestLifecycle = Lifecycle.TestCase
