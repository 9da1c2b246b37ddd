"""Reading what the service tells of data sets, and what is remembered of a start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from headrace_client import (
    AccessDenied,
    Change,
    ChangeKind,
    DataSets,
    NetworkError,
    NotFound,
    Process,
    ProcessUnsuccessful,
    ProtocolError,
    Result,
    Run,
)
from headrace_client.datasets.run import Begun, ProcessBegun


def a_process(**members: Any) -> dict[str, Any]:
    return {
        "id": "p-1",
        "type": "import",
        "dataSetDefinitionCode": "PROVIDERS",
        "dataSetCode": "",
        "startDateTime": "2026-11-26T07:00:00Z",
        "endDateTime": None,
        "result": None,
        "progress": {"done": 3, "total": 12},
        "outcome": {},
    } | members


@pytest.mark.parametrize(
    ("members", "percent"),
    [
        ({}, 25.0),
        ({"progress": {"done": 3, "total": None}}, None),
        ({"progress": {"done": 0, "total": 0}}, None),
        ({"progress": {"done": 30, "total": 12}}, 100.0),
        ({"result": "S", "progress": {"done": 0, "total": None}}, 100.0),
    ],
    ids=["a-quarter", "unknown", "none", "more-than-all", "ended"],
)
def test_how_far_a_process_is(members: dict[str, Any], percent: float | None) -> None:
    assert Process.from_json(a_process(**members)).percent == percent


def test_counts_that_are_not_told_are_none() -> None:
    outcome = {"counts": {"added": 1, "failedItems": 2}}
    counts = Process.from_json(a_process(outcome=outcome)).counts
    assert counts is not None
    assert (counts.added, counts.changed, counts.failed_items) == (1, 0, 2)


@pytest.mark.parametrize(
    "members",
    [{"id": None}, {"result": "X"}, {"progress": {"done": "3"}}, {"startDateTime": "today"}],
    ids=["no-id", "another-result", "text-for-a-number", "no-time"],
)
def test_a_process_without_what_is_relied_on_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Process.from_json(a_process(**members))


def test_a_change_has_old_and_new_values() -> None:
    values = {"name": {"old": "A", "new": "B"}, "code": {"new": "C"}}
    held = {"change": "changed", "table": "T", "uuid": "u", "key": ["K", None], "values": values}
    change = Change.from_json(held)
    assert change.kind is ChangeKind.CHANGED
    assert change.key == ("K", None)
    assert (change.values["name"].old, change.values["name"].new) == ("A", "B")
    assert change.values["code"].old is None
    with pytest.raises(ProtocolError):
        Change.from_json(held | {"change": "moved"})


class Processes:
    """Processes that end at the next look, unless they are said to go on."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.results: dict[str, Result | None] = {}
        self.refusal: Exception | None = None

    def start(self, record: Begun, uploaded: Callable[[str], None]) -> Process:
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        process_id = self.keys.setdefault(record.idempotency_key, f"p-{len(self.keys) + 1}")
        self.results.setdefault(process_id, None)
        return self.process(process_id)

    def process(self, process_id: str) -> Process:
        if process_id not in self.results:
            raise NotFound(404, "not_found", "There is no such process.")
        return Process.from_json(a_process(id=process_id, result=self.results[process_id]))

    def wait(self, process_id: str, **options: Any) -> Process:
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        self.results[process_id] = Result.SUCCESS
        return self.process(process_id)

    def messages(self, process_id: str) -> list[Any]:
        return []


def a_run(processes: Processes, folder: Path, told: list[Any]) -> Run:
    return Run(cast("DataSets", processes), told.append, folder)


def begun(told: list[Any]) -> list[tuple[str, str]]:
    return [(it.process.process_id, it.how) for it in told if isinstance(it, ProcessBegun)]


