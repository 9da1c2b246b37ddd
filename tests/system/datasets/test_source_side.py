"""Data sets of the deployed product: created, built, downloaded and watched over HTTP."""

import io
import json
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from standardwebhooks import Webhook

from headrace.datasets.ending import ENDPOINT, secrets_owner
from headrace.exports.delivering import IssueWebhookSecret
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from tests.serving import served
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, at_once, eventually

pytestmark = pytest.mark.system

CLAIMS = "CLAIMS_CONFIGURATION"
GROUP_CLIENTS, DYNAMIC_LOGIC = 18039405, 2220
SCOPES = ("dataexchange", "datasetoperation:createandexport")


@dataclass(frozen=True)
class Pipeline:
    """A client that carries data sets. An environment has one process at a time."""

    integrator: Integrator

    def put(self, code: str, definition: str = CLAIMS, **body: Any) -> httpx.Response:
        """Creates one."""
        path = f"/dataexchange/datasetdefinition/{definition}/dataset"
        return self.integrator.call("PUT", path, json={"code": code, **body})

    def post(self, code: str, definition: str = CLAIMS, **body: Any) -> httpx.Response:
        """Starts a build."""
        path = f"/dataexchange/export/datasetdefinition/{definition}/dataset/{code}"
        return self.integrator.call("POST", path, json=body)

    def post_full(self, code: str, definition: str = CLAIMS, **body: Any) -> httpx.Response:
        """Creates and builds a full one."""
        path = f"/dataexchange/createandexport/datasetdefinition/{definition}/dataset"
        return self.integrator.call("POST", path, json={"code": code, **body})

    def download(self, code: str, definition: str = CLAIMS) -> httpx.Response:
        """The payload."""
        path = f"/dataexchange/export/datasetdefinition/{definition}/dataset/{code}"
        return self.integrator.get(path)

    def ended(self, started: httpx.Response, within: float = 90) -> Json:
        """The process that this reply tells of, when it has ended."""
        assert started.status_code == 201, started.text
        path = started.headers["Location"].removeprefix(self.integrator.platform.api_url)

        def look() -> Json | None:
            process: Json = self.integrator.get(path).json()
            return process if process["endDateTime"] else None

        ended = eventually(look, within=within, what=f"the end of {path}")
        assert ended is not None
        return ended

    def set_property(self, name: str, value: str) -> None:
        """Of the environment."""
        body = {"name": name, "value": value}
        reply = self.integrator.call("POST", "/api/generic/properties", json=body)
        assert reply.status_code in (200, 201), reply.text


@pytest.fixture(scope="module")
def pipeline(clients: Clients) -> Pipeline:
    integrator = clients.special(NORTHWIND, "cost_centres", scopes=SCOPES)
    clients.keep(integrator)
    return Pipeline(integrator)


@pytest.fixture(scope="module")
def other(clients: Clients) -> Pipeline:
    """Of another tenant."""
    integrator = clients.special(HARBOUR, scopes=SCOPES)
    clients.keep(integrator)
    return Pipeline(integrator)


@pytest.fixture
def code() -> str:
    """Of a data set that is not there yet."""
    return f"TEST_{secrets.token_hex(4)}"


