"""Workflows on the platform start once, retry, catch and stop as Step Functions does."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.platform.conftest import Scratch

pytestmark = pytest.mark.system


def _definition(task: str, **extra: object) -> dict[str, object]:
    work = {
        "Type": "Task",
        "Resource": task,
        "TimeoutSeconds": 4,
        "Retry": [
            {
                "ErrorEquals": ["Runtime.ExitError"],
                "IntervalSeconds": 1,
                "MaxAttempts": 1,
                "MaxDelaySeconds": 1,
                "JitterStrategy": "FULL",
            }
        ],
        "Catch": [
            {"ErrorEquals": ["Refused"], "ResultPath": "$.refused", "Next": "Refused"},
            {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Failed"},
        ],
        "End": True,
    }
    each = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ToleratedFailurePercentage": 100,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Work",
            "States": {
                "Work": work,
                "Refused": {"Type": "Pass", "End": True},
                "Failed": {"Type": "Pass", "End": True},
            },
        },
        "End": True,
    }
    return {"StartAt": "Each", "States": {"Each": each}, **extra}


class Workflow:
    """One state machine of the tests."""

    def __init__(self, scratch: Scratch, arn: str) -> None:
        self.states = scratch.client("stepfunctions")
        self.arn = arn

    def start(self, items: list[dict[str, object]], name: str | None = None) -> str:
        """Start an execution; its ARN."""
        named = {"name": name} if name else {}
        started: dict[str, str] = self.states.start_execution(
            stateMachineArn=self.arn, input=json.dumps({"items": items}), **named
        )
        return started["executionArn"]

    def ended(self, execution: str) -> dict[str, Any]:
        """The execution, once it is over."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            held: dict[str, Any] = self.states.describe_execution(executionArn=execution)
            if held["status"] != "RUNNING":
                return held
            time.sleep(0.05)
        raise AssertionError(f"{execution} does not end")

    def items(self, execution: str) -> dict[str, int]:
        """How many items of the execution's Map came to what."""
        runs = self.states.list_map_runs(executionArn=execution)["mapRuns"]
        run = self.states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
        counts: dict[str, int] = run["itemCounts"]
        return counts


def _create(scratch: Scratch, name: str, **extra: object) -> Workflow:
    made = scratch.client("stepfunctions").create_state_machine(
        name=name,
        roleArn=scratch.outputs["Role"],
        definition=json.dumps(_definition(scratch.outputs["TaskArn"], **extra)),
    )
    return Workflow(scratch, made["stateMachineArn"])


@pytest.fixture(scope="module")
def workflow(scratch: Scratch) -> Iterator[Workflow]:
    made = _create(scratch, "platform-tests")
    yield made
    made.states.delete_state_machine(stateMachineArn=made.arn)


def test_each_item_s_error_is_caught_by_its_name(workflow: Workflow) -> None:
    ended = workflow.ended(
        workflow.start(
            [{}, {"do": "raise", "why": "x"}, {"do": "exit"}, {"do": "sleep", "seconds": 9}]
        )
    )
    assert ended["status"] == "SUCCEEDED"
    fine, refused, exited, late = json.loads(ended["output"])
    assert "pid" in fine
    assert refused["refused"]["Error"] == "Refused"
    assert json.loads(refused["refused"]["Cause"])["errorMessage"] == "no, x"
    assert exited["failed"]["Error"] == "Runtime.ExitError"
    assert late["failed"]["Error"] == "Sandbox.Timedout"


def test_starting_again_with_the_same_name_and_input_is_the_same_start(workflow: Workflow) -> None:
    sleep: list[dict[str, object]] = [{"do": "sleep", "seconds": 1}]
    name = f"once-{time.time_ns()}"
    first = workflow.start(sleep, name)
    assert workflow.start(sleep, name) == first
    with pytest.raises(workflow.states.exceptions.ExecutionAlreadyExists):
        workflow.start([{"do": "sleep", "seconds": 0}], name)
    workflow.ended(first)
    assert workflow.items(first)["total"] == 1
    with pytest.raises(workflow.states.exceptions.ExecutionAlreadyExists):
        workflow.start(sleep, name)


def test_a_stopped_execution_starts_no_further_item_and_stays_stopped(workflow: Workflow) -> None:
    execution = workflow.start([{"do": "sleep", "seconds": 1} for _ in range(10)])
    time.sleep(0.8)  # the first two items are at work
    workflow.states.stop_execution(executionArn=execution, cause="enough")
    deadline = time.monotonic() + 10
    while workflow.items(execution)["running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workflow.items(execution)["running"] == 0
    assert workflow.items(execution)["succeeded"] <= 4
    assert workflow.ended(execution)["status"] == "ABORTED"


def test_an_execution_that_takes_too_long_times_out(scratch: Scratch) -> None:
    workflow = _create(scratch, "platform-tests-short", TimeoutSeconds=1)
    ended = workflow.ended(workflow.start([{"do": "sleep", "seconds": 2}]))
    assert (ended["status"], ended["error"]) == ("TIMED_OUT", "States.Timeout")
    workflow.states.delete_state_machine(stateMachineArn=workflow.arn)
