"""Workers that are killed, or come twice, or too late."""

from datetime import UTC, datetime

import pytest

from headrace.exports.model import Compression, ExportRequest, FileFormat, QuotaRule, new_operation
from headrace.kernel.ids import RandomIds
from tests.system.conftest import NORTHWIND
from tests.system.deployed import Integrator, Platform, eventually
from tests.system.exports import columns

pytestmark = pytest.mark.system


@pytest.mark.abuse(207)
def test_a_worker_killed_in_mid_export_costs_a_retry_and_no_row(
    platform: Platform, integrator: Integrator
) -> None:
    operation_id = integrator.start(entity="payslips")["operationId"]
    eventually(lambda: platform.parts(integrator.prefix), within=60, what="a part was stored")

    assert platform.kill("ExportRange")

    assert integrator.status(operation_id)["jobs"][0]["percent"] < 100
    done = integrator.ended(operation_id)
    assert done["status"] == "succeeded", done
    assert (done["attempt"], done["quota"]["used"]) == (1, 1)
    [job] = done["jobs"]
    document = integrator.document(job["jobId"])
    expected = columns.in_source(platform.home.warehouse, done["syncVersion"], NORTHWIND)
    columns.assert_same(columns.in_document(document, "csv", "none"), expected)
    integrator.leaves(documents=1)


@pytest.mark.abuse(207)
@pytest.mark.parametrize("task", ["PlanExport", "PlanJob", "CompleteJob", "EndExport"])
def test_a_task_killed_at_its_work_is_done_again(
    platform: Platform, integrator: Integrator, task: str
) -> None:
    undisturbed = integrator.export(entity="absences")
    with platform.frozen(task) as frozen:
        operation_id = integrator.start(entity="absences")["operationId"]
        eventually(frozen.given_work, within=60, what=f"{task} was given work")
        assert integrator.status(operation_id)["status"] in ("scheduled", "running")
        frozen.kill()

    done = integrator.ended(operation_id)
    assert done["status"] == "succeeded", done
    assert done["syncVersion"] == undisturbed["syncVersion"]
    first, second = (integrator.document(one["jobs"][0]["jobId"]) for one in (undisturbed, done))
    assert second == first
    integrator.leaves(documents=2)


@pytest.mark.abuse(92)
def test_a_worker_that_comes_twice_makes_one_document(
    platform: Platform, integrator: Integrator
) -> None:
    operation_id = integrator.start(entity="payslips", compression="gzip")["operationId"]
    job = integrator.until(
        operation_id,
        lambda seen: seen["jobs"][0]["status"] == "running",
        within=60,
        what="has a running job",
    )["jobs"][0]
    event = integrator.of_worker(operation_id, job, 0)
    error, outcome = platform.invoke("ExportRange", event)
    assert (error, outcome["outcome"]) in ((None, "done"), (None, "void"))

    done = integrator.ended(operation_id)
    assert done["status"] == "succeeded", done
    document = integrator.document(job["jobId"])
    expected = columns.in_source(platform.home.warehouse, done["syncVersion"], NORTHWIND)
    columns.assert_same(columns.in_document(document, "csv", "gzip"), expected)
    integrator.leaves(documents=1)

    before = integrator.status(operation_id)
    for task in ("PlanJob", "ExportRange", "CompleteJob"):
        assert platform.invoke(task, event) == (None, {"outcome": "void"})
    assert integrator.status(operation_id) == before
    assert integrator.document(job["jobId"]) == document
    integrator.leaves(documents=1)


@pytest.mark.abuse(85)
@pytest.mark.parametrize("task", ["PlanJob", "CompleteJob", "EndExport"])
def test_what_a_task_does_after_the_cancellation_counts_no_more(
    platform: Platform, integrator: Integrator, task: str
) -> None:
    integrator.export(entity="cost_centres")
    with platform.frozen(task) as frozen:
        operation_id = integrator.start(entity="departments")["operationId"]
        eventually(frozen.given_work, within=60, what=f"{task} was given work")
        cancelled = integrator.cancel(operation_id).json()
        assert cancelled["status"] == "cancelled"

    eventually(
        lambda: [line for line in platform.logs(operation_id) if line.get("message") == "void"],
        within=30,
        what=f"{task} found that its work counts no longer",
    )
    after = integrator.status(operation_id)
    assert after == cancelled
    # EndExport comes when the document is there: that one stays, and is handed out.
    documents = sum(job["status"] == "succeeded" for job in after["jobs"])
    assert documents == (1 if task == "EndExport" else 0)
    integrator.leaves(documents=1 + documents)


@pytest.mark.abuse(93)
def test_a_task_of_an_earlier_attempt_changes_nothing(
    platform: Platform, integrator: Integrator
) -> None:
    integrator.export(entity="cost_centres")
    with platform.frozen("CompleteJob") as frozen:
        operation_id = integrator.start(entity="departments")["operationId"]
        eventually(frozen.given_work, within=60, what="CompleteJob was given work")
        integrator.cancel(operation_id)
        assert integrator.retry(operation_id).status_code == 202
        # The second attempt has its own process, while the first still holds its own.
        done = integrator.ended(operation_id)
    assert (done["status"], done["attempt"]) == ("succeeded", 2)
    document = integrator.document(done["jobs"][0]["jobId"])
    eventually(
        lambda: [line for line in platform.logs(operation_id) if line.get("message") == "void"],
        within=30,
        what="the first attempt found that its work counts no longer",
    )
    assert integrator.status(operation_id) == done
    assert integrator.document(done["jobs"][0]["jobId"]) == document
    integrator.leaves(documents=2)


@pytest.mark.abuse(209)
def test_an_operation_that_was_recorded_and_never_begun_is_begun_by_the_sweeper(
    platform: Platform, integrator: Integrator
) -> None:
    # What StartFullExport leaves that is killed between its two steps.
    now = datetime.now(UTC)
    catalog = platform.deployment.catalogs().current()
    assert catalog is not None
    rule = QuotaRule(3, "Europe/Amsterdam")
    request = ExportRequest("hr-full", ("cost_centres",), FileFormat.CSV, Compression.NONE)
    operation_id = RandomIds().new(now)
    platform.deployment.operations().start(
        new_operation(
            operation_id,
            integrator.tenant,
            integrator.client_id,
            request,
            catalog.version,
            rule.day(now),
            now,
        ),
        rule,
        None,
    )
    refused = integrator.starts()
    assert refused.status_code == 409
    assert refused.json()["blockingOperationId"] == operation_id

    platform.sweep()

    assert integrator.ended(operation_id)["status"] == "succeeded"
    integrator.leaves(documents=1)
