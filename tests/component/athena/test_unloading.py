"""Exports of tables that Athena unloads: the tasks and states are real, Athena has a stand-in."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from headrace.exports.model import Compression, FileFormat, Job, Limits, Operation, Status
from headrace.exports.planning import PlanUnload
from headrace.exports.sources import ColumnType, RowFilter
from headrace.exports.sweeping import Swept
from headrace.exports.warehouses import Unload
from headrace.kernel.errors import Fenced
from tests.component.athena.stand_in import Deployment, deployed, published, recorded
from tests.component.warehouse.places import rows_of

COLUMNS = {
    "id": "bigint",
    "name": "string",
    "active": "boolean",
    "small": "smallint",
    "salary": "decimal(12,2)",
    "factor": "float",
    "born": "date",
    "seen": "timestamp",
    "photo": "binary",
    "tags": "array<string>",
    "filename": "string",
}
ROWS = """
    SELECT * FROM (VALUES
        (1::BIGINT, 'Ann "A" ü', true, 7::SMALLINT, 10.50::DECIMAL(12,2), 0.1::FLOAT,
         DATE '1999-12-31', TIMESTAMP '2020-01-02 03:04:05.123456', 'x'::BLOB, ['a', NULL],
         'f', 'north'),
        (2, '', false, NULL, NULL, 'nan'::FLOAT, DATE '12345-01-01',
         TIMESTAMP '0044-03-15 (BC) 12:00:00', NULL, [], NULL, 'north'),
        (3, NULL, NULL, -1::SMALLINT, -0.01::DECIMAL(12,2), 2.5::FLOAT, NULL,
         NULL, ''::BLOB, NULL, '', 'south')
    ) v(id, name, active, small, salary, factor, born, seen, photo, tags, filename, tenant)
"""
CSV = (
    "id,name,active,small,salary,factor,born,seen,photo,tags,filename\n"
    '1,"Ann ""A"" ü",true,7,10.50,0.1,1999-12-31,2020-01-02T03:04:05.123456,eA==,'
    '"[""a"",null]",f\n'
    '2,"",false,,,NaN,+12345-01-01,-0043-03-15T12:00:00.000000,,[],\n'
)


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment with the table ``people``, of which a client may take its tenant's rows."""
    with deployed(monkeypatch) as made:
        made.create("people", COLUMNS, ROWS, tenant="string")
        yield made


def publish(deployment: Deployment, *tenants: str) -> None:
    """The table's rows of these tenants; the column that tells them is not shown."""
    row_filter = RowFilter("tenant", tenants, ColumnType.STRING)
    table = published(deployment.tables, "people", filters=(row_filter,))
    deployment.publish(replace(table, columns=table.columns[:-1]))


def test_a_document_is_that_of_any_other_source(deployment: Deployment) -> None:
    publish(deployment, "north")
    assert sorted(deployment.exported(file_format=FileFormat.CSV).decode().splitlines()) == sorted(
        CSV.splitlines()
    )


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("file_format", FileFormat)
def test_every_format_and_compression(
    deployment: Deployment, file_format: FileFormat, compression: Compression
) -> None:
    publish(deployment, "north", "south")
    stored = deployment.exported(file_format=file_format, compression=compression)
    if file_format is FileFormat.PARQUET:
        rows = pq.read_table(io.BytesIO(stored), columns=["id"]).to_pylist()
    else:
        rows = rows_of(stored, file_format, compression)
    assert sorted(str(row["id"]) for row in rows) == ["1", "2", "3"]
    assert deployment.staged() == []


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_query_without_rows_leaves_no_file_and_makes_an_empty_document(
    deployment: Deployment, file_format: FileFormat
) -> None:
    publish(deployment, "nobody's")
    stored = deployment.exported(file_format=file_format)
    assert rows_of(stored, file_format) == []
    if file_format is FileFormat.CSV:
        assert stored.decode() == CSV.splitlines(keepends=True)[0]
    if file_format is FileFormat.PARQUET:
        assert pq.read_schema(io.BytesIO(stored)).names == CSV.splitlines()[0].split(",")


