"""Whatever is sent to the API, its answer is one that its description knows.

Schemathesis makes the calls: those at the edges of what the schemas allow, those beyond, and some
at random, the same ones in every run.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from openapi.generate import DOCUMENT
from openapi.routes import ROOT
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import ACTIVE, Integrator, Platform, eventually

DESCRIPTION = schemathesis.openapi.from_path(ROOT / DOCUMENT)

type Call = Callable[..., Any]


@schemathesis.serializer("application/x-ndjson")
def one_line(_context: Any, value: Any) -> bytes:
    """A file of one line."""
    return json.dumps(value).encode() + b"\n"


UNKNOWN = "x-schemathesis-unknown-property"
"""A query parameter that nobody declared: it is ignored, as is usual, not refused."""


def answered(platform: Platform, token: str, case: Any, beside: tuple[str, ...] = ()) -> Any:
    """Calls, and raises unless the answer is as described; ``beside``: checks not made."""
    reply = case.call(
        base_url=platform.api_url,
        headers={"Authorization": f"Bearer {token}"},
        allow_redirects=False,
    )
    case.validate_response(
        reply, excluded_checks=CHECKS.get_by_names([*beside_the_point(case, reply), *beside])
    )
    return reply


def beside_the_point(case: Any, reply: Any) -> list[str]:
    """The checks that this answer fails rightly."""
    names = []
    if UNKNOWN in case.query:
        names.append("negative_data_rejection")
    refusal = reply.json()["code"] if reply.status_code == 422 else ""
    # Keys come up again, with other bodies; and a version is known only if it was given out.
    if refusal in ("idempotency_key_reused", "sync_version_unknown"):
        names.append("positive_data_acceptance")
    if refusal == "validation_failed" and [
        one["field"] for one in reply.json().get("errors", ())
    ] == ["webhook"]:
        names.append("positive_data_acceptance")  # only the catalog's are known
    if case.path.endswith("/import/batch"):
        names.append("negative_data_rejection")  # each line is refused by itself
    if reply.status_code == 410:
        # A link that never was is one that has ended, whatever it looks like.
        names += ["negative_data_rejection", "positive_data_acceptance"]
    # The caller's token stands beside the client's own proof; and nobody has the refresh token.
    if reply.status_code == 400 and case.path.startswith(("/connect/", "/v1/auth")):
        names.append("positive_data_acceptance")
    if reply.status_code == 400 and "cursor" in case.query:
        names.append("positive_data_acceptance")  # only a page gives out cursors that hold
    return names


@pytest.fixture(scope="module")
def caller(clients: Clients) -> Integrator:
    """A client of these tests only, with one small table."""
    return clients.special(NORTHWIND, "departments")


@DESCRIPTION.parametrize()
@settings(
    max_examples=int(os.environ.get("EXAMPLES", "12")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_answer_is_one_that_is_described(
    case: Any, caller: Integrator, platform: Platform
) -> None:
    reply = answered(platform, caller.token(), case)
    if case.operation.label == "POST /data/v1/fulldata" and reply.status_code == 202:
        # Only the start is of interest, and the next one must not always be a 409.
        assert caller.cancel(reply.json()["operationId"]).status_code == 200


# --- one export, from its start to its end --------------------------------------------------


@pytest.fixture
def call(integrator: Integrator, platform: Platform) -> Call:
    """Calls an operation by its id; raises unless the answer is as described."""
    described: list[Any] = [result.ok() for result in DESCRIPTION.get_all_operations()]  # type: ignore[union-attr]
    operations = {one.definition.raw["operationId"]: one for one in described}

    def calls(name: str, *, scope: str | None = None, **parts: Any) -> Any:
        return answered(platform, integrator.token(scope), operations[name].Case(**parts))

    return calls


def ended(call: Call, operation_id: str) -> dict[str, Any]:
    """The operation when it has ended; every status on the way is as described."""

    def look() -> dict[str, Any] | None:
        reply = call("get_export_status", path_parameters={"operationId": operation_id})
        operation: dict[str, Any] = reply.json()
        assert ("retry-after" in reply.headers) is (operation["status"] in ACTIVE)
        return None if operation["status"] in ACTIVE else operation

    found = eventually(look, within=120, what="the operation has ended")
    assert found is not None
    return found


def test_an_export_is_as_described_from_its_start_to_its_deletion(call: Call) -> None:
    key = {"Idempotency-Key": f"described-{time.time_ns()}"}
    wanted = {"entity": "departments", "fileFormat": "csv"}
    started = call("start_full_export", body=wanted, headers=key)
    assert started.status_code == 202
    here = {"operationId": started.json()["operationId"]}
    again = call("start_full_export", body=wanted, headers=key)
    assert again.json()["operationId"] == here["operationId"]
    other = call("start_full_export", body={"fileFormat": "json"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    done = ended(call, here["operationId"])
    assert done["status"] == "succeeded"
    there = {"jobId": done["jobs"][0]["jobId"]}
    assert call("get_manifest", path_parameters=here).status_code == 200
    assert call("download_job", path_parameters=there).status_code == 303
    assert (
        call("list_operations", query={"pageSize": 1}).json()["operations"][0]["operationId"]
        == here["operationId"]
    )
    assert call("cancel_export", path_parameters=here).json()["status"] == "succeeded"
    refused = call("retry_export", path_parameters=here)
    assert (refused.status_code, refused.json()["code"]) == (409, "operation_not_retryable")

    assert call("delete_export", path_parameters=here).status_code == 204
    for name in ("get_export_status", "get_manifest", "retry_export", "delete_export"):
        assert call(name, path_parameters=here).status_code == 404
    assert call("download_job", path_parameters=there).status_code == 404


def test_an_export_that_is_cancelled_and_retried_is_as_described(call: Call) -> None:
    started = call("start_full_export", body={})
    assert started.status_code == 202
    here = {"operationId": started.json()["operationId"]}
    there = {"jobId": started.json()["jobs"][0]["jobId"]}
    blocked = call("start_full_export", body={})
    assert (blocked.status_code, blocked.json()["code"]) == (409, "operation_active")
    assert blocked.json()["blockingOperationId"] == here["operationId"]
    for name, code in (
        ("delete_export", "operation_running"),
        ("retry_export", "operation_not_retryable"),
        ("get_manifest", "operation_unfinished"),
    ):
        refused = call(name, path_parameters=here)
        assert (refused.status_code, refused.json()["code"]) == (409, code)

    assert call("cancel_export", path_parameters=here).json()["status"] == "cancelled"
    unfinished = call("download_job", path_parameters=there)
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "job_unfinished")
    retried = call("retry_export", path_parameters=here)
    assert (retried.status_code, retried.json()["attempt"]) == (202, 2)
    assert call("cancel_export", path_parameters=here).json()["status"] == "cancelled"
    assert call("delete_export", path_parameters=here).status_code == 204


def test_a_token_without_the_scope_is_refused_as_described(call: Call) -> None:
    scope = "youforce-data-api:metadata:read"
    for name in ("start_full_export", "list_operations"):
        reply = call(name, scope=scope)
        assert (reply.status_code, reply.json()["code"]) == (403, "insufficient_scope")
        assert reply.json()["requiredScope"] == "youforce-data-api:jobs:manage"
    assert call("get_metadata", scope=scope).status_code == 200
