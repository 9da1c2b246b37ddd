"""The API gateway of the platform refuses, renames and answers as AWS's does."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.system.platform.conftest import STACK, Scratch, template

pytestmark = pytest.mark.system

GOOD = {"Authorization": "Bearer good"}


def test_a_denial_is_answered_by_its_gateway_response_with_what_the_authorizer_said(
    scratch: Scratch,
) -> None:
    reply = httpx.get(f"{scratch.url}/guarded")
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    body = reply.json()
    assert body["code"] == "invalid_token"
    assert "not authorized" in body["said"]
    assert body["request"] == body["authorized"] == reply.headers["X-Correlation-Id"]


def test_authorizer_function_and_reply_share_one_request_id(scratch: Scratch) -> None:
    reply = httpx.get(f"{scratch.url}/guarded", headers=GOOD)
    context = reply.json()["context"]
    assert reply.status_code == 200
    assert context["authorizer"]["request"] == context["requestId"]
    assert reply.headers.get_list("x-amzn-requestid") == [context["requestId"]]


def test_a_challenge_set_by_a_function_is_renamed(scratch: Scratch) -> None:
    reply = httpx.get(f"{scratch.url}/guarded", headers=GOOD)
    assert "WWW-Authenticate" not in reply.headers
    assert reply.headers["x-amzn-Remapped-WWW-Authenticate"] == "Basic"
    assert reply.headers["X-Mine"] == "kept"


def test_a_function_s_failure_is_a_502_without_its_words(scratch: Scratch) -> None:
    reply = httpx.get(f"{scratch.url}/fails")
    assert reply.status_code == 502
    assert reply.json()["code"] == "internal"
    assert "secret" not in reply.text


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_any_method_reaches_a_route_of_any_method(scratch: Scratch, method: str) -> None:
    reply = httpx.request(method, f"{scratch.url}/some/where")
    assert reply.status_code == 200
    assert reply.json()["method"] == method


def test_fifty_calls_at_once_are_all_answered(scratch: Scratch) -> None:
    with ThreadPoolExecutor(50) as pool:
        replies = pool.map(
            lambda _: httpx.get(f"{scratch.url}/guarded", headers=GOOD, timeout=60), range(50)
        )
        assert Counter(reply.status_code for reply in replies) == {200: 50}


def test_a_changed_definition_is_served_under_the_same_address(scratch: Scratch) -> None:
    stacks = scratch.client("cloudformation")
    stacks.update_stack(
        StackName=STACK,
        TemplateBody=template().replace("  Deployment:\n", "  SecondDeployment:\n"),
        Parameters=[{"ParameterKey": "ApiNote", "ParameterValue": "second"}],
        Capabilities=["CAPABILITY_IAM"],
    )
    waiter = stacks.get_waiter("stack_update_complete")
    waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert httpx.get(f"{scratch.url}/fails").json()["note"] == "second"
    assert httpx.get(f"{scratch.url}/guarded", headers=GOOD).status_code == 200
