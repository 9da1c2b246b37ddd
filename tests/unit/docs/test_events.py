"""The sample events: one per function of the template, each as its handler expects it."""

import json
import re
from dataclasses import replace
from importlib import import_module
from typing import Any
from unittest.mock import Mock

import pytest

from headrace.adapters.lambdas.readings import LambdaReadings
from headrace.adapters.stepfunctions.data_set_runs import StepFunctionsRuns
from headrace.adapters.stepfunctions.executions import Executions
from headrace.adapters.stepfunctions.workflows import StepFunctionsDeliveries
from headrace.datasets.model import Result
from headrace.datasets.running import Ran
from headrace.exports.extraction import Attempt
from headrace.exports.holding import Ending
from headrace.exports.model import Failure, Status
from headrace.exports.planning import PlannedExport, PlannedJob
from headrace.exports.webhooks import Delivery
from headrace.identity.authorizing import Allowed, Presented
from headrace.kernel.caller import Caller
from headrace.kernel.ids import JOB_ID, OPERATION_ID
from headrace.runtime import datasets, imports, templates, wiring
from headrace.runtime.api import Call, Endpoint
from headrace.runtime.authorizer import Authorizer
from headrace.runtime.task import Task, TimedTask
from headrace.templates.model import Reader
from tests.builders import NOON, a_completion, a_notice, a_process, a_walk, an_export
from tests.unit.docs.checkout import ROOT, functions, snake_case, template

EVENTS = ROOT / "events"


