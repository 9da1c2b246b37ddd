"""What the writes themselves refuse: the checks before them are reads, and reads are late."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from headrace.adapters.dynamodb.operations import DynamoOperations
from headrace.adapters.dynamodb.table import Table
from headrace.exports.model import (
    Compression,
    ExportRequest,
    Failure,
    FileFormat,
    Job,
    Operation,
    Status,
    new_operation,
)
from headrace.exports.slices import SliceResult, UploadedPart, part_numbers
from headrace.kernel.errors import (
    Fenced,
    NotFound,
    OperationActive,
    OperationNotRetryable,
    OperationRunning,
    QuotaExhausted,
    Unavailable,
)
from headrace.kernel.ids import RandomIds
from tests.builders import a_rule
from tests.world import World


def a_running_job(world: World) -> tuple[Operation, Job]:
    """An operation and its first job, both running."""
    started = world.start()
    job_id, _ = world.plan(started)
    world.plan_job(started, job_id)
    operation = world.status(started)
    return operation, operation.job(job_id)


def ended(world: World, operation: Operation, status: Status = Status.CANCELLED) -> Operation:
    """The operation, ended behind the back of whoever holds the older value."""
    now = world.clock.now()
    return world.operations.end(
        operation,
        status,
        None,
        expires_at=now + world.limits.file_lifetime,
        moment=now,
        refund=status is Status.FAILED,
    )


RESULT = SliceResult(0, 3, (UploadedPart(1, 10, "ab", "etag"),), "ab")

LATE_WRITES: list[tuple[str, Callable[[DynamoOperations, Operation, Job, World], Any]]] = [
    ("plan", lambda ops, op, job, w: ops.plan(replace(op, attempt=0), "9", w.clock.now())),
    (
        "claim a job",
        lambda ops, op, job, w: ops.claim_job(op, replace(job, attempt=job.attempt + 1)),
    ),
    (
        "end a job",
        lambda ops, op, job, w: ops.end_job(op, replace(job, status=Status.SUCCEEDED, rows=3)),
    ),
    (
        "end the operation",
        lambda ops, op, job, w: ops.end(
            op,
            Status.SUCCEEDED,
            None,
            expires_at=w.clock.now(),
            moment=w.clock.now(),
            refund=False,
        ),
    ),
]


@pytest.mark.abuse(85)
@pytest.mark.parametrize(("name", "write"), LATE_WRITES, ids=[name for name, _ in LATE_WRITES])
def test_no_write_gets_past_a_cancel(
    world: World, name: str, write: Callable[[DynamoOperations, Operation, Job, World], Any]
) -> None:
    operation, job = a_running_job(world)
    cancelled = ended(world, operation)

    with pytest.raises(Fenced):
        write(world.operations, operation, job, world)
    assert world.status(operation) == cancelled.seen_at(world.clock.now())


@pytest.mark.abuse(93)
@pytest.mark.parametrize(("name", "write"), LATE_WRITES, ids=[name for name, _ in LATE_WRITES])
def test_no_write_of_an_earlier_attempt_touches_a_later_one(
    world: World, name: str, write: Callable[[DynamoOperations, Operation, Job, World], Any]
) -> None:
    operation, job = a_running_job(world)
    ended(world, operation, Status.FAILED)
    retried = world.retry(operation)

    with pytest.raises(Fenced):
        write(world.operations, operation, job, world)
    assert world.status(operation) == retried


def test_a_slice_of_an_earlier_claim_is_not_recorded(world: World) -> None:
    operation, job = a_running_job(world)
    world.plan_job(operation, job.job_id, anew=True)
    with pytest.raises(Fenced):
        world.operations.record_slice(operation, job, RESULT)
    assert world.status(operation).job(job.job_id).slices_done == frozenset()


def test_a_slice_recorded_twice_counts_once(world: World) -> None:
    operation, job = a_running_job(world)
    world.operations.record_slice(operation, job, RESULT)
    world.operations.record_slice(operation, job, RESULT)
    assert world.status(operation).job(job.job_id).slices_done == {0}
    assert world.operations.slices(operation, job) == (RESULT,)


def test_a_slice_of_as_many_parts_as_it_may_have_is_recorded(world: World) -> None:
    operation, job = a_running_job(world)
    parts = tuple(
        UploadedPart(number, 64 * 1024 * 1024, f"{number:064x}", f'"{number:032x}"')
        for number in part_numbers(0, 1)
    )
    whole = SliceResult(0, 10**9, parts, "0" * 64)
    world.operations.record_slice(operation, job, whole)
    assert world.operations.slices(operation, job) == (whole,)


def test_a_second_claim_of_the_same_attempt_loses(world: World) -> None:
    operation, job = a_running_job(world)
    claim = replace(job, attempt=job.attempt + 1)
    world.operations.claim_job(operation, claim)
    with pytest.raises(Fenced):
        world.operations.claim_job(operation, replace(claim, key="elsewhere"))


def test_a_job_that_succeeded_cannot_be_claimed_again_in_the_same_attempt(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    world.run_job(operation, job_id)
    running = world.status(operation)
    done = running.job(job_id)
    with pytest.raises(Fenced):
        world.operations.claim_job(running, replace(done, attempt=done.attempt + 1))


def test_of_two_retries_one_wins(world: World) -> None:
    operation, _ = a_running_job(world)
    failed = ended(world, operation, Status.FAILED)
    world.operations.reset(failed, world.clock.now())
    with pytest.raises(OperationNotRetryable):
        world.operations.reset(failed, world.clock.now())


def test_a_retry_does_not_take_a_lock_that_another_operation_holds(world: World) -> None:
    operation, _ = a_running_job(world)
    failed = ended(world, operation, Status.FAILED)
    other = world.start()
    with pytest.raises(OperationActive) as refusal:
        world.operations.reset(failed, world.clock.now())
    assert refusal.value.members["blockingOperationId"] == other.operation_id
    assert world.status(failed).status is Status.FAILED


def test_an_end_releases_only_its_own_lock(world: World) -> None:
    operation, _ = a_running_job(world)
    ended(world, operation)
    world.start()
    holder = world.lock()
    with pytest.raises(Fenced):
        ended(world, operation)
    assert world.lock() == holder


def test_a_failure_is_kept_for_the_caller_to_read(world: World) -> None:
    operation, job = a_running_job(world)
    failure = Failure("inexact_value", "Column salary holds NaN.")
    world.operations.end_job(operation, replace(job, status=Status.FAILED, failure=failure))
    assert world.status(operation).job(job.job_id).failure == failure


class Conflicting:
    """A client whose transactions conflict with somebody else's for the first ``times``."""

    def __init__(self, client: Any, times: int) -> None:
        self.client, self.times, self.calls = client, times, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def transact_write_items(self, **request: Any) -> Any:
        """Conflicts, then works."""
        self.calls += 1
        if self.calls <= self.times:
            reasons = [{"Code": "None"}] * (len(request["TransactItems"]) - 1)
            cancelled: Any = {
                "Error": {"Code": "TransactionCanceledException", "Message": ""},
                "CancellationReasons": [*reasons, {"Code": "TransactionConflict"}],
            }
            raise ClientError(cancelled, "TransactWriteItems")
        return self.client.transact_write_items(**request)


