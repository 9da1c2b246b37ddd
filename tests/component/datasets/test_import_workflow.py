"""Imports from their start to their end, through the real handlers and the workflow."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest

from headrace.runtime import imports
from tests.component.datasets.building import SourceSide, a_source_side
from tests.component.datasets.environment import BUCKET, TENANT, Answered, Deployed, deployed
from tests.component.datasets.registry import NIL, SOURCE, Registry, a_registry
from tests.component.datasets.sources import Source, says, source
from tests.component.identity.key_server import send
from tests.component.postgresql.server import Server
from tests.workflow import DATA_SET_HANDLERS, TaskError

FUNCTIONS = """
CREATE TABLE public.processing (status text NOT NULL);
INSERT INTO public.processing VALUES ('STARTED');
CREATE FUNCTION public.stop_tasks() RETURNS void LANGUAGE sql AS
  $$ UPDATE public.processing SET status = 'STOPPED' $$;
CREATE FUNCTION public.start_tasks() RETURNS void LANGUAGE sql AS
  $$ UPDATE public.processing SET status = 'STARTED' $$;
CREATE FUNCTION public.tasks_status() RETURNS text LANGUAGE sql AS
  $$ SELECT status FROM public.processing $$;
"""
TASKS = {
    "stop": "public.stop_tasks",
    "start": "public.start_tasks",
    "status": "public.tasks_status",
}
CHANGE = "UPDATE providers SET name = 'changed here' WHERE code = 'P1'"

type Tasks = Mapping[str, Callable[[Any], Any]]


@dataclass
class Side:
    """An environment that has built a data set of its own providers, and imports it."""

    deployed: Deployed
    registry: Registry
    source: SourceSide
    upload_id: str = "01kaqb7m3y6c9r2t5v8x1z4d7j"

    def start(self, **options: Any) -> Answered:
        """Of what was uploaded: the payload that was built."""
        body = {"uploadId": self.upload_id, **options}
        definition = {"dataSetDefinitionCode": "PROVIDERS"}
        return self.deployed.call("import_file", "POST", definition, body)

    def ended(self, started: Answered, tasks: Tasks | None = None) -> dict[str, Any]:
        assert started.status == 201, started.body
        self.source.run(tasks)
        ended: dict[str, Any] = self.source.process(started.json["id"]).json
        assert ended["endDateTime"] is not None
        return ended

    def codes(self, process: Mapping[str, Any]) -> list[str]:
        found = self.source.messages(process["id"]).json["messages"]
        return [one["code"] for one in found]

    @property
    def status(self) -> str:
        with self.registry.connect() as connection:
            row = connection.execute("SELECT status FROM public.processing").fetchone()
            assert row is not None
            return str(row["status"])

    def name(self) -> str:
        with self.registry.connect() as connection:
            row = connection.execute("SELECT name FROM providers WHERE code = 'P1'").fetchone()
            assert row is not None
            return str(row["name"])


class _WithTasks(Registry):
    @property
    def application(self) -> Any:
        return replace(super().application, task_processing=TASKS)


@pytest.fixture
def side(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    with deployed(monkeypatch) as here:
        made = a_registry(postgresql, SOURCE, FUNCTIONS)
        registry = _WithTasks(made.server, made.database)
        built = a_source_side(here, registry, monkeypatch)
        monkeypatch.setattr(imports, "clock", lambda: built.clock)
        assert built.create().status == 201
        assert built.built()["result"] == "S"
        [payload] = [body for key, body in built.stored().items() if "/payloads/" in key]
        side = Side(here, registry, built)
        key = f"{TENANT}/uploads/{side.upload_id}.zip"
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=payload)
        built.clock.advance(seconds=1)
        yield side


def test_an_import_writes_what_differs_and_tells_what_it_was(side: Side) -> None:
    before = side.name()
    side.registry.run(CHANGE)
    process = side.ended(side.start())
    assert (process["result"], side.name()) == ("S", before)
    assert process["outcome"]["counts"]["changed"] == 1
    assert side.codes(process) == ["task_processing_running"]
    body = {"resource": {"q": f"process.eq('{process['id']}')"}}
    found = side.deployed.call("search_audit_trail", "POST", body=body).json
    [change] = found["items"]
    assert (change["changeType"], change["key"]) == ("changed", ["P1"])
    assert change["values"] == [{"column": "name", "oldValue": "changed here", "newValue": before}]
    [told] = found["processes"]
    assert (told["startedBy"], told["result"], told["counts"]["changed"]) == ("carrier", "S", 1)
    listed = side.deployed.call("search_audit_trail", "POST", body={"resource": {}}).json
    assert [one["type"] for one in listed["processes"]] == ["import", "build"]


def test_a_dry_run_writes_nothing(side: Side) -> None:
    side.registry.run(CHANGE)
    process = side.ended(side.start(dryRun=True))
    assert (process["result"], side.name()) == ("S", "changed here")
    assert process["outcome"]["counts"]["changed"] == 1


def test_background_processing_stands_still_just_while_it_is_imported(side: Side) -> None:
    seen = []

    def looking(event: Any) -> Any:
        seen.append(side.status)
        return DATA_SET_HANDLERS["ImportDataSetFunctionArn"](event)

    process = side.ended(side.start(stopTaskProcessing=True), {"ImportDataSetFunctionArn": looking})
    assert (seen, side.status, process["result"]) == (["STOPPED"], "STARTED", "S")
    assert side.codes(process) == ["task_processing_stopped", "task_processing_started"]


@pytest.mark.parametrize("name", ["SourceUnavailable", "States.Timeout", "Runtime.ExitError"])
def test_background_processing_goes_on_after_an_import_that_failed(side: Side, name: str) -> None:
    def failing(event: Any) -> Any:
        assert side.status == "STOPPED"
        raise TaskError(name)

    process = side.ended(side.start(stopTaskProcessing=True), {"ImportDataSetFunctionArn": failing})
    assert (side.status, process["result"]) == ("STARTED", "F")
    assert "GEN-MIGR-013" in side.codes(process)


def test_background_processing_that_cannot_be_started_again_is_told(side: Side) -> None:
    def failing(event: Any) -> Any:
        raise TaskError("SourceUnavailable")

    started = side.start(stopTaskProcessing=True)
    process = side.ended(started, {"ResumeTaskProcessingFunctionArn": failing})
    assert (side.status, process["result"]) == ("STOPPED", "F")
    standing = side.deployed.call("get_task_processing", "GET").json
    assert (standing["status"], standing["pausedFor"]) == ("stopped", process["id"])
    assert "start" in standing["links"]["defaultLink"][1]["href"]


def test_an_import_whose_lease_was_lost_leaves_background_processing_running(side: Side) -> None:
    def void(event: Any) -> Any:
        return {"outcome": "void"}

    started = side.start(stopTaskProcessing=True)
    assert started.status == 201
    side.source.run({"ImportDataSetFunctionArn": void})
    assert side.status == "STARTED"


def test_a_data_set_of_another_environment_is_fetched_and_imported(side: Side) -> None:
    before = side.name()
    side.registry.run(CHANGE)
    payload = side.source.payload()
    with source({"/environment": says({"identifier": "TEST", "version": "4.2.1"})}) as there:
        path = "/export/datasetdefinition/PROVIDERS/dataset/all"
        there.answers[path] = lambda request: send(request, 200, payload.content)
        _register(side, there)
        started = side.deployed.call(
            "import_from_environment",
            "POST",
            {"dataSetDefinitionCode": "PROVIDERS", "dataSetCode": "all"},
            {"sourceEnvironment": "TEST"},
        )
        process = side.ended(started)
    assert (process["result"], side.name()) == ("S", before), side.codes(process)
    assert [one for one, _ in there.asked] == ["/environment", path]


def test_what_refuses_items_is_told_however_long_their_keys_are(side: Side) -> None:
    """A message is kept in one item, which takes 400 kB, and a hundred of them in one write."""
    long = 210_000
    side.registry.run(
        "ALTER TABLE kinds ALTER code TYPE text; ALTER TABLE providers ALTER code TYPE text",
        f"INSERT INTO kinds (uuid, code) VALUES ('{NIL}73', repeat('k', {long}))",
        f"INSERT INTO providers (uuid, code, name, kind_id) SELECT ('{NIL}' || 20 + n)::uuid, "
        f"n || repeat('p', {long}), 'Ash', k.id FROM generate_series(1, 30) n, kinds k "
        f"WHERE k.uuid = '{NIL}73'",
    )
    assert side.source.create("long").status == 201
    assert side.source.built("long")["result"] == "S"
    payload = next(body for body in side.source.stored().values() if "Ash" in _text(body))
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key=f"{TENANT}/uploads/{side.upload_id}.zip", Body=payload
    )
    side.registry.run(
        "DELETE FROM providers WHERE name = 'Ash'", f"DELETE FROM kinds WHERE uuid = '{NIL}73'"
    )
    process = side.ended(side.start())
    assert process["result"] == "F"
    assert process["outcome"]["counts"]["failedItems"] == 30
    told = side.source.messages(process["id"], pageSize="50").json["messages"]
    refused = [one for one in told if one["code"] == "GEN-MIGR-001"]
    assert len(refused) == 30
    assert {one["item"][:13] for one in refused} == {f"PROVIDERS {n}ppp"[:13] for n in range(1, 31)}
    for one in refused:
        assert 'kind_id refers to KINDS ["kkkk' in one["text"]
        assert f"({NIL}73), which is neither" in one["text"]
        assert len(one["item"]) + len(one["text"]) < 1000


def _text(body: bytes) -> str:
    """What is in a payload's documents; nothing of what is no archive."""
    if not zipfile.is_zipfile(io.BytesIO(body)):
        return ""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())


def test_what_cannot_be_fetched_is_told_and_nothing_is_imported(side: Side) -> None:
    side.registry.run(CHANGE)
    with source({"/environment": says({"identifier": "OTHER", "version": "4.2.1"})}) as there:
        _register(side, there)
        started = side.deployed.call(
            "import_from_environment",
            "POST",
            {"dataSetDefinitionCode": "PROVIDERS", "dataSetCode": "all"},
            {"sourceEnvironment": "TEST", "stopTaskProcessing": True},
        )
        process = side.ended(started)
    assert (process["result"], side.name(), side.status) == ("F", "changed here", "STARTED")
    assert side.codes(process) == ["GEN-MIGR-013"]


def _register(side: Side, there: Source) -> None:
    side.source.set_property("ohi.application.uri.CONF", there.url)
    body = {"username": "carrier@example.com", "password": "a shared secret"}
    assert side.deployed.call("set_credential", "PUT", body=body).status == 204