def records(payload: bytes) -> dict[str, list[Json]]:
    """The records of a payload by table."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        return {
            entry["name"]: [
                json.loads(line) for line in archive.read(entry["document"]).splitlines()
            ]
            for entry in manifest["tables"]
        }


@pytest.mark.abuse(98)
def test_a_data_set_is_created_built_watched_and_downloaded(pipeline: Pipeline, code: str) -> None:
    created = pipeline.put(code, items=[{"tableId": GROUP_CLIENTS}], description="clients")
    assert created.status_code == 201, created.text
    assert created.json()["numberOfItems"] == 40
    assert created.headers["Location"].endswith(f"/{CLAIMS}/dataset/{code}")
    before = pipeline.download(code)
    assert (before.status_code, before.content) == (204, b"")

    ended = pipeline.ended(pipeline.post(code))
    assert ended["result"] == "S", pipeline.integrator.get(
        f"/generic/datasetprocesses/{ended['id']}/messages"
    ).text
    assert ended["progress"]["done"] == ended["progress"]["total"]
    reply = pipeline.download(code)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/zip")
    found = records(reply.content)
    assert len(found["GROUP CLIENTS"]) == 40
    assert len(found["GROUP ACCOUNTS"]) == 120
    assert found["DYNAMIC LOGIC"]
    messages = pipeline.integrator.get(f"/generic/datasetprocesses/{ended['id']}/messages")
    assert (messages.status_code, messages.json()["totalCount"]) == (200, 0)


def test_without_the_referred_dynamic_logic_as_the_seed_has_it(
    pipeline: Pipeline, code: str
) -> None:
    created = pipeline.put(
        code,
        description="SampleTest",
        exactVersionMatch=True,
        disableDeleteByOmission=True,
        items=[{"tableId": GROUP_CLIENTS}],
        excludeOptions=[{"tableTopId": GROUP_CLIENTS, "tableDependentId": DYNAMIC_LOGIC}],
    )
    assert created.status_code == 201, created.text
    assert pipeline.ended(pipeline.post(code))["result"] == "S"
    assert not records(pipeline.download(code).content).get("DYNAMIC LOGIC")


def test_a_payload_is_xml_where_the_definition_says_so(pipeline: Pipeline, code: str) -> None:
    started = pipeline.post_full(code, "DIAGNOSES")
    assert pipeline.ended(started)["result"] == "S"
    reply = pipeline.download(code, "DIAGNOSES")
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/xml")
    assert len(ElementTree.fromstring(reply.content)) > 0


def test_a_full_data_set_is_built_again_with_what_is_there_then(
    pipeline: Pipeline, code: str
) -> None:
    assert pipeline.ended(pipeline.post_full(code))["result"] == "S"
    first = pipeline.download(code).content
    assert len(records(first)["GROUP CLIENTS"]) == 40
    assert pipeline.post_full(code).json()["code"] == "data_set_exists"
    listed = pipeline.integrator.get(f"/dataexchange/datasets/{CLAIMS}/4").json()
    text = json.dumps(listed)
    assert code in text
    data_set_id = next(one["id"] for one in _entities(listed) if one["code"] == code)
    path = f"/dataexchange/createandexport/datasetdefinition/dataset/{data_set_id}"
    started = pipeline.integrator.call("PATCH", path, json={"description": "once more"})
    assert pipeline.ended(started)["result"] == "S"
    assert pipeline.download(code).content != first


def _entities(value: Any) -> Iterator[Json]:
    """The data sets that are told of, wherever they stand."""
    if isinstance(value, dict):
        if "code" in value and "id" in value:
            yield value
        for inner in value.values():
            yield from _entities(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entities(inner)


@pytest.mark.abuse(96)
def test_of_many_starts_at_once_one_begins(
    platform: Platform, pipeline: Pipeline, code: str
) -> None:
    assert pipeline.put(code, items=[{"tableId": GROUP_CLIENTS}]).status_code == 201
    assert pipeline.ended(pipeline.post(code))["result"] == "S"
    # Else the first may have ended before the last begins.
    with platform.frozen("BuildDataSet"):
        replies = at_once(20, lambda _: pipeline.post(code))
    begun = [reply for reply in replies if reply.status_code == 201]
    refused = [reply for reply in replies if reply.status_code != 201]
    assert len(begun) == 1
    assert {(reply.status_code, reply.json()["code"]) for reply in refused} == {
        (409, "GEN-MIGR-008")
    }
    assert pipeline.ended(begun[0])["result"] == "S"


@pytest.mark.abuse(97)
def test_an_empty_data_set_is_not_built(pipeline: Pipeline, code: str) -> None:
    assert pipeline.put(code, items=[]).status_code == 201
    reply = pipeline.post(code)
    assert (reply.status_code, reply.json()["code"]) == (422, "GEN-MIGR-010")


def test_a_tenant_sees_nothing_of_another(pipeline: Pipeline, other: Pipeline, code: str) -> None:
    assert pipeline.put(code, items=[{"tableId": GROUP_CLIENTS}]).status_code == 201
    ended = pipeline.ended(pipeline.post(code))
    for reply in (other.post(code), other.download(code)):
        assert (reply.status_code, reply.json()["code"]) == (404, "OHI-IP-DATA-004")
    assert other.integrator.get(f"/generic/datasetprocesses/{ended['id']}").status_code == 404


@pytest.mark.abuse(96)
def test_a_build_whose_execution_is_gone_is_ended_by_the_sweeper_and_the_next_one_begins(
    platform: Platform, pipeline: Pipeline, code: str
) -> None:
    assert pipeline.put(code, items=[{"tableId": GROUP_CLIENTS}]).status_code == 201
    with platform.frozen("BuildDataSet"):
        started = pipeline.post(code)
        assert started.status_code == 201, started.text
        process_id = started.json()["id"]
        _stop_execution(platform, process_id)
    platform.kill("BuildDataSet")
    _let_time_pass(platform, process_id)
    error, swept = platform.invoke("SweepDataSets", {})
    assert error is None, swept
    ended = pipeline.ended(started)
    assert ended["result"] == "F"
    assert pipeline.ended(pipeline.post(code))["result"] == "S"


def test_a_build_whose_worker_is_killed_is_built_by_the_next(
    platform: Platform, pipeline: Pipeline, code: str
) -> None:
    assert pipeline.put(code, items=[{"tableId": GROUP_CLIENTS}]).status_code == 201
    assert pipeline.ended(pipeline.post(code))["result"] == "S"
    with platform.frozen("BuildDataSet"):
        started = pipeline.post(code)
        platform.kill("BuildDataSet")
    assert pipeline.ended(started)["result"] == "S"


def _stop_execution(platform: Platform, process_id: str) -> None:
    machine = platform.outputs["DataSetsStateMachineArn"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{process_id}-1"
    states = platform.aws("stepfunctions")
    states.stop_execution(executionArn=arn)
    eventually(
        lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING",
        within=30,
        what="the end of the execution",
    )


def _let_time_pass(platform: Platform, process_id: str) -> None:
    """As if nothing had been heard of the process for longer than its lease."""
    platform.aws("dynamodb").update_item(
        TableName=platform.outputs["DataSetsTableName"],
        Key={"pk": {"S": NORTHWIND}, "sk": {"S": f"PROCESS#{process_id}"}},
        UpdateExpression="SET due_at = :long_ago",
        ExpressionAttributeValues={":long_ago": {"S": "2026-01-01T00:00:00.000Z"}},
    )


# --- notices ----------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A server of the operator's: answers in turn what it is told to, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)


@contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    """One that runs."""
    here = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            given = {name.lower(): value for name, value in self.headers.items()}
            here.requests.append((body, given))
            self.send_response(here.answers.pop(0) if here.answers else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with served(Handler) as port:
        here.url = f"http://127.0.0.1:{port}/built"
        yield here


@pytest.mark.abuse(129)
def test_the_end_of_a_build_is_put_to_the_endpoint_signed_until_it_is_taken(
    platform: Platform, pipeline: Pipeline, code: str
) -> None:
    name = "ohi.datasetoperations.notification.endpoint.export"
    issue = IssueWebhookSecret(platform.deployment.webhook_secrets(), SystemClock(), RandomIds())
    secret_id, secret = issue(secrets_owner(NORTHWIND), ENDPOINT)
    try:
        with receiver(500) as here:
            pipeline.set_property(name, here.url)
            assert pipeline.put(code, items=[{"tableId": GROUP_CLIENTS}]).status_code == 201
            ended = pipeline.ended(pipeline.post(code))
            eventually(lambda: len(here.requests) == 2, within=60, what="the second try")
    finally:
        pipeline.set_property(name, "")
        platform.deployment.webhook_secrets().revoke(secrets_owner(NORTHWIND), ENDPOINT, secret_id)
    assert len({body for body, _ in here.requests}) == 1
    for body, headers in here.requests:
        Webhook(secret).verify(body, headers, json_parse=False)
        assert headers["webhook-id"] == f"msg_{ended['id']}"
        assert headers["content-type"] == "application/xml"
        assert body.decode().endswith(
            '<buildDataSetResponse><resultMessages result="S"></resultMessages>'
            "</buildDataSetResponse>\n"
        )
