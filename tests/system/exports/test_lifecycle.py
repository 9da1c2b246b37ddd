"""What may be done with an operation, and when."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, at_once, eventually

pytestmark = pytest.mark.system


@contextmanager
def _running(integrator: Integrator, **body: str) -> Iterator[str]:
    """The id of an operation whose documents are being written; its workers stand still in here."""
    started = integrator.start(**({"fileFormat": "json"} | body))
    eventually(
        lambda: integrator.platform.parts(integrator.prefix),
        within=60,
        what="a part of a document was stored",
    )
    with integrator.platform.frozen("ExportRange"):
        yield started["operationId"]


def _cancelled_between(integrator: Integrator) -> Json:
    """An operation that was cancelled when one of its two documents was there."""
    for _ in range(5):
        operation_id = integrator.start(fileFormat="json")["operationId"]
        eventually(
            lambda: [
                item
                for item in integrator.items().values()
                if item["sk"]["S"].startswith(f"job#{operation_id}")  # noqa: B023
                and item.get("status") == {"S": "succeeded"}  # a count of rows has no status
            ],
            within=60,
            every=0.02,
            what="a document is there",
        )
        with integrator.platform.frozen("ExportRange"):
            cancelled: Json = integrator.cancel(operation_id).json()
        if {job["status"] for job in cancelled["jobs"]} == {"succeeded", "cancelled"}:
            return cancelled
        # Both were there: the larger one's workers were warm, and the other's were not.
    raise AssertionError("five operations ended before they could be cancelled")


def test_an_accepted_start_says_where_its_status_is_and_when_to_ask(
    integrator: Integrator,
) -> None:
    reply = integrator.starts(entity="cost_centres")

    started = reply.json()
    assert reply.status_code == 202
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.headers["Location"] == started["links"]["status"]
    path = f"/data/v1/fulldata/{started['operationId']}/status"
    assert reply.headers["Location"] == integrator.platform.api_url + path
    assert (started["kind"], started["status"]) == ("full", "scheduled")
    assert started["syncVersion"] is None

    seen = integrator.get(path)
    if seen.json()["status"] in ("scheduled", "running"):
        assert int(seen.headers["Retry-After"]) >= 1
    done = integrator.ended(started["operationId"])
    assert done["status"] == "succeeded"
    assert done["percent"] == 100
    assert done["syncVersion"]
    assert done["createdAt"] <= done["startedAt"] <= done["endedAt"] < done["expiresAt"]
    [job] = done["jobs"]
    assert (job["table"], job["status"], job["attempt"]) == ("cost_centres", "succeeded", 1)
    assert job["link"] == f"{integrator.platform.api_url}/data/v1/jobs/{job['jobId']}"
    assert job["expiresAt"] == done["expiresAt"]


def test_operations_are_listed_newest_first_page_by_page(integrator: Integrator) -> None:
    made = []
    for _ in range(5):
        operation = integrator.start(entity="cost_centres")
        integrator.cancel(operation["operationId"])
        made.append(operation["operationId"])

    seen: list[str] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        query = {"pageSize": 2} | ({"cursor": cursor} if cursor else {})
        page = integrator.get("/data/v1/operations", params=query).json()
        assert len(page["operations"]) == size
        assert all("jobs" not in operation for operation in page["operations"])
        seen += [operation["operationId"] for operation in page["operations"]]
        cursor = page["next"]
    assert cursor is None
    assert seen == made[::-1]


@pytest.mark.abuse(86)
@pytest.mark.abuse(89)
def test_a_running_operation_is_neither_retried_nor_deleted_nor_handed_out(
    integrator: Integrator,
) -> None:
    with _running(integrator) as operation_id:
        retried = integrator.retry(operation_id)
        assert (retried.status_code, retried.json()["code"]) == (409, "operation_not_retryable")
        deleted = integrator.delete(operation_id)
        assert (deleted.status_code, deleted.json()["code"]) == (409, "operation_running")
        manifest = integrator.get(f"/data/v1/operations/{operation_id}/manifest")
        assert manifest.status_code == 409
        jobs = integrator.status(operation_id)["jobs"]
        unfinished = [job for job in jobs if job["link"] is None]
        assert unfinished, "the operation ended before it was looked at"
        download = integrator.get(f"/data/v1/jobs/{unfinished[-1]['jobId']}")
        assert download.status_code == 409
        assert download.json()["code"] == "job_unfinished"
        assert download.json()["jobStatus"] in ("scheduled", "running")
        assert int(download.headers["Retry-After"]) >= 1
        assert integrator.cancel(operation_id).json()["status"] == "cancelled"


@pytest.mark.abuse(85)
@pytest.mark.abuse(91)
def test_cancelling_stops_the_work_within_seconds_and_leaves_nothing(
    integrator: Integrator,
) -> None:
    with _running(integrator, entity="payslips") as operation_id:
        cancelled = integrator.cancel(operation_id)

    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert {job["status"] for job in cancelled.json()["jobs"]} == {"cancelled"}
    assert integrator.is_free()
    again = integrator.cancel(operation_id)
    assert again.status_code == 200
    assert again.json()["endedAt"] == cancelled.json()["endedAt"]

    eventually(
        lambda: not integrator.platform.uploads(integrator.prefix),
        within=5,
        what="the upload was aborted",
    )
    platform = integrator.platform
    eventually(
        lambda: [line for line in platform.logs(operation_id) if line.get("message") == "void"],
        within=10,
        what="a worker said that its work counts no longer",
    )
    assert platform.execution(operation_id, 1)["status"] == "ABORTED"
    assert platform.objects(integrator.prefix) == []
    assert platform.uploads(integrator.prefix) == []
    assert integrator.status(operation_id) == cancelled.json()


@pytest.mark.abuse(88)
def test_a_retry_runs_what_did_not_succeed_and_keeps_what_did(clients: Clients) -> None:
    integrator = clients.special(NORTHWIND, "cost_centres", "payslips")
    cancelled = _cancelled_between(integrator)
    operation_id, used = cancelled["operationId"], cancelled["quota"]["used"]
    [first] = kept = [job["jobId"] for job in cancelled["jobs"] if job["status"] == "succeeded"]
    document = integrator.document(first)

    retried = integrator.retry(operation_id)

    assert retried.status_code == 202
    assert (retried.json()["status"], retried.json()["attempt"]) == ("scheduled", 2)
    done = integrator.ended(operation_id)
    assert done["status"] == "succeeded"
    assert done["syncVersion"] == cancelled["syncVersion"]
    attempts = {job["jobId"]: job["attempt"] for job in cancelled["jobs"]}
    for job in done["jobs"]:
        if job["jobId"] in kept:
            assert job["attempt"] == attempts[job["jobId"]]
        else:
            assert job["attempt"] == attempts[job["jobId"]] + 1
    assert integrator.document(first) == document
    assert done["quota"]["used"] == used, "a retry is not another operation of the day"


@pytest.mark.abuse(87)
def test_a_succeeded_operation_is_not_retried_and_cancelling_changes_nothing(
    integrator: Integrator,
) -> None:
    done = integrator.export(entity="cost_centres")

    retried = integrator.retry(done["operationId"])

    assert retried.status_code == 409
    assert retried.json()["code"] == "operation_not_retryable"
    assert retried.json()["operationStatus"] == "succeeded"
    assert integrator.cancel(done["operationId"]).json() == done
    assert integrator.document(done["jobs"][0]["jobId"])


def test_a_deleted_operation_and_its_documents_are_gone(integrator: Integrator) -> None:
    kept = integrator.export(entity="departments")
    done = integrator.export(entity="cost_centres")
    operation_id, job_id = done["operationId"], done["jobs"][0]["jobId"]
    link = integrator.link(job_id)

    assert integrator.delete(operation_id).status_code == 204

    for method, path in (
        ("GET", f"/data/v1/fulldata/{operation_id}/status"),
        ("PUT", f"/data/v1/fulldata/{operation_id}/retry"),
        ("POST", f"/data/v1/fulldata/{operation_id}/cancel"),
        ("DELETE", f"/data/v1/fulldata/{operation_id}"),
        ("GET", f"/data/v1/operations/{operation_id}/manifest"),
        ("GET", f"/data/v1/jobs/{job_id}"),
    ):
        reply = integrator.call(method, path)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), path
    listed = integrator.get("/data/v1/operations").json()["operations"]
    assert [one["operationId"] for one in listed] == [kept["operationId"]]
    assert integrator.platform.http.get(link).status_code == 404
    [key] = integrator.platform.objects(integrator.prefix)
    assert kept["operationId"] in key
    assert integrator.quota()["used"] == 2, "what was deleted was used all the same"


@pytest.mark.abuse(90)
def test_a_download_beside_a_deletion_is_whole_or_not_there(integrator: Integrator) -> None:
    done = integrator.export(entity="absences", fileFormat="ndjson")
    [job] = done["jobs"]

    def download() -> tuple[int, int]:
        reply = integrator.get(f"/data/v1/jobs/{job['jobId']}")
        if reply.status_code != 303:
            return reply.status_code, 0
        document = integrator.platform.http.get(reply.headers["Location"])
        return document.status_code, len(document.content)

    seen = []
    with ThreadPoolExecutor(4) as pool:
        before = [pool.submit(download) for _ in range(4)]
        deletion = pool.submit(integrator.delete, done["operationId"])
        after = [pool.submit(download) for _ in range(4)]
        seen = [one.result() for one in before + after]
    assert deletion.result().status_code == 204
    for status, size in seen:
        # 410: the link was asked for between the operation's end and its file's.
        assert status in (200, 404, 410), seen
        assert status != 200 or size == job["bytes"], seen
    assert download() == (404, 0)


def test_of_many_who_cancel_retry_or_delete_at_once_one_does_it(integrator: Integrator) -> None:
    operation_id = integrator.start(fileFormat="json")["operationId"]
    cancelled = at_once(8, lambda _: integrator.cancel(operation_id))
    assert [reply.status_code for reply in cancelled] == [200] * 8
    assert len({reply.json()["endedAt"] for reply in cancelled}) == 1

    retried = at_once(8, lambda _: integrator.retry(operation_id))
    assert Counter(reply.status_code for reply in retried) == {202: 1, 409: 7}
    assert integrator.status(operation_id)["attempt"] == 2
    blocked = integrator.starts()
    assert blocked.json()["blockingOperationId"] == operation_id
    integrator.cancel(operation_id)

    other = integrator.start(fileFormat="json")["operationId"]
    refused = integrator.retry(operation_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "operation_active")
    assert refused.json()["blockingOperationId"] == other
    integrator.cancel(other)

    deleted = at_once(8, lambda _: integrator.delete(operation_id))
    assert Counter(reply.status_code for reply in deleted) == {204: 1, 404: 7}
    assert integrator.quota()["used"] == 2
