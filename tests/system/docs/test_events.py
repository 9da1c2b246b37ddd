"""The sample events, handed to the deployed functions: each is understood."""

import json
import os
import re
from typing import Any

import boto3
import pytest

from local.home import CHECKOUT, Home

EVENTS = sorted((CHECKOUT / "events").glob("*.json"))


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    """What the running platform says of itself."""
    loaded: dict[str, Any] = json.loads(Home.of(os.environ).outputs.read_text())
    return loaded


@pytest.fixture(scope="module")
def functions(about: dict[str, Any]) -> dict[str, str]:
    """The deployed functions, by the names that their events have."""
    cloudformation = client("cloudformation", about)
    found = {}
    for page in cloudformation.get_paginator("list_stack_resources").paginate(
        StackName=about["stack"]
    ):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == "AWS::Lambda::Function":
                logical_id = resource["LogicalResourceId"]
                name = re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id).lower()
                found[name] = resource["PhysicalResourceId"]
    return found


def client(service: str, about: dict[str, Any]) -> Any:
    """A client of the platform, as the account's owner."""
    connect: Any = boto3.client
    return connect(
        service,
        endpoint_url=about["aws_endpoint_url"],
        region_name=about["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_every_deployed_function_has_an_event(functions: dict[str, str]) -> None:
    assert {path.stem for path in EVENTS} == set(functions)


OTHERWISE = {
    "exchange_refresh_token": 400,
    "show_credential": 410,
    "take_credential": 410,
    "import_from_environment": 422,
    "prepare_upload": 201,
    "set_credential": 204,
    "set_property": 201,
}
"""What those say whose event carries a refresh token or a link that is nobody's, names an
environment that is not registered, or needs no operation."""


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_the_function_understands_its_event(
    path: Any, about: dict[str, Any], functions: dict[str, str]
) -> None:
    event = json.loads(path.read_text())
    facts = event.get("requestContext", {}).get("authorizer")
    if path.stem in ("start_full_export", "start_incremental_export"):
        facts["client_id"] = "nobody"  # so that no operation of a sample client's begins
    reply = client("lambda", about).invoke(
        FunctionName=functions[path.stem], Payload=json.dumps(event).encode()
    )
    answer = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    if "httpMethod" in event and "methodArn" not in event:
        # The operation of the events is nobody's, and the secret is none.
        assert answer["statusCode"] in (200, 204, 401, 404, 405, OTHERWISE.get(path.stem)), answer
        assert answer["headers"]["X-Correlation-Id"] == event["requestContext"]["requestId"]
    elif "operation_id" in event or "process_id" in event:
        # Of a process that is nobody's nothing was paused, so all is as if it had been resumed.
        outcome = "done" if path.stem == "resume_task_processing" else "void"
        assert answer == {"outcome": outcome}