def test_values_are_bound_and_what_is_written_is_under_the_tenants_key(
    deployment: Deployment,
) -> None:
    deployment.world.configurations.key = deployment.world.key_id
    publish(deployment, "o'north", "?", '"')
    deployment.exported()
    [request] = deployment.athena.requests
    assert request["ExecutionParameters"] == ["1", "'o''north'", "'?'", "'\"'"]
    assert "north" not in request["QueryString"].split(" TO ")[0]
    assert request["ResultConfiguration"]["EncryptionConfiguration"] == {
        "EncryptionOption": "SSE_KMS",
        "KmsKey": deployment.world.key_id,
    }
    assert (request["WorkGroup"], request["QueryExecutionContext"]["Database"]) == ("exports", "hr")


def test_a_table_that_is_split_where_its_slices_are_too_small_goes_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with deployed(monkeypatch, Limits(range_bytes=40_000)) as deployment:
        rows = "SELECT i AS id, md5(i::VARCHAR) AS name FROM range(5000) r(i)"
        deployment.create("people", {"id": "bigint", "name": "string"}, rows)
        deployment.publish(published(deployment.tables, "people"))
        stored = deployment.exported(file_format=FileFormat.CSV)
        ids = {int(row["id"]) for row in rows_of(stored, FileFormat.CSV)}
        assert ids == set(range(5000))
        # Planned over rows that were there already: one query, and the job's third attempt.
        assert len(deployment.athena.requests) == 1
        [job] = deployment.world.operations.page("north", "bureau", 1, None)
        jobs = deployment.world.operations.get("north", "bureau", job.operation_id).jobs
        assert (jobs[0].attempt, len(jobs[0].slices)) == (3, 1)


def test_a_table_that_is_large_enough_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    with deployed(monkeypatch, Limits(range_bytes=6 * 1024 * 1024)) as deployment:
        rows = "SELECT i AS id, repeat(md5(i::VARCHAR), 8) AS name FROM range(60000) r(i)"
        deployment.create("people", {"id": "bigint", "name": "string"}, rows)
        deployment.publish(published(deployment.tables, "people"))
        stored = deployment.exported(file_format=FileFormat.CSV)
        assert {int(row["id"]) for row in rows_of(stored, FileFormat.CSV)} == set(range(60000))
        [operation] = deployment.world.operations.page("north", "bureau", 1, None)
        [job] = deployment.world.operations.get("north", "bureau", operation.operation_id).jobs
        assert (job.attempt, len(job.slices)) == (2, 3)


def test_a_query_that_fails_fails_the_job_and_what_it_wrote_is_removed(
    deployment: Deployment,
) -> None:
    publish(deployment, "north")
    deployment.athena.failure = recorded("query_failed.json")
    ended = deployment.run(deployment.world.start())
    [job] = ended.jobs
    assert (ended.status, job.status) == (Status.FAILED, Status.FAILED)
    assert job.failure is not None
    assert job.failure.code == "source_unavailable"
    assert deployment.world.stored() == {}

    deployment.athena.failure = None
    again = deployment.run(deployment.world.retry(ended))
    assert again.status is Status.SUCCEEDED
    first, second = (request["QueryString"] for request in deployment.athena.requests)
    assert first != second  # each query has a folder of its own
    assert deployment.staged() == []


def test_what_a_cancelled_query_wrote_is_removed_however_late(deployment: Deployment) -> None:
    publish(deployment, "north")
    world = deployment.world
    operation = world.start()

    def cancel() -> None:
        assert deployment.staged() != []
        world.cancel(operation)
        assert deployment.staged() == []

    def write_late() -> None:
        # A query that is being stopped may still write.
        key = f"-staging/north/bureau/{operation.operation_id}/{job_id}/1/data/late"
        world.clients["s3"].put_object(Bucket="files", Key=key, Body=b"PAR1")

    [job_id] = world.plan(operation)
    deployment.athena.before_answer = cancel
    deployment.run_job(operation, job_id)
    assert world.status(operation).status is Status.CANCELLED
    write_late()
    assert world.sweep().cleaned == 1
    assert world.stored() == {}
    write_late()
    assert world.sweep().unstaged == 1
    assert world.stored() == {}


