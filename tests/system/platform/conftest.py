"""The running platform, and a stack of small things on it."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.home import Home

STACK = "platform-tests"


@dataclass(frozen=True)
class Scratch:
    """The stack's outputs, and clients of the platform that it is on."""

    outputs: dict[str, str]
    endpoint: str
    client: Callable[..., Any]

    @property
    def url(self) -> str:
        """Where the scratch API is."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['Api']}/test"

    def invoke(self, function: str, **event: object) -> tuple[str | None, Any]:
        """Call a function of the stack: its kind of error (or None), and its reply."""
        reply = self.client("lambda").invoke(
            FunctionName=self.outputs[function], Payload=json.dumps(event)
        )
        return reply.get("FunctionError"), json.loads(reply["Payload"].read())


def template() -> str:
    """The stack's template."""
    return Path(__file__).with_name("scratch.yaml").read_text()


@pytest.fixture(scope="session")
def aws() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The platform's address, and how to make a client of one of its services."""
    about = json.loads(Home.of(os.environ).outputs.read_text())
    endpoint: str = about["aws_endpoint_url"]
    connect: Callable[..., Any] = boto3.client

    def client(service: str, aws_access_key_id: str = "test") -> Any:
        return connect(
            service,
            endpoint_url=endpoint,
            region_name=about["region"],
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key="test",
        )

    yield endpoint, client


@pytest.fixture(scope="session")
def scratch(aws: tuple[str, Callable[..., Any]]) -> Iterator[Scratch]:
    """The stack, deployed once for all tests and removed after them."""
    endpoint, client = aws
    stacks = client("cloudformation")
    stacks.create_stack(StackName=STACK, TemplateBody=template(), Capabilities=["CAPABILITY_IAM"])
    try:
        waiter = stacks.get_waiter("stack_create_complete")
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        stack = stacks.describe_stacks(StackName=STACK)["Stacks"][0]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        yield Scratch(outputs, endpoint, client)
        bucket = boto3.resource(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).Bucket(outputs["Bucket"])
        bucket.objects.delete()
    finally:
        stacks.delete_stack(StackName=STACK)
        waiter = stacks.get_waiter("stack_delete_complete")
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
