"""What may happen to an operation, told as a caller and a workflow would see it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.adapters.s3.files import S3Files
from headrace.exports.model import Failure, Job, Operation, Status
from headrace.exports.sweeping import Swept
from headrace.kernel.errors import (
    Fenced,
    FileExpired,
    IdempotencyKeyReused,
    JobUnfinished,
    NotFound,
    OperationActive,
    OperationNotRetryable,
    OperationRunning,
    QuotaExhausted,
    SourceUnavailable,
)
from tests.builders import a_caller, a_configuration, a_table
from tests.world import BUCKET, World

MIB = 1024 * 1024


def test_an_export_runs_to_the_end_and_its_files_hold_every_row(world: World) -> None:
    done = world.run(world.start())

    assert done.status is Status.SUCCEEDED
    assert done.percent == 100
    assert [(job.table, job.status, job.rows) for job in done.jobs] == [
        ("employees", Status.SUCCEEDED, 3),
        ("absences", Status.SUCCEEDED, 2),
    ]
    rows = [json.loads(line) for body in world.stored().values() for line in body.splitlines()]
    assert sorted((row["table"], row["row"]) for row in rows) == [
        ("absences", 0),
        ("absences", 1),
        ("employees", 0),
        ("employees", 1),
        ("employees", 2),
    ]
    assert world.lock() is None
    assert world.open_uploads() == 0


def test_all_tables_are_read_at_the_version_fixed_by_the_plan(world: World) -> None:
    operation = world.start()
    first, second = world.plan(operation)
    world.run_job(operation, first)
    world.warehouse.snapshot = 8
    world.run_job(operation, second)
    world.end(operation)

    assert world.status(operation).sync_version == "7"
    versions = {
        json.loads(line)["version"] for b in world.stored().values() for line in b.splitlines()
    }
    assert versions == {"7"}


def test_a_stored_file_is_encrypted_with_the_deployments_key(world: World) -> None:
    world.run(world.start())

    for key in world.stored():
        head = world.clients["s3"].head_object(Bucket=BUCKET, Key=key)
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["SSEKMSKeyId"] == world.key_id
        assert head["ContentDisposition"].startswith('attachment; filename="')


def test_a_tenant_with_a_key_of_its_own_has_its_files_under_it(world: World) -> None:
    own = world.clients["kms"].create_key()["KeyMetadata"]["Arn"]
    world.configurations.key = own
    world.run(world.start())

    heads = [world.clients["s3"].head_object(Bucket=BUCKET, Key=key) for key in world.stored()]
    assert {head["SSEKMSKeyId"] for head in heads} == {own}


def test_a_second_start_names_the_operation_that_blocks_and_costs_nothing(world: World) -> None:
    running = world.start()

    with pytest.raises(OperationActive) as refusal:
        world.start()

    assert refusal.value.members["blockingOperationId"] == running.operation_id
    assert refusal.value.members["quota"].used == 1
    assert world.used() == 1


@pytest.mark.abuse(78)
def test_the_fourth_start_of_a_day_is_refused_until_midnight_in_the_tenants_zone(
    world: World,
) -> None:
    for _ in range(3):
        world.run(world.start())

    with pytest.raises(QuotaExhausted) as refusal:
        world.start()

    # 12:00 UTC in winter is 13:00 in Amsterdam: 11 hours to midnight there.
    assert 11 * 3600 <= (refusal.value.retry_after or 0) <= 11 * 3600 + 1
    assert refusal.value.members["quota"].remaining == 0
    world.clock.advance(hours=11)
    assert world.start().status is Status.SCHEDULED


@pytest.mark.abuse(79)
def test_a_start_refused_as_another_runs_leaves_the_quota_as_it_was(world: World) -> None:
    world.start()
    for _ in range(5):
        with pytest.raises(OperationActive):
            world.start()
    assert world.used() == 1


@pytest.mark.abuse(81)
def test_the_same_idempotency_key_and_body_give_the_same_operation(world: World) -> None:
    first = world.start(key="monday")
    assert world.start(key="monday").operation_id == first.operation_id
    world.run(first)
    again = world.start(key="monday")

    assert again.operation_id == first.operation_id
    assert again.status is Status.SUCCEEDED
    assert world.used() == 1


@pytest.mark.abuse(82)
def test_an_idempotency_key_with_another_body_is_refused(world: World) -> None:
    world.start(key="monday")
    with pytest.raises(IdempotencyKeyReused):
        world.start(key="monday", entity="employees")


def test_an_idempotency_key_is_forgotten_after_a_day_swept_or_not(world: World) -> None:
    first = world.start(key="monday")
    world.run(first)
    world.clock.advance(hours=25)
    assert world.start(key="monday").operation_id != first.operation_id


@pytest.mark.abuse(84)
def test_an_operation_that_the_system_failed_is_refunded_exactly_once(world: World) -> None:
    operation = world.start()
    world.end(operation, Failure("abandoned", "gone"))
    assert world.used() == 0

    retried = world.retry(operation)
    world.end(retried, Failure("abandoned", "gone again"))
    assert world.used() == 0


@pytest.mark.abuse(85)
def test_a_worker_that_comes_after_a_cancel_is_fenced_and_leaves_nothing(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    cancelled = world.cancel(operation)

    with pytest.raises(Fenced):
        world.export_range(operation, job_id, job_attempt)
    with pytest.raises(Fenced):
        world.complete_job(operation, job_id, job_attempt)
    with pytest.raises(Fenced):
        world.end(operation)

    assert cancelled.status is Status.CANCELLED
    assert world.status(operation).status is Status.CANCELLED
    assert {job.status for job in world.status(operation).jobs} == {Status.CANCELLED}
    assert world.stored() == {}
    assert world.open_uploads() == 0
    assert world.lock() is None


@pytest.mark.abuse(85)
def test_a_cancel_that_comes_after_the_end_changes_nothing(world: World) -> None:
    done = world.run(world.start())
    assert world.cancel(done).status is Status.SUCCEEDED
    assert len(world.stored()) == 2


@pytest.mark.abuse(91)
def test_cancelling_twice_is_the_same_as_once(world: World) -> None:
    operation = world.start()
    assert world.cancel(operation) == world.cancel(operation)


@pytest.mark.abuse(86)
@pytest.mark.abuse(87)
def test_only_what_failed_or_was_cancelled_can_be_retried(world: World) -> None:
    operation = world.start()
    with pytest.raises(OperationNotRetryable):
        world.retry(operation)
    world.run(operation)
    with pytest.raises(OperationNotRetryable):
        world.retry(operation)


@pytest.mark.abuse(88)
def test_a_retry_runs_only_what_did_not_succeed_and_keeps_the_version(world: World) -> None:
    operation = world.start()
    first, second = world.plan(operation)
    world.run_job(operation, first)
    world.plan_job(operation, second)
    world.fail_job(operation, second)
    assert world.end(operation) is Status.FAILED
    kept = world.status(operation).jobs[0]
    world.warehouse.snapshot = 8

    retried = world.retry(operation)
    assert world.plan(retried) == (second,)
    done = world.run(retried)

    assert done.status is Status.SUCCEEDED
    assert done.attempt == 2
    assert done.sync_version == "7"
    assert done.jobs[0] == kept
    assert len(world.stored()) == 2


def test_a_retry_whose_version_is_gone_runs_every_job_again_at_a_new_one(world: World) -> None:
    operation = world.start()
    first, second = world.plan(operation)
    world.run_job(operation, first)
    world.fail_job(operation, second)
    world.end(operation)
    world.warehouse.snapshot, world.warehouse.dropped = 8, {"7"}

    done = world.run(world.retry(operation))

    assert done.status is Status.SUCCEEDED
    assert done.sync_version == "8"
    versions = {
        json.loads(line)["version"] for b in world.stored().values() for line in b.splitlines()
    }
    assert versions == {"8"}
    assert len(world.stored()) == 2


@pytest.mark.abuse(89)
def test_an_active_operation_cannot_be_deleted(world: World) -> None:
    operation = world.start()
    with pytest.raises(OperationRunning):
        world.delete(operation)


def test_a_deleted_operation_is_gone_with_its_files(world: World) -> None:
    done = world.run(world.start())
    world.delete(done)

    with pytest.raises(NotFound):
        world.status(done)
    with pytest.raises(NotFound):
        world.link(done.jobs[0].job_id)
    assert world.stored() == {}


@pytest.mark.abuse(92)
def test_a_task_that_is_run_twice_makes_one_file(world: World) -> None:
    operation = world.start()
    [job_id] = [world.plan(operation)[0]]
    assert world.plan(operation)[0] == job_id
    job_attempt, _ = world.plan_job(operation, job_id)
    world.export_range(operation, job_id, job_attempt)
    world.export_range(operation, job_id, job_attempt)
    world.complete_job(operation, job_id, job_attempt)
    with pytest.raises(Fenced):
        world.complete_job(operation, job_id, job_attempt)

    assert len(world.stored()) == 1
    assert world.status(operation).jobs[0].rows == 3


def test_a_plan_that_is_asked_for_twice_is_one_plan_whose_work_counts(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    first = world.plan_job(operation, job_id)
    world.export_range(operation, job_id, first[0])

    assert world.plan_job(operation, job_id) == first

    assert world.complete_job(operation, job_id, first[0])
    with pytest.raises(Fenced):
        world.plan_job(operation, job_id)
    assert len(world.stored()) == 1
    assert world.status(operation).jobs[0].attempt == first[0]


@pytest.mark.parametrize("task", ["plan", "plan_job"])
def test_of_two_invocations_at_once_the_plan_of_the_first_counts_for_both(
    world: World, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    operation = world.start()
    job_id = f"{operation.operation_id}-0001"
    adapter, name = type(world.operations), {"plan": "plan", "plan_job": "claim_job"}[task]
    write, plans = getattr(adapter, name), []

    def plan() -> object:
        return world.plan(operation) if task == "plan" else world.plan_job(operation, job_id)

    def write_second(*arguments: Any) -> object:
        monkeypatch.setattr(adapter, name, write)
        plans.append(plan())
        return write(*arguments)

    if task == "plan_job":
        world.plan(operation)
    monkeypatch.setattr(adapter, name, write_second)

    assert [plan()] == plans

    assert world.open_uploads() == (1 if task == "plan_job" else 0)
    assert world.run(operation).status is Status.SUCCEEDED


@pytest.mark.abuse(92)
def test_a_document_that_two_invocations_complete_at_once_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    world.export_range(operation, job_id, job_attempt)
    complete = S3Files.complete

    def complete_second(*arguments: Any) -> None:
        monkeypatch.setattr(S3Files, "complete", complete)
        assert world.complete_job(operation, job_id, job_attempt)
        complete(*arguments)

    monkeypatch.setattr(S3Files, "complete", complete_second)
    with pytest.raises(Fenced):
        world.complete_job(operation, job_id, job_attempt)

    assert len(world.stored()) == 1


@pytest.mark.abuse(93)
def test_an_older_attempt_of_a_job_cannot_commit(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    stale, _ = world.plan_job(operation, job_id)
    owner, _ = world.plan_job(operation, job_id, anew=True)

    with pytest.raises(Fenced):
        world.export_range(operation, job_id, stale)
    world.export_range(operation, job_id, owner)
    with pytest.raises(Fenced):
        world.complete_job(operation, job_id, stale)
    assert world.complete_job(operation, job_id, owner)
    assert world.open_uploads() == 0


@pytest.mark.abuse(94)
def test_a_job_that_keeps_failing_ends_as_failed_and_frees_the_lock(world: World) -> None:
    operation = world.start()
    first, second = world.plan(operation)
    world.plan_job(operation, first)
    world.fail_job(operation, first)
    world.run_job(operation, second)

    assert world.end(operation) is Status.FAILED
    ended = world.status(operation)
    assert [job.status for job in ended.jobs] == [Status.FAILED, Status.SUCCEEDED]
    assert ended.jobs[0].failure == Failure("worker_failed", "It broke.")
    assert world.lock() is None
    assert world.used() == 0


def test_a_source_that_cannot_be_read_is_tried_again_and_not_failed_at_once(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    world.warehouse.failure = SourceUnavailable("locked")
    with pytest.raises(SourceUnavailable):
        world.export_range(operation, job_id, job_attempt)
    world.warehouse.failure = None
    world.export_range(operation, job_id, job_attempt)
    assert world.complete_job(operation, job_id, job_attempt)


def test_ranges_of_one_table_become_one_document_in_order(world: World) -> None:
    world.warehouse.rows["main.employees"], world.warehouse.row_bytes = 26, MIB
    world.warehouse.ranges = 3
    done = world.run(world.start(entity="employees"))

    [body] = world.stored().values()
    assert [json.loads(line)["row"] for line in body.splitlines()] == list(range(26))
    assert done.jobs[0].sha256 is None
    assert len(done.jobs[0].slices) == 3


def test_ranges_too_small_for_an_upload_are_exported_again_in_one(world: World) -> None:
    world.warehouse.ranges = 2
    done = world.run(world.start(entity="employees"))

    assert done.status is Status.SUCCEEDED
    [body] = world.stored().values()
    assert [json.loads(line)["row"] for line in body.splitlines()] == [0, 1, 2]
    assert done.jobs[0].attempt == 2
    assert world.open_uploads() == 0


@pytest.mark.abuse(212)
def test_files_expire_with_the_clock_whether_swept_or_not(world: World) -> None:
    done = world.run(world.start())
    job_id = done.jobs[0].job_id
    assert world.link(job_id).startswith("https://")
    world.clock.advance(hours=24)

    with pytest.raises(FileExpired):
        world.link(job_id)
    before = world.status(done)
    assert before.status is Status.EXPIRED
    assert {job.status for job in before.jobs} == {Status.EXPIRED}
    assert world.sweep().expired == 1
    assert world.stored() == {}
    assert world.status(done) == before
    assert world.sweep().expired == 0
    with pytest.raises(OperationNotRetryable):
        world.retry(done)


def test_the_sweep_begins_a_workflow_whose_start_was_lost(world: World) -> None:
    operation = world.start()
    world.workflows.executions.clear()
    world.clock.advance(seconds=61)

    assert world.sweep().restarted == 1
    assert world.workflows.executions == {operation.execution_name: True}


def test_the_sweep_leaves_a_running_workflow_alone(world: World) -> None:
    operation = world.start()
    world.clock.advance(seconds=61)
    assert world.sweep().failed == 0
    assert world.status(operation).status is Status.SCHEDULED


def test_the_sweep_says_for_how_long_the_first_of_what_was_due_had_been_due(world: World) -> None:
    assert world.sweep().lag_s == 0
    world.start()
    lease = world.extraction.limits.lease.total_seconds()
    world.clock.advance(seconds=lease + 110)
    assert world.sweep().lag_s == 110


def test_the_sweep_ends_an_operation_whose_workflow_is_gone(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    world.plan_job(operation, job_id)
    world.workflows.executions[operation.execution_name] = False
    world.clock.advance(seconds=61)

    assert world.sweep().failed == 1
    ended = world.status(operation)
    assert ended.status is Status.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "abandoned"
    assert world.lock() is None
    assert world.used() == 0
    world.sweep()
    assert world.open_uploads() == 0


def test_the_sweep_finishes_what_a_killed_cancel_left(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    world.plan_job(operation, job_id)
    stored = world.operations.get("north", "bureau", operation.operation_id)
    world.operations.end(
        stored,
        Status.CANCELLED,
        None,
        expires_at=world.clock.now() + world.limits.file_lifetime,
        moment=world.clock.now(),
        refund=False,
    )
    assert world.open_uploads() == 1

    assert world.sweep().cleaned == 1
    assert world.open_uploads() == 0
    assert world.sweep().cleaned == 0


def test_the_sweep_aborts_an_upload_that_nobody_owns(world: World) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    world.plan_job(operation, job_id)
    s3 = world.clients["s3"]
    key = f"north/bureau/{operation.operation_id}/{job_id}/9/lost.csv"
    s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    s3.create_multipart_upload(Bucket=BUCKET, Key="somebody/elses")
    world.clock.moment = world.clock.moment.replace(year=2030)
    world.workflows.executions[operation.execution_name] = True

    assert world.sweep().aborted == 2
    assert world.open_uploads() == 1


@pytest.mark.parametrize("hours", [1, -1])
def test_a_sweeper_whose_clock_is_wrong_leaves_an_upload_that_is_about_to_be_claimed(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    operation = world.start()
    job_id, _ = world.plan(operation)
    world.workflows.executions[operation.execution_name] = True
    claim, swept = world.operations.claim_job, list[Swept]()

    def claimed_after_a_sweep(operation: Operation, job: Job) -> Job:
        # Uploads bear the time of the storage.
        world.clock.moment = datetime.now(UTC) + timedelta(hours=hours)
        assert world.open_uploads() == 1
        swept.append(world.sweep())
        return claim(operation, job)

    with monkeypatch.context() as patch:
        patch.setattr(
            type(world.operations), "claim_job", lambda _, *of: claimed_after_a_sweep(*of)
        )
        world.plan_job(operation, job_id)
    assert [one.aborted for one in swept] == [0]
    assert world.open_uploads() == 1
    # What was opened for an attempt that will never be is nobody's, and goes.
    job = world.status(operation).job(job_id)
    assert job.key is not None
    late = job.key.replace(f"/{job.attempt}/", "/0/")
    world.clients["s3"].create_multipart_upload(Bucket=BUCKET, Key=late)
    world.clock.moment = datetime.now(UTC) + timedelta(hours=1)
    assert world.sweep().aborted == 1


@pytest.mark.abuse(67)
def test_another_tenants_operation_and_job_are_as_if_they_never_were(world: World) -> None:
    done = world.run(world.start())
    stranger = a_caller(tenant="south")
    unknown = done.operation_id[:-1] + ("0" if done.operation_id[-1] != "0" else "1")

    with pytest.raises(NotFound) as foreign:
        world.export.operation(stranger, done.operation_id)
    with pytest.raises(NotFound) as never:
        world.export.operation(a_caller(), unknown)
    assert foreign.value.detail == never.value.detail

    with pytest.raises(NotFound) as foreign_job:
        world.link(done.jobs[0].job_id, tenant="south")
    with pytest.raises(NotFound) as other_client:
        world.link(done.jobs[0].job_id, client_id="other")
    with pytest.raises(NotFound) as never_job:
        world.link(f"{unknown}-0001")
    assert foreign_job.value.detail == other_client.value.detail == never_job.value.detail


@pytest.mark.abuse(203)
def test_a_table_that_is_no_longer_granted_is_not_handed_out(world: World) -> None:
    done = world.run(world.start())
    world.configurations.publish(a_configuration("absences"))

    with pytest.raises(NotFound) as revoked:
        world.link(done.jobs[0].job_id)
    with pytest.raises(NotFound) as never:
        world.link("no-such-job")
    assert revoked.value.detail == never.value.detail
    assert world.link(done.jobs[1].job_id)


def test_an_export_keeps_the_catalog_version_that_it_started_with(world: World) -> None:
    operation = world.start()
    world.configurations.publish(a_configuration("absences", tables=(a_table("absences"),)))
    done = world.run(operation)

    assert done.catalog_version == 1
    assert [job.status for job in done.jobs] == [Status.SUCCEEDED, Status.SUCCEEDED]


def test_a_job_without_a_file_says_where_it_stands(world: World) -> None:
    operation = world.start()
    with pytest.raises(JobUnfinished) as refusal:
        world.link(operation.jobs[0].job_id)
    assert refusal.value.members["jobStatus"] == "scheduled"


def test_operations_are_listed_newest_first_without_deleted_ones(world: World) -> None:
    world.configurations.rule = world.configurations.rule.__class__(100, "UTC")
    made = []
    for _ in range(5):
        made.append(world.run(world.start()))
        world.clock.advance(seconds=1)
    world.delete(made[2])

    page = world.operations.page("north", "bureau", 3, None)
    assert [one.operation_id for one in page] == [made[i].operation_id for i in (4, 3, 1)]
    rest = world.operations.page("north", "bureau", 3, page[-1].operation_id)
    assert [one.operation_id for one in rest] == [made[0].operation_id]