def test_the_sweeper_leaves_a_running_query_alone(deployment: Deployment) -> None:
    publish(deployment, "north")
    world, swept = deployment.world, list[Swept]()
    s3 = world.clients["s3"]

    def sweep() -> None:
        [job] = world.status(operation).jobs
        s3.create_multipart_upload(Bucket="files", Key=f"{job.staging}data/large")
        s3.create_multipart_upload(Bucket="files", Key="-staging/north/bureau/o/j/1/data/orphan")
        s3.put_object(Bucket="files", Key="-staging/north/bureau/o/j/1/data/orphan", Body=b"PAR1")
        world.workflows.executions[operation.execution_name] = True
        # The uploads bear the time of the server's clock, not of the deployment's.
        world.clock.advance(days=365 * 100)
        swept.append(world.sweep())

    operation = world.start()
    [job_id] = world.plan(operation)
    deployment.athena.before_answer = sweep
    deployment.run_job(operation, job_id)
    assert (swept[0].aborted, swept[0].unstaged) == (1, 1)
    assert world.status(operation).jobs[0].status is Status.SUCCEEDED
    assert world.open_uploads() == 1  # the query's own; nothing of ours


def test_a_query_that_is_asked_for_again_is_the_one_that_stands(deployment: Deployment) -> None:
    publish(deployment, "north")
    world, again = deployment.world, list[Unload | None]()
    operation = world.start()
    [job_id] = world.plan(operation)
    plan = PlanUnload(world.extraction, deployment.tables)

    def planned_twice() -> None:
        again.append(plan(world.attempt(operation), job_id))

    deployment.athena.before_answer = planned_twice
    deployment.run_job(operation, job_id)
    [job], [request], [unload] = world.status(operation).jobs, deployment.athena.requests, again
    assert job.status is Status.SUCCEEDED
    assert unload is not None
    assert (unload.query, unload.token) == (request["QueryString"], request["ClientRequestToken"])
    with pytest.raises(Fenced):
        plan(world.attempt(operation), job_id)


def test_a_query_that_is_asked_for_twice_at_once_is_one(deployment: Deployment) -> None:
    publish(deployment, "north")
    world, first = deployment.world, list[Unload | None]()
    operation = world.start()
    [job_id] = world.plan(operation)
    plan = PlanUnload(world.extraction, deployment.tables)
    claim = world.operations.claim_job

    def claimed_meanwhile(operation: Operation, job: Job) -> Job:
        if not first:
            first.append(None)  # before it claims itself
            first[0] = plan(world.attempt(operation), job_id)
        return claim(operation, job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.operations), "claim_job", lambda _, *of: claimed_meanwhile(*of))
        second = plan(world.attempt(operation), job_id)
    assert second is not None
    assert second == first[0]
    deployment.run_job(operation, job_id)
    assert world.status(operation).jobs[0].status is Status.SUCCEEDED


def test_rows_of_another_query_are_no_rows_of_this_one(deployment: Deployment) -> None:
    publish(deployment, "north")
    world = deployment.world
    operation = world.start()
    [job_id] = world.plan(operation)
    plan = PlanUnload(world.extraction, deployment.tables)
    assert plan(world.attempt(operation), job_id) is not None
    with pytest.raises(Fenced):
        world.plan_job(operation, job_id)


def test_rows_of_another_type_than_was_published_are_refused(deployment: Deployment) -> None:
    publish(deployment, "north")
    deployment.athena.connection.execute("ALTER TABLE hr.people ALTER salary TYPE DECIMAL(12,3)")
    [job] = deployment.run(deployment.world.start(file_format=FileFormat.PARQUET)).jobs
    assert job.failure is not None
    assert (job.status, job.failure.code) == (Status.FAILED, "schema_changed")
    assert deployment.world.stored() == {}


def test_a_retry_keeps_what_succeeded_and_the_moment(deployment: Deployment) -> None:
    deployment.create("jobs", {"id": "bigint"}, "SELECT 1::BIGINT AS id")
    deployment.publish(published(deployment.tables, "people"), published(deployment.tables, "jobs"))
    world = deployment.world
    operation = world.start()
    first, second = world.plan(operation)
    deployment.run_job(operation, first)
    deployment.athena.failure = recorded("query_failed.json")
    deployment.run_job(operation, second)
    world.end(operation)
    before = world.status(operation)
    deployment.athena.failure = None
    world.clock.advance(seconds=timedelta(hours=1).total_seconds())
    ended = deployment.run(world.retry(operation))
    assert ended.status is Status.SUCCEEDED
    assert ended.sync_version == before.sync_version == "athena:2026-03-04T12:00:00.000Z"
    assert len(deployment.athena.requests) == 3
