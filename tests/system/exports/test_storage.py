"""Documents in storage: encrypted, handed out by short-lived links, and nowhere else."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from headrace.catalog.model import Tenant
from headrace.kernel.clock import rfc3339
from local.sample.warehouse import attached
from tests.system.conftest import HARBOUR, NORTHWIND, Clients
from tests.system.deployed import Integrator, Json, Platform, eventually

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def done(clients: Clients) -> tuple[Integrator, Json]:
    """A client with a succeeded export of the employees."""
    client = clients.of(NORTHWIND)
    return client, client.export(entity="employees")


@pytest.fixture(scope="module")
def keyed(platform: Platform, clients: Clients) -> Iterator[tuple[Integrator, str]]:
    """A client of a tenant with a KMS key of its own, and the key."""
    key: str = platform.aws("kms").create_key(Description="a tenant's own")["KeyMetadata"]["Arn"]
    tenant = Tenant(f"vault-{clients.run}", "Vault", "UTC", kms_key=key)
    clients.add_tenant(tenant, like=NORTHWIND)
    yield clients.of(tenant.tenant_id), key
    platform.aws("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def _heads(integrator: Integrator) -> list[dict[str, Any]]:
    s3, bucket = integrator.platform.aws("s3"), integrator.platform.outputs["FilesBucketName"]
    keys = integrator.platform.objects(integrator.prefix)
    assert keys
    return [s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED") for key in keys]


def test_a_stored_document_is_encrypted_with_the_stacks_key(
    platform: Platform, done: tuple[Integrator, Json]
) -> None:
    for head in _heads(done[0]):
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["SSEKMSKeyId"] == platform.outputs["FilesKeyArn"]


def test_a_tenant_with_a_key_of_its_own_has_its_documents_under_that(
    keyed: tuple[Integrator, str],
) -> None:
    client, key = keyed
    client.export(entity="cost_centres")
    for head in _heads(client):
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["SSEKMSKeyId"] == key


@pytest.mark.abuse(102)
def test_not_even_a_worker_may_store_what_is_not_encrypted_with_kms(platform: Platform) -> None:
    functions = platform.aws("lambda")
    role = functions.get_function_configuration(FunctionName=platform.functions["ExportRange"])
    got = platform.aws("sts").assume_role(RoleArn=role["Role"], RoleSessionName="a-test")
    worker = boto3.client(
        "s3",
        endpoint_url=platform.about["aws_endpoint_url"],
        region_name=platform.about["region"],
        aws_access_key_id=got["Credentials"]["AccessKeyId"],
        aws_secret_access_key=got["Credentials"]["SecretAccessKey"],
        aws_session_token=got["Credentials"]["SessionToken"],
    )
    place = {"Bucket": platform.outputs["FilesBucketName"], "Key": f"test/{secrets.token_hex(4)}"}
    key = platform.outputs["FilesKeyArn"]

    with pytest.raises(ClientError) as refusal:
        worker.put_object(**place, Body=b"x", ServerSideEncryption="AES256")
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"
    worker.put_object(**place, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    worker.delete_object(**place)


def test_the_checksum_in_storage_is_that_of_the_manifest(done: tuple[Integrator, Json]) -> None:
    client, operation = done
    [file] = client.manifest(operation["operationId"])["files"]
    [head] = _heads(client)
    digests = b"".join(bytes.fromhex(part["sha256"]) for part in file["parts"])
    whole = base64.b64encode(hashlib.sha256(digests).digest()).decode()
    assert head["ChecksumSHA256"] == f"{whole}-{len(file['parts'])}"
    assert head["ContentLength"] == file["bytes"]


@pytest.mark.parametrize(
    ("file_format", "compression", "name", "content_type"),
    [
        ("csv", "none", "cost_centres.csv", "text/csv; charset=utf-8; header=present"),
        ("csv", "gzip", "cost_centres.csv.gz", "application/gzip"),
        ("json", "none", "cost_centres.json", "application/json"),
        ("ndjson", "none", "cost_centres.ndjson", "application/x-ndjson"),
        ("ndjson", "zstd", "cost_centres.ndjson.zst", "application/zstd"),
        ("parquet", "gzip", "cost_centres.parquet", "application/vnd.apache.parquet"),
    ],
)
def test_a_download_has_a_name_and_a_type(
    clients: Clients, file_format: str, compression: str, name: str, content_type: str
) -> None:
    client = clients.of(NORTHWIND)
    operation = client.export(
        entity="cost_centres", fileFormat=file_format, compression=compression
    )
    reply = client.platform.http.get(client.link(operation["jobs"][0]["jobId"]))
    assert reply.headers["Content-Type"] == content_type
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert "Content-Encoding" not in reply.headers, "or clients unpack what the digests are of"
    [file] = client.manifest(operation["operationId"])["files"]
    assert (file["fileName"], file["contentType"]) == (name, content_type)


@pytest.mark.abuse(103)
def test_a_download_can_be_taken_up_again_anywhere(done: tuple[Integrator, Json]) -> None:
    client, operation = done
    [job] = operation["jobs"]
    whole, http = client.document(job["jobId"]), client.platform.http
    cut = len(whole) // 3

    begun = http.get(client.link(job["jobId"]), headers={"Range": f"bytes=0-{cut - 1}"})
    assert (begun.status_code, begun.content) == (206, whole[:cut])
    assert begun.headers["Content-Range"] == f"bytes 0-{cut - 1}/{len(whole)}"
    # Hours later it is another link, of the same document.
    rest = http.get(client.link(job["jobId"]), headers={"Range": f"bytes={cut}-"})
    assert (rest.status_code, begun.content + rest.content) == (206, whole)
    assert rest.headers["ETag"] == begun.headers["ETag"]

    past = http.get(client.link(job["jobId"]), headers={"Range": f"bytes={len(whole)}-"})
    assert past.status_code == 416


@pytest.mark.abuse(204)
def test_a_link_works_for_a_while_and_only_as_it_is(done: tuple[Integrator, Json]) -> None:
    client, operation = done
    [job] = operation["jobs"]
    link, http = client.link(job["jobId"]), client.platform.http
    parts = urlsplit(link)
    assert parse_qs(parts.query)["X-Amz-Expires"] == ["300"]
    assert client.token() not in link

    assert http.get(parts._replace(query="").geturl()).status_code == 403
    longer = link.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")
    assert http.get(longer).status_code == 403
    elsewhere = link.replace("employees.csv", "departments.csv")
    assert http.get(elsewhere).status_code == 403
    assert http.put(link, content=b"overwritten").status_code == 403
    assert http.delete(link).status_code == 403
    assert http.get(link).status_code == 200


@pytest.mark.abuse(204)
def test_a_link_that_is_too_old_is_refused(
    platform: Platform, done: tuple[Integrator, Json]
) -> None:
    [key] = platform.objects(done[0].prefix)
    signing = boto3.client(
        "s3",
        endpoint_url=platform.about["aws_endpoint_url"],
        region_name=platform.about["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(signature_version="s3v4"),
    )
    short = signing.generate_presigned_url(
        "get_object",
        Params={"Bucket": platform.outputs["FilesBucketName"], "Key": key},
        ExpiresIn=1,
    )
    eventually(
        lambda: platform.http.get(short).status_code == 403, within=10, what="the link expired"
    )


@pytest.mark.abuse(104)
def test_a_document_whose_key_is_disabled_is_unavailable_until_it_is_enabled(
    platform: Platform, keyed: tuple[Integrator, str]
) -> None:
    client, key = keyed
    operation = client.export(entity="cost_centres")
    path = f"/data/v1/jobs/{operation['jobs'][0]['jobId']}"
    link = client.link(operation["jobs"][0]["jobId"])

    platform.aws("kms").disable_key(KeyId=key)
    try:
        refusal = client.get(path)
        assert refusal.status_code == 503
        assert refusal.json()["code"] == "file_unavailable"
        assert int(refusal.headers["Retry-After"]) >= 1
        assert key not in refusal.text
        assert platform.http.get(link).status_code >= 400
    finally:
        platform.aws("kms").enable_key(KeyId=key)
    assert client.document(operation["jobs"][0]["jobId"])


@pytest.mark.abuse(212)
def test_expired_documents_are_gone_and_said_to_be(platform: Platform, clients: Clients) -> None:
    client = clients.of(HARBOUR)
    operation = client.export(entity="cost_centres")
    operation_id, job_id = operation["operationId"], operation["jobs"][0]["jobId"]
    # A day passes, as far as this operation is concerned.
    past = rfc3339(platform.now() - timedelta(seconds=1))
    platform.aws("dynamodb").update_item(
        TableName=platform.outputs["OperationsTableName"],
        Key={
            "pk": {"S": f"{client.tenant}#{client.client_id}"},
            "sk": {"S": f"operation#{operation_id}"},
        },
        UpdateExpression="SET expires_at = :past, due_at = :past",
        ExpressionAttributeValues={":past": {"S": past}},
    )

    for swept in (False, True):
        if swept:
            platform.sweep()
            assert platform.objects(client.prefix) == []
        seen = client.status(operation_id)
        assert seen["status"] == "expired"
        assert [(job["status"], job["link"]) for job in seen["jobs"]] == [("expired", None)]
        for path in (f"/data/v1/jobs/{job_id}", f"/data/v1/operations/{operation_id}/manifest"):
            reply = client.get(path)
            assert (reply.status_code, reply.json()["code"]) == (410, "file_expired")
        assert client.retry(operation_id).status_code == 409
    assert client.delete(operation_id).status_code == 204


# --- nowhere else ---------------------------------------------------------------------------


def _holders(platform: Platform, needles: list[bytes]) -> list[str]:
    """The files of the platform that hold one of these.

    But for the documents, the source, and what the demonstration downloaded.
    """
    bucket = platform.home.objects / "000000000000" / platform.outputs["FilesBucketName"]
    downloaded = platform.home.root / "demo"
    elsewhere = (bucket, platform.home.warehouse, platform.home.outputs, downloaded)
    return [
        str(path)
        for path in platform.home.root.rglob("*")
        if path.is_file()
        and not any(path.is_relative_to(place) for place in elsewhere)
        and _holds(path, needles)
    ]


def _holds(path: Path, needles: list[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # a process that ended took it along
        return False
    return any(needle in content for needle in needles)


@dataclass(frozen=True)
class Traces:
    """What must not be found, and what everything but the documents holds."""

    rows: list[str]
    credentials: list[str]
    logs: str
    items: str


@pytest.fixture(scope="module")
def traces(platform: Platform, clients: Clients) -> Traces:
    """Exports that end well and one whose workers are killed, calls that are let in and refused."""
    with attached(platform.home.warehouse) as connection:
        [(email, notes)] = connection.execute(
            "SELECT email, notes FROM lake.hr.employees "
            "WHERE tenant_id = ? AND notes LIKE 'long %' ORDER BY id LIMIT 1",
            [NORTHWIND],
        ).fetchall()
        [(account,)] = connection.execute(
            "SELECT account FROM lake.hr.payslips WHERE tenant_id = ? ORDER BY id LIMIT 1",
            [NORTHWIND],
        ).fetchall()
    client = clients.of(NORTHWIND)
    for file_format in ("csv", "ndjson"):
        operation = client.export(entity="employees", fileFormat=file_format)
        document = client.document(operation["jobs"][0]["jobId"]).decode()
        assert email in document and notes.strip() in document
    killed = clients.of(NORTHWIND)
    started = killed.start(entity="payslips")
    eventually(lambda: platform.parts(killed.prefix), within=60, what="a part was stored")
    platform.kill("ExportRange")
    killed.ended(started["operationId"])

    wrong = f"hr_{secrets.token_urlsafe(32)}"
    bad = f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(20)}."
    form = {"grant_type": "client_credentials"}
    refusals = [
        platform.call("POST", "/connect/token", data=form, auth=(client.client_id, wrong)),
        platform.call("GET", f"/data/v1/metadata?access_token={bad}"),
        *(
            platform.call("GET", "/data/v1/metadata", headers={"Authorization": f"{kind} {bad}"})
            for kind in ("Bearer", "Basic")
        ),
    ]
    assert [reply.status_code for reply in refusals] == [401] * 4

    platform.save_state()
    tables = ("OperationsTableName", "CatalogTableName", "CredentialsTableName")
    signature = client.token().rpartition(".")[2]
    return Traces(
        [email, notes.strip(), account],
        [client.client_secret, client.token(), signature, wrong, bad],
        platform.log_text(),
        json.dumps([platform.items(platform.outputs[name]) for name in tables], default=str),
    )


@pytest.mark.abuse(205)
def test_rows_lie_in_the_documents_and_nowhere_else(platform: Platform, traces: Traces) -> None:
    canaries = [row.encode() for row in traces.rows]
    stored = platform.home.objects / "000000000000" / platform.outputs["FilesBucketName"]
    for canary in canaries:
        assert any(_holds(path, [canary]) for path in stored.rglob("*.csv")), "the search finds it"
    assert _holders(platform, canaries) == []
    for row in traces.rows:
        assert row not in traces.logs
        assert row not in traces.items


@pytest.mark.abuse(206)
def test_no_secret_and_no_token_is_kept_or_logged(platform: Platform, traces: Traces) -> None:
    assert _holders(platform, [needle.encode() for needle in traces.credentials]) == []
    assert re.search(r'"(code|message)"', traces.logs), "the search finds what is logged"
    for needle in traces.credentials:
        assert needle not in traces.logs
        assert needle not in traces.items
