"""How imports begin, through the handlers: files, uploads, other environments."""

import base64
import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from headrace.datasets.model import Result
from headrace.runtime import datasets
from tests.component.datasets.environment import (
    BASE,
    OTHER,
    PREFIX,
    TENANT,
    Answered,
    Begun,
    Deployed,
    deployed,
    forget,
)
from tests.component.identity.deployment import event_of

BUCKET = "imports"
DEFINITION = {"dataSetDefinitionCode": "CLAIMS"}
FROM = {**DEFINITION, "dataSetCode": "BRANDS"}
CONTENT = bytes(range(256)) * 10
CONF = "ohi.application.uri.CONF"


@dataclass
class World:
    """An environment that imports can begin in."""

    here: Deployed
    runs: Begun

    def import_file(
        self,
        content: bytes = CONTENT,
        name: str = "brands.zip",
        fields: dict[str, str] | None = None,
        key: str | None = None,
        definition: str = "CLAIMS",
        tenant: str = TENANT,
    ) -> Answered:
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in (fields or {}).items()
        ]
        disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        parts.append(f"--b\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n--b--\r\n")
        event = event_of("POST", "/x", headers={"Content-Type": "multipart/form-data; boundary=b"})
        event["headers"] |= {"Idempotency-Key": key} if key else {}
        event["pathParameters"] = {"dataSetDefinitionCode": definition}
        event["body"] = base64.b64encode(b"".join(parts)).decode()
        event["isBase64Encoded"] = True
        event["requestContext"]["authorizer"] = {
            "tenant": tenant,
            "client_id": "carrier",
            "scopes": f"{PREFIX}:dataexchange",
        }
        answer = importlib.import_module("datasets.import_file").handler(event, None)
        return Answered(answer["statusCode"], answer["headers"], answer["body"])

    def stored(self) -> dict[str, bytes]:
        client = boto3.client("s3")
        found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            one["Key"]: client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            for one in found
        }

    def end(self) -> None:
        """The process that runs has ended."""
        process = self.runs.processes[-1]
        datasets.processes().end(process.ended(Result.SUCCESS, process.started_at, {}))

    def register(self) -> None:
        body = {"name": CONF, "value": "https://test.example.com/dataexchange"}
        self.here.call("set_property", "POST", body=body)
        body = {"username": "carrier@example.com", "password": "a shared secret"}
        self.here.call("set_credential", "PUT", body=body)

    def import_from(self, tenant: str = TENANT, **body: Any) -> Answered:
        given = {"sourceEnvironment": "TEST", **body}
        return self.here.call("import_from_environment", "POST", FROM, given, tenant=tenant)

    def import_from_registered(self, **body: Any) -> Answered:
        self.register()
        return self.import_from(**body)

    def prepare(self, file_name: str = "brands.zip", size: int = 5, **more: Any) -> Answered:
        body = {"fileName": file_name, "size": size}
        return self.here.call("prepare_upload", "POST", body=body, **more)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
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


# --- from a file ----------------------------------------------------------------------------


def test_a_file_is_kept_and_its_import_begun(world: World) -> None:
    answer = world.import_file(
        fields={"exactVersionMatch": "true", "dryRun": "true", "stopTaskProcessing": "false"}
    )
    assert answer.status == 201, answer.body
    [process] = world.runs.processes
    assert answer.headers["Location"] == f"{BASE}/generic/datasetprocesses/{process.process_id}"
    assert (answer.json["type"], answer.json["result"]) == ("import", None)
    key = f"imports/{process.process_id}.zip"
    assert process.request == {
        "payload": key,
        "sourceEnvironment": None,
        "exactVersionMatch": True,
        "disableDeleteByOmission": False,
        "dryRun": True,
        "stopTaskProcessing": False,
    }
    assert world.stored() == {f"{TENANT}/{key}": CONTENT}
    kept = datasets.processes().find(TENANT, process.process_id)
    assert kept is not None and kept.request == process.request
    [event] = [one for one in world.here.items("audit") if one["action"] == "import"]
    assert event["concerns"]["dataSetProcessId"] == process.process_id