def event_of(name: str) -> dict[str, Any]:
    """The sample event of a function."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def handler_of(logical_id: str) -> Any:
    """The very handler that the template names."""
    module, _, attribute = functions()[logical_id]["Handler"].rpartition(".")
    return getattr(import_module(module), attribute)


def of_kind(kind: type) -> list[str]:
    """The functions whose handlers are of this kind."""
    return sorted(name for name in functions() if isinstance(handler_of(name), kind))


ENDPOINTS, AUTHORIZERS = of_kind(Endpoint), of_kind(Authorizer)
ALL_TASKS = [*of_kind(Task), *of_kind(TimedTask)]
TASKS = [name for name in ALL_TASKS if "operation_id" in event_of(snake_case(name))]
TEMPLATE_TASKS = [name for name in ALL_TASKS if "walk_id" in event_of(snake_case(name))]
DATA_SET_TASKS = [name for name in ALL_TASKS if name not in {*TASKS, *TEMPLATE_TASKS}]


def test_every_function_has_an_event_and_no_event_is_left_over() -> None:
    wanted = {snake_case(name) for name in functions()}
    assert {path.stem for path in EVENTS.glob("*.json")} == wanted


def test_every_function_is_of_a_kind_that_is_tested_here() -> None:
    assert set(functions()) - {*ENDPOINTS, *ALL_TASKS, *AUTHORIZERS} == {
        "RunSchedules",
        "Sweep",
        "SweepDataSets",
        "WatchSources",
    }


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_reads_its_event_as_a_valid_call(name: str) -> None:
    event, endpoint = event_of(snake_case(name)), handler_of(name)
    call = endpoint.call(event)
    assert isinstance(call, Call)
    assert (call.caller is not None) == (endpoint.route.scope is not None)
    assert (endpoint.route.body is None) == (call.body is None)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoints_event_comes_by_a_route_of_the_template(name: str) -> None:
    event = event_of(snake_case(name))
    routes = {
        (one["Properties"]["Method"].upper(), one["Properties"]["Path"])
        for one in functions()[name]["Events"].values()
    }
    method, resource = event["httpMethod"], event["resource"]
    assert {(method, resource), ("ANY", resource)} & routes
    assert event["requestContext"]["resourcePath"] == resource
    assert event["requestContext"]["httpMethod"] == method
    stage = event["requestContext"]["stage"]
    assert event["requestContext"]["path"] == f"/{stage}{event['path']}"


@pytest.mark.parametrize("name", [*ENDPOINTS, *AUTHORIZERS])
def test_the_path_holds_what_the_path_parameters_say(name: str) -> None:
    event = event_of(snake_case(name))
    filled = event["resource"]
    for parameter, value in (event["pathParameters"] or {}).items():
        filled = re.sub(rf"{{{parameter}\+?}}", value, filled)
    assert event["path"] == filled
    ids = event["pathParameters"] or {}
    assert OPERATION_ID.fullmatch(ids.get("operationId", "0" * 26))
    assert JOB_ID.fullmatch(ids.get("jobId", "0" * 26 + "-0001"))


def test_the_authorizer_finds_the_credentials_and_the_address_in_its_event() -> None:
    event, seen = event_of("authorize"), list[Presented]()

    def judge(presented: Presented) -> Allowed:
        seen.append(presented)
        return Allowed(Caller("northwind-care", "payroll-bureau", frozenset()))

    answer = Authorizer(lambda _: judge)(event, None)  # type: ignore[arg-type,return-value]
    assert len(seen[0].authorization) == 1
    assert seen[0].authorization[0].startswith("Bearer ")
    assert seen[0].source_ip == event["requestContext"]["identity"]["sourceIp"]
    [statement] = answer["policyDocument"]["Statement"]
    assert event["methodArn"].startswith(statement["Resource"].removesuffix("*"))


@pytest.mark.parametrize("name", TASKS)
def test_a_task_hands_its_event_to_its_use_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event = event_of(snake_case(name))
    job_id = event.get("job_id", "")
    answers: dict[str, Any] = {
        "plan_export": PlannedExport((f"{event['operation_id']}-0001",), hold=False),
        "plan_job": PlannedJob(1, 3, hold=False),
        "hold_snapshot": Ending.READ,
        "export_range": False,
        "complete_job": True,
        "fail_job": False,
        "end_export": replace(an_export(), status=Status.SUCCEEDED),
        "deliver_webhook": Delivery("north", "bureau", "hooks", a_completion()),
    }
    told: list[Any] = []

    def use_case(*values: Any, **options: Any) -> Any:
        told.extend((*values, *options.values()))
        return answers[snake_case(name)]

    monkeypatch.setattr(wiring, "plan_unload", lambda: lambda *_: None)
    monkeypatch.setattr(wiring, snake_case(name), lambda: use_case)
    assert handler_of(name)(event, None)["outcome"] == "done"
    assert told[0] == Attempt("northwind-care", "payroll-bureau", event["operation_id"], 1)
    assert OPERATION_ID.fullmatch(event["operation_id"])
    if job_id:
        assert told[1] == job_id
        assert job_id.startswith(event["operation_id"])
        assert JOB_ID.fullmatch(job_id)
    if "error" in event:
        assert told[-1] == Failure(
            "source_unavailable", "The source could not be read; retry the operation later."
        )


@pytest.mark.parametrize("name", DATA_SET_TASKS)
def test_a_task_of_data_sets_hands_its_event_to_its_use_case(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, told = event_of(snake_case(name)), list[Any]()
    answers: dict[str, Any] = {
        "build_data_set": Ran(Result.SUCCESS),
        "end_data_set_process": a_process().ended(Result.SUCCESS, NOON, {}),
        "notify_data_set_process": a_notice(),
        "fetch_payload": Ran(None),
        "pause_task_processing": Ran(None),
        "import_data_set": Ran(Result.SUCCESS),
        "resume_task_processing": None,
    }

    def use_case(*values: Any, **options: Any) -> Any:
        told.extend((*values, *options.values()))
        return answers[snake_case(name)]

    root = datasets if hasattr(datasets, snake_case(name)) else imports
    monkeypatch.setattr(root, snake_case(name), lambda: use_case)
    assert handler_of(name)(event, Mock())["outcome"] == "done"
    assert told[:2] == [event["tenant"], event["process_id"]]
    assert OPERATION_ID.fullmatch(event["process_id"])


@pytest.mark.parametrize("name", TEMPLATE_TASKS)
def test_a_task_of_templates_hands_its_event_to_its_use_case(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, told = event_of(snake_case(name)), list[Any]()

    def use_case(*values: Any) -> str:
        told.extend(values)
        return "source_unavailable"

    monkeypatch.setattr(templates, snake_case(name), lambda: use_case)
    assert handler_of(name)(event, Mock()) == {"outcome": "done", "failure": "source_unavailable"}
    assert told[:2] == [Reader(event["tenant"], event["reader"]), event["walk_id"]]


def test_a_reading_is_begun_with_just_what_the_event_holds() -> None:
    client = Mock()
    LambdaReadings(client, "reader").start(a_walk())
    asked = client.invoke.call_args.kwargs
    assert (asked["FunctionName"], asked["InvocationType"]) == ("reader", "Event")
    assert set(json.loads(asked["Payload"])) == set(event_of("read_template_rows"))


def test_a_process_is_begun_with_just_what_the_event_holds() -> None:
    client = Mock()
    runs = StepFunctionsRuns(Executions(client, "arn:stateMachine:datasets"))
    runs.start(a_process())
    begun = json.loads(client.start_execution.call_args.kwargs["input"])
    runs.start_notice(a_notice())
    noticed = json.loads(client.start_execution.call_args.kwargs["input"])
    assert set(begun) == set(noticed) == set(event_of("build_data_set"))


def test_the_workflow_passes_on_just_what_the_events_hold() -> None:
    text = (ROOT / "statemachines" / "export.asl.json").read_text()
    workflow = json.loads(re.sub(r"\$\{[A-Za-z]*(Seconds|Concurrency)\}", "1", text))
    hold_operation, jobs = _branches(workflow["States"]["Export"])
    job = jobs["Jobs"]["ItemProcessor"]["States"]
    hold_job, ranges = _branches(job["Read"])

    def names(selected: dict[str, str]) -> set[str]:
        return {name.removesuffix(".$") for name in selected}

    assert names(ranges["Ranges"]["ItemSelector"]) == set(event_of("export_range"))
    assert names(hold_job["HoldJob"]["Parameters"]) == set(event_of("hold_snapshot"))
    assert names(hold_operation["HoldOperation"]["Parameters"]) == set(
        event_of("hold_snapshot")
    ) - {"job_id", "job_attempt"}
    assert names(job["CompleteJob"]["Parameters"]) == set(event_of("complete_job"))


def test_a_delivery_is_begun_with_just_what_the_event_holds() -> None:
    client = Mock()
    runs = StepFunctionsDeliveries(Executions(client, "arn:stateMachine:delivery"))
    runs.start(Delivery("north", "bureau", "hooks", a_completion()))
    given = json.loads(client.start_execution.call_args.kwargs["input"])
    assert set(given) == set(event_of("deliver_webhook"))


def _branches(parallel: dict[str, Any]) -> list[dict[str, Any]]:
    return [branch["States"] for branch in parallel["Branches"]]


@pytest.mark.parametrize("name", ["RunSchedules", "Sweep", "SweepDataSets", "WatchSources"])
def test_a_scheduled_event_is_what_the_scheduler_sends_without_an_input(name: str) -> None:
    event = event_of(snake_case(name))
    [schedule] = functions()[name]["Events"].values()
    assert schedule["Type"] == "ScheduleV2"
    assert "Input" not in schedule["Properties"]
    assert (event["source"], event["detail-type"]) == ("aws.scheduler", "Scheduled Event")


def test_the_events_name_a_configuration_of_the_sample_catalog() -> None:
    text = (ROOT / "catalog" / "configurations.yaml").read_text()
    asked = json.loads(event_of("start_full_export")["body"])["configurationId"]
    assert re.search(rf"^  - id: {asked}\n    client: payroll-bureau\n", text, re.MULTILINE)
    assert (
        template()["Parameters"]["ScopePrefix"]["Default"]
        in (event_of("get_metadata")["requestContext"]["authorizer"]["scopes"])
    )
