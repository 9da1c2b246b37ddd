"""What callers do with imports that have ended, through the handlers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from headrace.datasets.importing import difference_key, undo_key
from headrace.datasets.model import Process, ProcessKind, Result
from headrace.datasets.running import LEASE
from headrace.runtime import datasets, instance
from tests.component.datasets.environment import (
    BASE,
    OTHER,
    TENANT,
    Answered,
    Begun,
    Deployed,
    deployed,
    forget,
)

BUCKET = "imports"
ID = "01kaqb7m3y6c9r2t5v8x1z4d7h"
LINES = b'{"change": "added"}\n'


@dataclass
class World:
    """An environment in which an import has ended."""

    here: Deployed
    runs: Begun

    def imported(
        self,
        *,
        kind: ProcessKind = ProcessKind.IMPORT,
        undo: bool = True,
        ended: bool = True,
        difference: bytes | None = LINES,
    ) -> Process:
        """Records a process, with what it left."""
        now = instance.clock().now()
        process = Process(TENANT, ID, kind, "CLAIMS", "BRANDS", now, "carrier", {})
        assert datasets.processes().begin(process, LEASE, is_gone=lambda _: False) is not None
        outcome: dict[str, Any] = {"counts": {"added": 1}}
        if difference is not None:
            outcome["difference"] = difference_key(ID)
            self.store(difference_key(ID), difference)
        if undo:
            self.store(undo_key(ID, 0), b"{}\n")
        if ended:
            datasets.processes().end(process.ended(Result.SUCCESS, now, outcome))
        return process

    def store(self, key: str, content: bytes) -> None:
        """Puts a document into the storage."""
        datasets.payloads().store(TENANT, key, "application/x-ndjson", [content])

    def undo(self, body: dict[str, Any] | None = None, process: str = ID, **more: Any) -> Answered:
        """Asks for an undoing."""
        return self.here.call(
            "start_undo", "POST", {"dataSetProcessId": process}, body or {}, **more
        )

    def difference(self, process: str = ID, **more: Any) -> Answered:
        """Asks for the difference."""
        return self.here.call("get_difference", "GET", {"dataSetProcessId": process}, **more)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An environment with a bucket, in which executions begin and do nothing."""
    with deployed(monkeypatch) as here:
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        runs = Begun()
        monkeypatch.setattr(datasets, "runs", lambda: runs)
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        here.configure(DATASETS_BUCKET=BUCKET, FILES_KEY=str(key))
        forget()
        yield World(here, runs)
        forget()


def test_an_import_that_has_ended_can_be_undone(world: World) -> None:
    world.imported()

    answer = world.undo({"force": True})

    assert answer.status == 201, answer.body
    [process] = world.runs.processes
    assert answer.headers["Location"] == f"{BASE}/generic/datasetprocesses/{process.process_id}"
    assert (answer.json["type"], answer.json["result"]) == ("undo", None)
    assert (process.definition, process.data_set) == ("CLAIMS", "BRANDS")
    assert process.request == {"undoes": ID, "force": True, "stopTaskProcessing": False}
    [event] = [one for one in world.here.items("audit") if one["action"] == "undo"]
    assert event["concerns"]["dataSetProcessId"] == process.process_id


@pytest.mark.abuse(81)
def test_a_start_that_is_repeated_when_the_import_is_undone_is_the_same_undoing(
    world: World,
) -> None:
    imported = world.imported()
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "once"}}
    begun = world.undo(**key).json["id"]
    datasets.processes().undone(imported, begun)

    again = world.undo(**key)

    assert (again.status, again.json["id"]) == (201, begun)
    assert world.undo(headers={"Idempotency-Key": "another"}).json["code"] == "not_undoable"


def test_an_import_that_was_undone_is_not_undone_again(world: World) -> None:
    process = world.imported()
    datasets.processes().undone(process, "01kaqb7m3y6c9r2t5v8x1z4d7j")

    answer = world.undo()

    assert (answer.status, answer.json["code"]) == (409, "not_undoable")
    assert answer.json["undoneBy"] == "01kaqb7m3y6c9r2t5v8x1z4d7j"
    assert world.runs.processes == []
    shown = world.here.call("get_data_set_process", "GET", {"dataSetProcessId": ID})
    assert shown.json["undoneBy"] == "01kaqb7m3y6c9r2t5v8x1z4d7j"


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ({"kind": ProcessKind.BUILD}, "Only imports can be undone."),
        ({"kind": ProcessKind.UNDO}, "Only imports can be undone."),
        ({"ended": False}, "The import still runs."),
        ({"undo": False}, "The import changed nothing."),
    ],
    ids=["build", "undo", "running", "unchanged"],
)
def test_what_is_no_import_that_changed_something_is_not_undone(
    world: World, left: dict[str, Any], why: str
) -> None:
    world.imported(**left)

    answer = world.undo()

    assert (answer.status, answer.json["code"]) == (409, "not_undoable")
    assert answer.json["detail"] == why
    assert world.runs.processes == []


def test_an_import_that_ended_without_a_word_is_undone_by_what_it_left(world: World) -> None:
    # Its worker died halfway: the outcome says nothing, and part of it is written.
    world.imported(difference=None)

    assert world.undo().status == 201


@pytest.mark.abuse(96)
def test_no_undoing_begins_while_another_process_runs(world: World) -> None:
    world.imported()
    first = world.undo().json["id"]

    again = world.undo()

    assert (again.status, again.json["code"]) == (409, "GEN-MIGR-009")
    assert again.json["blockingProcessId"] == first


@pytest.mark.parametrize("body", [{"force": "yes"}, {"force": 1}, {"forced": True}], ids=repr)
def test_the_body_of_an_undoing_is_strict(world: World, body: dict[str, Any]) -> None:
    world.imported()

    assert world.undo(body).status == 422
    assert world.runs.processes == []


def test_a_difference_is_handed_out_as_lines_of_json(world: World) -> None:
    world.imported()

    answer = world.difference()

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    shown = world.here.call("get_data_set_process", "GET", {"dataSetProcessId": ID})
    assert shown.json["links"]["difference"] == f"{BASE}/generic/datasetprocesses/{ID}/difference"
    assert shown.json["outcome"] == {"counts": {"added": 1}}


def test_a_large_difference_is_linked_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.runtime.api.MOST_INLINE_BYTES", len(LINES) - 1)
    world.imported()

    answer = world.difference()

    assert answer.status == 303
    assert f"{TENANT}/{ID}/difference.ndjson" in answer.headers["Location"]


def test_there_is_no_difference_while_an_import_runs(world: World) -> None:
    world.imported(ended=False)

    assert world.difference().status == 204
    shown = world.here.call("get_data_set_process", "GET", {"dataSetProcessId": ID})
    assert shown.json["links"]["difference"] is None


def test_another_tenants_import_is_as_one_that_never_was(world: World) -> None:
    world.imported()

    for ask in (world.undo, world.difference):
        foreign, unknown = ask(tenant=OTHER), ask(process="01kaqb7m3y6c9r2t5v8x1z4d7j")
        assert foreign.status == unknown.status == 404
        known = {name: of for name, of in foreign.json.items() if name != "correlationId"}
        assert known == {name: of for name, of in unknown.json.items() if name != "correlationId"}
    assert world.runs.processes == []