@pytest.mark.abuse(105)
@pytest.mark.parametrize("name", ["brands.txt", "brands.zip.exe", "zip", ".", "brands.xml", ""])
def test_a_file_of_another_name_is_no_import(world: World, name: str) -> None:
    answer = world.import_file(name=name)
    assert (answer.status, answer.json["code"]) == (422, "GEN-MIGR-007")
    assert answer.json["detail"] == "Import file must have a .zip extension"
    assert answer.json["severity"] == "Fatal"
    assert (world.stored(), world.runs.processes) == ({}, [])


@pytest.mark.parametrize(("name", "status"), [("providers.XML", 201), ("providers.zip", 422)])
def test_payloads_that_are_xml_have_names_that_say_so(world: World, name: str, status: int) -> None:
    assert world.import_file(name=name, definition="PROVIDERS").status == status


@pytest.mark.abuse(96)
def test_no_import_begins_while_another_process_runs(world: World) -> None:
    first = world.import_file().json["id"]
    answers = [world.import_file(), world.import_from_registered()]
    for answer in answers:
        assert (answer.status, answer.json["code"]) == (409, "GEN-MIGR-009")
        assert answer.json["blockingProcessId"] == first
    assert list(world.stored()) == [f"{TENANT}/imports/{first}.zip"]
    world.end()
    assert world.import_file().status == 201


def test_the_same_key_begins_one_import(world: World) -> None:
    first, again = (world.import_file(key="once") for _ in range(2))
    assert first.json["id"] == again.json["id"]
    assert len(world.runs.processes) == len(world.stored()) == 1
    other = world.import_file(content=b"something else", key="once")
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    assert len(world.stored()) == 1


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"exactVersionMatch": "yes"}, "exactVersionMatch"),
        ({"something": "else"}, "something"),
        ({"dryRun": ""}, "dryRun"),
    ],
)
def test_a_field_that_is_none_or_holds_something_else_is_named(
    world: World, fields: dict[str, str], wrong: str
) -> None:
    answer = world.import_file(fields=fields)
    assert answer.status == 422
    assert [one["field"] for one in answer.json["errors"]] == [wrong]
    assert world.runs.processes == []


def test_an_empty_file_is_refused(world: World) -> None:
    assert world.import_file(content=b"").status == 422


@pytest.mark.abuse(138)
def test_a_file_that_is_too_large_for_a_call_is_told_where_to_go(world: World) -> None:
    assert world.import_file(content=bytes(4_000_000)).status == 201
    answer = world.import_file(content=bytes(4 * 1024 * 1024))
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")
    assert "/dataexchange/uploads" in answer.json["detail"]


def test_unknown_and_foreign_definitions_are_one_answer(world: World) -> None:
    for answer in (world.import_file(definition="NONE"), world.import_file(tenant=OTHER)):
        assert (answer.status, answer.json["code"]) == (404, "OHI-IP-DATA-004")
    assert world.stored() == {}


# --- from an upload -------------------------------------------------------------------------


def import_upload(world: World, upload_id: str, **body: Any) -> Answered:
    given = {"uploadId": upload_id, **body}
    return world.here.call("import_file", "POST", DEFINITION, given)


def test_an_upload_is_prepared_for_just_so_many_bytes_and_encrypted(world: World) -> None:
    answer = world.prepare(size=5)
    assert answer.status == 201
    url = urlsplit(answer.json["url"])
    assert url.path.endswith(f"/{TENANT}/uploads/{answer.json['uploadId']}.zip")
    [signed] = parse_qs(url.query)["X-Amz-SignedHeaders"]
    assert {"content-length", "x-amz-server-side-encryption"} <= set(signed.split(";"))
    assert answer.json["method"] == "PUT"
    assert answer.json["headers"]["Content-Length"] == "5"
    assert int(parse_qs(url.query)["X-Amz-Expires"][0]) <= 3600