@pytest.mark.abuse(83)
def test_a_conflict_of_transactions_is_tried_again_and_no_answer_to_a_caller(world: World) -> None:
    client = Conflicting(world.clients["dynamodb"], times=5)
    pauses: list[float] = []
    table = Table(client, "OperationsTable", pause=pauses.append)
    world.export = replace(world.export, operations=DynamoOperations(table, world.limits.lease))

    assert world.start().status is Status.SCHEDULED
    assert client.calls == 6
    assert len(pauses) == 5
    assert world.used() == 1


def test_a_table_that_stays_busy_is_unavailable_and_nothing_is_charged(world: World) -> None:
    client = Conflicting(world.clients["dynamodb"], times=1000)
    table = Table(client, "OperationsTable", pause=lambda _: None)
    world.export = replace(world.export, operations=DynamoOperations(table, world.limits.lease))

    with pytest.raises(Unavailable):
        world.start()
    assert world.used() == 0
    assert world.lock() is None


def test_a_quota_of_none_lets_nothing_start(world: World) -> None:
    world.configurations.rule = a_rule(limit=0)
    with pytest.raises(QuotaExhausted):
        world.start()


def test_of_two_deletions_the_second_finds_nothing(world: World) -> None:
    done = ended(world, world.start())
    world.operations.delete(done, world.clock.now())

    with pytest.raises(NotFound):
        world.operations.delete(done, world.clock.now())


def test_a_deletion_that_a_retry_came_before_is_refused(world: World) -> None:
    done = ended(world, world.start())
    world.operations.reset(done, world.clock.now())

    with pytest.raises(OperationRunning):
        world.operations.delete(done, world.clock.now())


def test_a_list_of_operations_of_very_many_tables_is_whole(world: World) -> None:
    """A query answers no more than 1 MB at once, however many items it may."""
    tables = tuple(f"{number:04d}{'x' * 59}" for number in range(1000))
    started = []
    for number in range(30):
        world.clock.advance(seconds=1)
        operation = new_operation(
            RandomIds().new(world.clock.now()),
            "northwind-care",
            "bureau",
            ExportRequest("full", tables, FileFormat.CSV, Compression.NONE),
            1,
            f"day {number}",
            world.clock.now(),
        )
        ended(world, world.operations.start(operation, a_rule(), None))
        started.append(operation.operation_id)
    found = world.operations.page("northwind-care", "bureau", 50, None)
    assert [one.operation_id for one in found] == started[::-1]
