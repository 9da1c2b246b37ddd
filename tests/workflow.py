"""Runs states of the workflow as Step Functions would, as far as the workflow uses its language."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from datasets import (
    build_data_set,
    end_data_set_process,
    fetch_payload,
    import_data_set,
    notify_data_set_process,
    pause_task_processing,
    resume_task_processing,
)
from exports import (
    complete_job,
    end_export,
    export_range,
    fail_job,
    hold_snapshot,
    plan_export,
    plan_job,
)
from headrace.kernel.errors import HeadraceError
from tests.world import ROOT

type Json = dict[str, Any]
type Machine = Mapping[str, Any]


class TaskError(Exception):
    """A task ended with an error of this name."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name, self.cause = name, cause


class Unhurried:
    """An invocation that has all its time left."""

    def get_remaining_time_in_millis(self) -> int:
        """Fifteen minutes."""
        return 900_000


def _handler(module: Any) -> Callable[[Any], Any]:
    def handle(event: Any) -> Any:
        try:
            return module.handler(event, Unhurried())
        except HeadraceError as error:
            raise TaskError(type(error).__name__, error.detail) from error

    return handle


HANDLERS: Mapping[str, Callable[[Any], Any]] = {
    "PlanExportFunctionArn": _handler(plan_export),
    "PlanJobFunctionArn": _handler(plan_job),
    "ExportRangeFunctionArn": _handler(export_range),
    "HoldSnapshotFunctionArn": _handler(hold_snapshot),
    "CompleteJobFunctionArn": _handler(complete_job),
    "FailJobFunctionArn": _handler(fail_job),
    "EndExportFunctionArn": _handler(end_export),
}
"""The functions of the tasks, by the names that ``definition`` leaves them."""

DATA_SET_HANDLERS: Mapping[str, Callable[[Any], Any]] = {
    "BuildDataSetFunctionArn": _handler(build_data_set),
    "EndDataSetProcessFunctionArn": _handler(end_data_set_process),
    "NotifyDataSetProcessFunctionArn": _handler(notify_data_set_process),
    "FetchPayloadFunctionArn": _handler(fetch_payload),
    "PauseTaskProcessingFunctionArn": _handler(pause_task_processing),
    "ImportDataSetFunctionArn": _handler(import_data_set),
    "ResumeTaskProcessingFunctionArn": _handler(resume_task_processing),
}
"""The same, of the workflow of data sets."""


def definition(name: str = "export") -> Json:
    """A workflow; numbers that the template puts in are 1, all else is the parameter's name."""
    text = (ROOT / "statemachines" / f"{name}.asl.json").read_text()
    text = re.sub(r"(?<!\")\$\{(\w+)\}(?![\w\":])", "1", text)
    loaded: Json = json.loads(re.sub(r"\$\{(\w+)\}", r"\1", text))
    return loaded


def machine_with(state: str) -> Machine:
    """The innermost machine of the workflow that has a state of this name."""
    return next(machine for machine in _machines(definition()) if state in machine["States"])


def _machines(value: Any) -> Iterator[Machine]:
    if isinstance(value, dict):
        if "StartAt" in value and "States" in value:
            yield value
        for inner in value.values():
            yield from _machines(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _machines(inner)


@dataclass
class Execution:
    """Runs a machine; ``tasks`` does what a resource is asked to, by the resource's name."""

    tasks: Mapping[str, Callable[[Any], Any]]
    wait_until: Callable[[str], None] | None = None
    _left: list[Future[Any]] = field(default_factory=list)

    def run(self, machine: Machine, value: Any) -> Any:
        """The output for this input, when no branch is at work any more.

        Raises TaskError where nothing catches it.
        """
        try:
            return self._run(machine, value)
        finally:
            wait(self._left)

    def _run(self, machine: Machine, value: Any) -> Any:
        name: str | None = machine["StartAt"]
        while name is not None:
            value, name = self._step(machine["States"][name], value)
        return value

    def _step(self, state: Json, value: Any) -> tuple[Any, str | None]:
        following = state.get("Next")
        match state["Type"]:
            case "Choice":
                for choice in state["Choices"]:
                    if _holds(choice, value):
                        return value, choice["Next"]
                return value, state["Default"]
            case "Pass":
                result = state.get("Result", value)
                return _placed(state, value, result), following
            case "Task" | "Map" | "Parallel" as kind:
                run = {"Task": self._task, "Map": self._map, "Parallel": self._parallel}[kind]
                try:
                    result = run(state, value)
                except TaskError as error:
                    [handler] = state.get("Catch") or [None]
                    if handler is None:
                        raise
                    caught = {"Error": error.name, "Cause": error.cause}
                    return _placed(handler, value, caught), handler["Next"]
                return _placed(state, value, result), following
            case "Wait":
                assert self.wait_until is not None
                self.wait_until(_at(state["TimestampPath"], value))
                return value, following
            case other:
                raise AssertionError(f"states of type {other} are not run here")

    def _task(self, state: Json, value: Any) -> Any:
        asked = _selected(state["Parameters"], value) if "Parameters" in state else value
        # What passes between states is JSON.
        result = json.loads(json.dumps(self.tasks[state["Resource"]](asked)))
        selector = state.get("ResultSelector")
        return result if selector is None else _selected(selector, result)

    def _map(self, state: Json, value: Any) -> list[Any]:
        selector = state.get("ItemSelector")
        return [
            self._run(
                state["ItemProcessor"],
                item if selector is None else _selected(selector, value, item),
            )
            for item in _at(state["ItemsPath"], value)
        ]

    def _parallel(self, state: Json, value: Any) -> list[Any]:
        """The branches side by side; the first that fails ends the state, and not the others' task.

        (On AWS no further state of the others starts. Here they end by themselves.)
        """
        pool = ThreadPoolExecutor(len(state["Branches"]))
        branches = [pool.submit(self._run, branch, value) for branch in state["Branches"]]
        pool.shutdown(wait=False)
        done, left = wait(branches, return_when=FIRST_EXCEPTION)
        self._left += left
        for branch in done:
            branch.result()
        return [branch.result() for branch in branches]


def _at(path: str, value: Any) -> Any:
    for name in path.removeprefix("$").split(".")[1:]:
        value = value[name]
    return value


def _selected(template: Any, value: Any, item: Any = None) -> Any:
    if not isinstance(template, dict):
        return template
    chosen = {}
    for name, what in template.items():
        if name.endswith(".$"):
            context = what == "$$.Map.Item.Value"
            chosen[name.removesuffix(".$")] = item if context else _at(what, value)
        else:
            chosen[name] = _selected(what, value, item)
    return chosen


def _placed(state: Json, value: Any, result: Any) -> Any:
    path = state.get("ResultPath", "$")
    if path is None:
        return value
    if path == "$":
        return result
    return {**value, path.removeprefix("$."): result}


def _holds(choice: Json, value: Any) -> bool:
    if "And" in choice:
        return all(_holds(inner, value) for inner in choice["And"])
    try:
        found = _at(choice["Variable"], value)
    except (KeyError, TypeError):
        # Without the presence being asked for, Step Functions fails here as well.
        assert "IsPresent" in choice, choice
        return not choice["IsPresent"]
    if "IsPresent" in choice:
        return bool(choice["IsPresent"])
    [wanted] = [choice[test] for test in ("StringEquals", "BooleanEquals") if test in choice]
    return bool(found == wanted)