def test_a_start_whose_wait_was_cut_off_is_gone_on_with_and_then_forgotten(
    tmp_path: Path,
) -> None:
    processes, told = Processes(), list[Any]()
    run = a_run(processes, tmp_path, told)

    def cut_off(record: Begun, uploaded: Callable[[str], None]) -> Process:
        process = processes.start(record, uploaded)
        processes.refusal = NetworkError("no answer")
        return process

    with pytest.raises(NetworkError):
        run(["build", "A"], cut_off)
    assert len(list(tmp_path.iterdir())) == 1
    run(["build", "A"], processes.start)
    run(["build", "A"], processes.start)

    assert begun(told) == [("p-1", "started"), ("p-1", "resumed"), ("p-2", "started")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("once", [True, False])
def test_what_ended_meanwhile_is_told_if_it_cannot_be_done_again_and_else_done_again(
    once: bool, tmp_path: Path
) -> None:
    processes, told = Processes(), list[Any]()
    run = a_run(processes, tmp_path, told)

    def cut_off(record: Begun, uploaded: Callable[[str], None]) -> Process:
        process = processes.start(record, uploaded)
        processes.refusal = NetworkError("no answer")
        return process

    with pytest.raises(NetworkError):
        run(["undo", "A"], cut_off, once=once)
    processes.results["p-1"] = Result.SUCCESS
    ended = run(["undo", "A"], processes.start, once=once)

    assert (ended.process.process_id, ended.how) == (
        ("p-1", "resumed") if once else ("p-2", "started")
    )
    assert list(tmp_path.iterdir()) == []


def test_other_values_are_another_start(tmp_path: Path) -> None:
    processes, told = Processes(), list[Any]()
    run = a_run(processes, tmp_path, told)
    processes.refusal = NetworkError("no answer")
    with pytest.raises(NetworkError):
        run(["build", "A"], processes.start)
    run(["build", "B"], processes.start)
    run(["build", "A"], processes.start)
    assert begun(told) == [("p-1", "started"), ("p-2", "resumed")]


def test_what_was_refused_was_not_begun(tmp_path: Path) -> None:
    processes, told = Processes(), list[Any]()
    processes.refusal = AccessDenied(403, "insufficient_scope", "No.")
    with pytest.raises(AccessDenied):
        a_run(processes, tmp_path, told)(["build", "A"], processes.start)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gone", ["process", "upload", "key"])
def test_where_what_was_begun_is_gone_it_begins_anew(gone: str, tmp_path: Path) -> None:
    processes, told = Processes(), list[Any]()
    run = a_run(processes, tmp_path, told)

    def cut_off(record: Begun, uploaded: Callable[[str], None]) -> Process:
        uploaded("upload-1")
        process = processes.start(record, uploaded)
        processes.refusal = NetworkError("no answer")
        return process

    with pytest.raises(NetworkError):
        run(["import", "A"], cut_off)
    record = json.loads(next(tmp_path.iterdir()).read_text("utf-8"))
    assert record["upload_id"] == "upload-1"
    if gone == "process":
        processes.keys.clear()
        processes.results.clear()
        processes.keys[record["idempotency_key"]] = "p-0"

        def start(record: Begun, uploaded: Callable[[str], None]) -> Process:
            if processes.keys.get(record.idempotency_key) == "p-0":
                return Process.from_json(a_process(id="p-0"))
            return processes.start(record, uploaded)

    else:
        code = "not_found" if gone == "upload" else "idempotency_key_reused"
        kind = NotFound if gone == "upload" else AccessDenied
        processes.refusal = kind(404, code, "It is gone.")
        start = processes.start

    run(["import", "A"], start)

    assert begun(told)[-1] == ("p-2", "started")


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    processes, told = Processes(), list[Any]()
    run = a_run(processes, tmp_path, told)
    processes.refusal = NetworkError("no answer")
    with pytest.raises(NetworkError):
        run(["build", "A"], processes.start)
    for damaged in ("", "[]", '{"other": 1}'):
        next(tmp_path.iterdir()).write_text(damaged, "utf-8")
        processes.refusal = NetworkError("no answer")
        with pytest.raises(NetworkError):
            run(["build", "A"], processes.start)
    run(["build", "A"], processes.start)
    assert begun(told) == [("p-1", "resumed")]


def test_a_failure_says_how_many_items_were_refused_or_the_first_fatal_message(
    tmp_path: Path,
) -> None:
    processes, told = Processes(), list[Any]()
    ended = a_run(processes, tmp_path, told)(["undo", "A"], processes.start)
    ended.demand_success()
    outcome = {"counts": {"failedItems": 1}}
    refused = Process.from_json(a_process(result="F", outcome=outcome))
    with pytest.raises(ProcessUnsuccessful, match=r"p-1 failed: 1 item was refused\."):
        type(ended)(refused, "started", ()).demand_success()
    with pytest.raises(ProcessUnsuccessful, match=r"The import p-1 failed\."):
        type(ended)(Process.from_json(a_process(result="F")), "started", ()).demand_success()
