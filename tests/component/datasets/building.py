"""A source environment over a real database, whose processes run as the workflow says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from headrace.datasets.model import Process
from headrace.datasets.notices import Notice
from headrace.kernel.clock import from_rfc3339
from headrace.runtime import datasets
from tests.builders import SteppingClock
from tests.component.datasets.environment import BUCKET, TENANT, Answered, Deployed
from tests.component.datasets.registry import Registry
from tests.workflow import DATA_SET_HANDLERS, Execution, definition

FULL = ("datasetoperation:createandexport",)
ALL = {"items": [{"tableId": 3}]}


@dataclass
class KeptRuns:
    """``Runs`` that wait until a test runs them. ``states``: whether each execution runs."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, bool] = field(default_factory=dict)
    failure: Exception | None = None

    def start(self, process: Process) -> None:
        """Raises the failure if there is one."""
        if self.failure is not None:
            raise self.failure
        self._start(process.execution_name, process.tenant, process.process_id, process.kind, 1)

    def is_running(self, process: Process) -> bool | None:
        """See the port."""
        return self.states.get(process.execution_name)

    def start_notice(self, notice: Notice) -> None:
        """See the port."""
        name = f"{notice.process_id}-notice-{notice.run}"
        self._start(name, notice.tenant, notice.process_id, "notice", notice.run)

    def notice_is_running(self, notice: Notice) -> bool:
        """See the port."""
        names = (f"{notice.process_id}-notice-{notice.run}", f"{notice.process_id}-1")
        return any(self.states.get(name, False) for name in names)

    def _start(self, name: str, tenant: str, process_id: str, kind: str, run: int) -> None:
        if name not in self.states:
            self.states[name] = True
            given = {"tenant": tenant, "process_id": process_id, "kind": str(kind), "run": run}
            self.waiting.append({"name": name, "given": given})


@dataclass
class SourceSide:
    """An environment that data sets are built in."""

    deployed: Deployed
    registry: Registry
    runs: KeptRuns
    clock: SteppingClock

    def create(self, code: str = "all", body: Mapping[str, Any] = ALL, **more: Any) -> Answered:
        """PUT …/dataset."""
        path = {"dataSetDefinitionCode": more.pop("definition", "PROVIDERS")}
        return self.deployed.call("create_data_set", "PUT", path, {"code": code, **body}, **more)

    def create_and_build(
        self, code: str = "full", body: Mapping[str, Any] | None = None, **more: Any
    ) -> Answered:
        """POST createandexport."""
        path = {"dataSetDefinitionCode": more.pop("definition", "PROVIDERS")}
        given = {"code": code, **(body or {})}
        more.setdefault("scopes", FULL)
        return self.deployed.call("create_and_build", "POST", path, given, **more)

    def rebuild(self, data_set_id: str, body: Mapping[str, Any], **more: Any) -> Answered:
        """PATCH createandexport."""
        more.setdefault("scopes", FULL)
        path = {"dataSetId": data_set_id}
        return self.deployed.call("rebuild_data_set", "PATCH", path, dict(body), **more)

    def build(
        self, code: str = "all", body: Mapping[str, Any] | None = None, **more: Any
    ) -> Answered:
        """POST export."""
        path = {"dataSetDefinitionCode": more.pop("definition", "PROVIDERS"), "dataSetCode": code}
        return self.deployed.call("start_build", "POST", path, dict(body or {}), **more)

    def payload(self, code: str = "all", **more: Any) -> Answered:
        """GET export."""
        path = {"dataSetDefinitionCode": more.pop("definition", "PROVIDERS"), "dataSetCode": code}
        return self.deployed.call("get_payload", "GET", path, **more)

    def process(self, process_id: str, **more: Any) -> Answered:
        """GET …/datasetprocesses/{id}."""
        path = {"dataSetProcessId": process_id}
        return self.deployed.call("get_data_set_process", "GET", path, **more)

    def messages(self, process_id: str, **query: str) -> Answered:
        """GET …/messages."""
        return self.deployed.call(
            "list_data_set_messages",
            "GET",
            {"dataSetProcessId": process_id},
            multiValueQueryStringParameters={name: [value] for name, value in query.items()},
        )

    def run(self, tasks: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        """Runs all executions that were started, to their ends."""
        execution = Execution({**DATA_SET_HANDLERS, **(tasks or {})}, self._wait)
        machine = definition("datasets")
        while self.runs.waiting:
            started = self.runs.waiting.pop(0)
            execution.run(machine, started["given"])
            self.runs.states[started["name"]] = False

    def built(self, code: str = "all", **body: Any) -> dict[str, Any]:
        """The process of a build, when it has ended."""
        started = self.build(code, body)
        assert started.status == 201, started.body
        self.run()
        ended: dict[str, Any] = self.process(started.json["id"]).json
        return ended

    def stored(self) -> dict[str, bytes]:
        """All that is in storage."""
        s3 = boto3.client("s3")
        listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            one["Key"]: s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            for one in listed
        }

    def set_property(self, name: str, value: str) -> None:
        """POST …/properties."""
        body = {"name": name, "value": value}
        assert self.deployed.call("set_property", "POST", body=body).status in (200, 201)

    def _wait(self, moment: str) -> None:
        """Until then, by the clock."""
        self.clock.moment = max(self.clock.moment, from_rfc3339(moment))


def a_source_side(
    deployed: Deployed, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> SourceSide:
    """With the registry as the application of ``TENANT``."""
    assert registry.application.tenant == TENANT
    deployed.publish(registry.application)
    runs, clock = KeptRuns(), SteppingClock()
    monkeypatch.setattr(datasets, "runs", lambda: runs)
    monkeypatch.setattr(datasets, "clock", lambda: clock)
    return SourceSide(deployed, registry, runs, clock)
