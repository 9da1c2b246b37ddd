"""The target side as deployed: an environment that is its own source, over HTTP from end to end."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from headrace.identity.users import Permission
from local.home import Home
from local.postgresql import Server
from tests.system.conftest import NORTHWIND, Clients, People
from tests.system.deployed import Integrator, Json, Person, Platform, eventually

pytestmark = pytest.mark.system

CLAIMS, GROUP_CLIENTS = "CLAIMS_CONFIGURATION", 18039405
VERSION = "4.24.1.0.0"
IMPORT = f"/dataexchange/import/datasetdefinition/{CLAIMS}"
EXPORT = f"/dataexchange/export/datasetdefinition/{CLAIMS}/dataset/"


@dataclass(frozen=True)
class Target:
    """A client of an environment whose registered source is the environment itself."""

    integrator: Integrator
    carrier: Person
    database: Server

    @property
    def url(self) -> str:
        return f"{self.integrator.platform.api_url}/dataexchange"

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.integrator.call(method, path, **options)

    def ended(self, started: httpx.Response, within: float = 120) -> Json:
        """The process that this reply tells of, when it has ended."""
        assert started.status_code == 201, started.text
        path = started.headers["Location"].removeprefix(self.integrator.platform.api_url)

        def look() -> Json | None:
            process: Json = self.integrator.get(path).json()
            return process if process["endDateTime"] else None

        ended = eventually(look, within=within, what=f"the end of {path}", every=0.5)
        assert ended is not None
        return ended

    def messages(self, process: Json) -> list[Json]:
        path = f"/generic/datasetprocesses/{process['id']}/messages"
        found: list[Json] = self.integrator.get(path).json()["messages"]
        return found

    def build(self, code: str) -> None:
        """Of all group clients."""
        path = f"/dataexchange/datasetdefinition/{CLAIMS}/dataset"
        body = {"code": code, "items": [{"tableId": GROUP_CLIENTS}]}
        created = self.call("PUT", path, json=body)
        assert created.status_code == 201, created.text
        process = self.ended(self.call("POST", f"{EXPORT}{code}", json={}))
        assert process["result"] == "S", self.messages(process)

    def import_from(self, code: str, **body: Any) -> httpx.Response:
        given = {"sourceEnvironment": self.environment, **body}
        return self.call("POST", f"{IMPORT}/dataset/{code}", json=given)

    @property
    def environment(self) -> str:
        identifier: str = self.call("GET", "/dataexchange/environment").json()["identifier"]
        return identifier

    def sql(self, statements: str) -> str:
        return self.database.run(statements, "claims")


@pytest.fixture(scope="module")
def target(platform: Platform, clients: Clients, people: People) -> Iterator[Target]:
    scopes = ("dataexchange", "datasetoperation:createandexport")
    integrator = clients.special(NORTHWIND, "cost_centres", scopes=scopes)
    clients.keep(integrator)
    carrier = people.of(NORTHWIND, Permission.DATA_EXCHANGE)
    here = Target(integrator, carrier, _server(platform.home))
    body = {"name": "ohi.application.uri.CONF", "value": here.url}
    assert here.call("POST", "/api/generic/properties", json=body).status_code in (200, 201)
    body = {"username": carrier.username, "password": carrier.password}
    path = "/api/credentials/credential/DataExchangeClient"
    assert here.call("PUT", path, json=body).status_code == 204
    yield here
    here.call(
        "POST", "/api/generic/properties", json={"name": "ohi.application.uri.CONF", "value": ""}
    )


def _server(home: Home) -> Server:
    return Server(home.roster)


@pytest.fixture
def code() -> str:
    """Of a data set that is not there yet."""
    return f"TEST_{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def built(target: Target) -> str:
    """A data set that was built."""
    code = f"TEST_{secrets.token_hex(4)}"
    target.build(code)
    return code


def test_basic_lets_users_and_clients_with_the_grants_in_and_nobody_else(
    platform: Platform, target: Target, people: People
) -> None:
    path = "/dataexchange/environment"
    carrier, integrator = target.carrier, target.integrator
    for who in (
        (carrier.username, carrier.password),
        (integrator.client_id, integrator.client_secret),
    ):
        assert platform.call("GET", path, auth=who).status_code == 200
    wrong = platform.call("GET", path, auth=(carrier.username, "not the password at all"))
    assert wrong.status_code == 401
    assert wrong.json()["code"] == "invalid_token"
    other = people.of(NORTHWIND, Permission.EXPORT_TEMPLATES)
    assert platform.call("GET", path, auth=(other.username, other.password)).status_code == 403
    elsewhere = platform.call("GET", "/data/v1/metadata", auth=(carrier.username, carrier.password))
    assert elsewhere.status_code == 403


def test_what_was_built_is_available_from_the_registered_source(target: Target, built: str) -> None:
    path = f"/dataexchange/datasets/fetchavailabledatasets/{CLAIMS}/{VERSION}"
    reply = target.call("GET", path)
    assert reply.status_code == 200, reply.text
    [source] = reply.json()["dataSetMetaDataResponse"]
    assert source["dataSetMetaData"] == {"hostName": target.url, "httpResponse": "200"}
    [found] = [one for one in source["dataSetMetaDataRestEntities"] if one["code"] == built]
    assert (found["env"], found["url"]) == (target.environment, target.url)
    old = target.call("GET", path.replace(VERSION, "3.1"))
    assert old.json()["dataSetMetaDataResponse"] == [
        {"dataSetMetaData": {"hostName": target.url, "errorDetails": "HTTP 409 Conflict"}}
    ]


def test_a_data_set_is_fetched_and_imported_with_background_processing_stopped_around_it(
    target: Target, built: str
) -> None:
    target.sql("UPDATE claims.task_queue SET begun_at = NULL")
    before = target.sql("SELECT code, name FROM claims.group_clients ORDER BY code LIMIT 1")
    target.sql(
        "UPDATE claims.group_clients SET name = 'changed here' WHERE code = "
        "(SELECT min(code) FROM claims.group_clients)"
    )
    dry = target.ended(target.import_from(built, dryRun=True))
    assert dry["result"] == "S", target.messages(dry)
    assert dry["outcome"]["counts"]["changed"] == 1
    process = target.ended(target.import_from(built, stopTaskProcessing=True))
    assert process["result"] == "S", target.messages(process)
    assert process["outcome"]["counts"]["changed"] == 1
    after = target.sql("SELECT code, name FROM claims.group_clients ORDER BY code LIMIT 1")
    assert after == before
    codes = [one["code"] for one in target.messages(process)]
    assert {"task_processing_stopped", "task_processing_started"} <= set(codes)
    assert target.call("GET", "/taskprocessing").json()["status"] == "started"
    body = {"resource": {"q": f"process.eq('{process['id']}')"}}
    reply = target.call("POST", "/generic/audittraildetails/search", json=body)
    assert reply.status_code == 200, reply.text
    [change] = reply.json()["items"]
    assert (change["changeType"], change["table"]) == ("changed", "GROUP CLIENTS")
    [value] = change["values"]
    assert (value["column"], value["oldValue"]) == ("name", "changed here")
    [newest] = target.call(
        "POST", "/generic/audittraildetails/search", json={"resource": {"limit": 1}}
    ).json()["processes"]
    assert (newest["id"], newest["counts"]) == (process["id"], process["outcome"]["counts"])


def test_an_import_that_does_not_stop_background_processing_says_so(
    target: Target, built: str
) -> None:
    process = target.ended(target.import_from(built))
    assert process["result"] == "S", target.messages(process)
    assert [one["code"] for one in target.messages(process)] == ["task_processing_running"]
    assert process["outcome"]["counts"]["changed"] == 0


def test_background_processing_is_stopped_and_started_by_hand(target: Target) -> None:
    target.sql("UPDATE claims.task_queue SET begun_at = NULL")
    stopped = target.call("POST", "/taskprocessing", params={"action": "stop"})
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped"), stopped.text
    started = target.call("POST", "/taskprocessing", params={"action": "start"})
    assert started.json()["status"] == "started"
    assert target.call("POST", "/taskprocessing").status_code == 422


def test_a_file_is_imported_from_the_call_and_from_an_upload(target: Target, built: str) -> None:
    payload = target.call("GET", f"{EXPORT}{built}", follow_redirects=True).content
    form = {"dryRun": "true"}
    sent = target.call("POST", IMPORT, files={"file": ("set.zip", payload)}, data=form)
    assert target.ended(sent)["result"] == "S"
    prepared = target.call(
        "POST", "/dataexchange/uploads", json={"fileName": "set.zip", "size": len(payload)}
    )
    assert prepared.status_code == 201, prepared.text
    upload = prepared.json()
    put = httpx.put(upload["url"], content=payload, headers=upload["headers"], trust_env=False)
    assert put.status_code == 200, put.text
    body = {"uploadId": upload["uploadId"], "dryRun": True}
    process = target.ended(target.call("POST", IMPORT, json=body))
    assert process["result"] == "S", target.messages(process)
    assert process["outcome"]["counts"]["unchanged"] > 0


def test_an_upload_takes_just_the_size_that_was_said(target: Target) -> None:
    body = {"fileName": "set.zip", "size": 10}
    upload = target.call("POST", "/dataexchange/uploads", json=body).json()
    headers = {**upload["headers"], "Content-Length": "11"}
    put = httpx.put(upload["url"], content=b"x" * 11, headers=headers, trust_env=False)
    assert put.status_code == 403


@pytest.mark.abuse(105)
def test_a_file_of_another_name_is_refused(target: Target) -> None:
    sent = target.call("POST", IMPORT, files={"file": ("set.txt", b"x")})
    assert (sent.status_code, sent.json()["code"]) == (422, "GEN-MIGR-007")


def test_an_environment_that_nobody_is_ends_the_import_and_is_told(
    target: Target, built: str
) -> None:
    process = target.ended(target.import_from(built, sourceEnvironment="NOWHERE"))
    assert process["result"] == "F"
    [message] = target.messages(process)
    assert "no registered source environment is NOWHERE" in message["text"]


def test_the_credential_is_in_no_log_and_lies_sealed(platform: Platform, target: Target) -> None:
    table = platform.functions and platform.aws("dynamodb").list_tables()["TableNames"]
    [name] = [one for one in table if "DataSets" in one]
    kept = [one for one in platform.items(name) if one["sk"]["S"].startswith("CREDENTIAL#")]
    assert kept and target.carrier.password not in repr(kept)
    assert target.carrier.password not in platform.log_text()
