"""Workers that hand over in the middle of a table, in a fan-out where others die and come twice."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.conftest import NORTHWIND
from tests.system.deployed import Integrator, Json, Platform, eventually
from tests.system.exports import columns

pytestmark = pytest.mark.system


@contextmanager
def hasty(platform: Platform) -> Iterator[None]:
    """Two ranges of two slices each, and workers that begin no second slice."""
    with (
        # Twenty MiB is the least that a slice is planned with.
        platform.configured("PlanJob", RANGE_MIB="24", RANGE_SECONDS="12", MAX_RANGES="2"),
        platform.configured("ExportRange", RANGE_SECONDS="0"),
    ):
        yield


def job_item(integrator: Integrator) -> Json | None:
    """What is kept of the client's newest job."""
    items = integrator.items()
    jobs = [key for key in items if key[:4] == "job#" and "#progress#" not in key]
    return items[max(jobs)] if jobs else None


def recorded(integrator: Integrator, operation_id: str) -> dict[str, Json]:
    """The slices of an operation that are recorded."""
    mark = f"slice#{operation_id}"
    return {key: item for key, item in integrator.items().items() if key.startswith(mark)}


def expected(platform: Platform, operation: Json) -> object:
    """The table as the operation saw it."""
    return columns.in_source(platform.home.warehouse, operation["syncVersion"], NORTHWIND)


def test_workers_that_hand_over_make_one_document_that_equals_the_source(
    platform: Platform, integrator: Integrator
) -> None:
    with hasty(platform):
        done = integrator.export(entity="payslips")
    item = job_item(integrator)
    assert item is not None
    slices, ranges = len(item["slices"]["L"]), int(item["ranges"]["N"])
    assert slices > ranges >= 1
    [job] = done["jobs"]
    assert job["attempt"] == 1
    document = integrator.document(job["jobId"])
    columns.assert_same(columns.in_document(document, "csv", "none"), expected(platform, done))
    # Every slice had a worker of its own, and those before the last of a range handed over.
    left = [line for line in platform.logs(job["jobId"]) if line.get("message") == "handed over"]
    assert len(left) == slices - ranges
    integrator.leaves(documents=1)


def test_a_fan_out_with_a_dead_a_doubled_and_a_slow_worker_makes_the_same_document(
    platform: Platform, integrator: Integrator
) -> None:
    with hasty(platform):
        undisturbed = integrator.export(entity="payslips", fileFormat="json")
        operation_id = integrator.start(entity="payslips", fileFormat="json")["operationId"]

        eventually(
            lambda: recorded(integrator, operation_id), within=60, what="a slice was recorded"
        )
        [job] = integrator.status(operation_id)["jobs"]
        event = integrator.of_worker(operation_id, job, 1)
        before = recorded(integrator, operation_id)
        workers = platform.workers("ExportRange")
        os.kill(workers[0], signal.SIGKILL)
        for slow in workers[1:]:
            os.kill(slow, signal.SIGSTOP)
        try:
            error, outcome = platform.invoke("ExportRange", event)
        finally:
            for slow in workers[1:]:
                os.kill(slow, signal.SIGCONT)
        assert (error, outcome["outcome"]) == (None, "done")
        done = integrator.ended(operation_id)

    assert done["status"] == "succeeded", done
    assert done["jobs"][0]["attempt"] == 1
    after = recorded(integrator, operation_id)
    assert len(after) > len(before)
    assert {key: after[key] for key in before} == before
    first, second = (integrator.document(one["jobs"][0]["jobId"]) for one in (undisturbed, done))
    assert second == first
    columns.assert_same(columns.in_document(second, "json", "none"), expected(platform, done))
    integrator.leaves(documents=2)