def test_what_was_uploaded_is_imported_as_often_as_one_likes(world: World) -> None:
    upload_id = world.prepare().json["uploadId"]
    missing = import_upload(world, upload_id)
    assert (missing.status, missing.json["code"]) == (404, "not_found")
    key = f"uploads/{upload_id}.zip"
    boto3.client("s3").put_object(Bucket=BUCKET, Key=f"{TENANT}/{key}", Body=b"12345")
    for option in ("dryRun", "disableDeleteByOmission"):
        answer = import_upload(world, upload_id, **{option: True})
        assert answer.status == 201, answer.body
        assert world.runs.processes[-1].request["payload"] == key
        world.end()
    assert world.runs.processes[-1].request["disableDeleteByOmission"] is True


def test_another_tenants_upload_is_none(world: World) -> None:
    upload_id = world.prepare().json["uploadId"]
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key=f"{OTHER}/uploads/{upload_id}.zip", Body=b"12345"
    )
    assert import_upload(world, upload_id).status == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"file_name": "x.txt"}, "GEN-MIGR-007"),
        ({"size": 0}, "validation_failed"),
        ({"size": 5 * 1024**3 + 1}, "validation_failed"),
        ({"size": "5"}, "validation_failed"),
    ],
    ids=["name", "nothing", "large", "text"],
)
def test_an_upload_that_cannot_be_is_refused(world: World, body: dict[str, Any], code: str) -> None:
    answer = world.prepare(**body)
    assert (answer.status, answer.json["code"]) == (422, code)


@pytest.mark.parametrize("upload_id", ["../imports/x", "", "01KAQB7M3Y6C9R2T5V8X1Z4D7J", 5])
def test_what_is_no_id_of_an_upload_is_refused(world: World, upload_id: Any) -> None:
    assert import_upload(world, upload_id).status == 422


def test_who_has_no_application_uploads_nothing(world: World) -> None:
    assert world.prepare(tenant=OTHER).status == 404


# --- from another environment ---------------------------------------------------------------


def test_an_import_from_an_environment_is_begun(world: World) -> None:
    answer = world.import_from_registered(stopTaskProcessing=True)
    assert answer.status == 201, answer.body
    [process] = world.runs.processes
    assert (process.data_set, process.definition) == ("BRANDS", "CLAIMS")
    assert process.request == {
        "payload": f"imports/{process.process_id}.zip",
        "sourceEnvironment": "TEST",
        "exactVersionMatch": False,
        "disableDeleteByOmission": False,
        "dryRun": False,
        "stopTaskProcessing": True,
    }
    assert world.stored() == {}


def test_without_sources_or_a_credential_nothing_begins(world: World) -> None:
    answer = world.import_from()
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "sourceEnvironment")
    assert CONF in answer.body
    body = {"name": CONF, "value": "https://test.example.com/dataexchange"}
    world.here.call("set_property", "POST", body=body)
    assert "DataExchangeClient" in world.import_from().body
    assert world.runs.processes == []


@pytest.mark.parametrize(
    "body",
    [
        {"sourceEnvironment": ""},
        {"sourceEnvironment": "a/b"},
        {"sourceEnvironment": None},
        {"dryRun": "true"},
        {"more": 1},
    ],
    ids=["empty", "slash", "null", "text for a flag", "more"],
)
def test_a_body_that_is_none_is_refused(world: World, body: dict[str, Any]) -> None:
    world.register()
    assert world.import_from(**body).status == 422


def test_a_foreign_environments_import_is_as_an_unknown_definitions(world: World) -> None:
    answer = world.import_from(tenant=OTHER)
    assert (answer.status, answer.json["code"]) == (404, "OHI-IP-DATA-004")
    assert json.loads(answer.body)["severity"] == "Fatal"
