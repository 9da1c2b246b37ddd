"""An environment whose calls the real handlers answer, over moto's DynamoDB, KMS and S3."""

import base64
import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Item, Table, unmarshal
from headrace.adapters.dynamodb.webhook_secrets import DynamoWebhookSecrets
from headrace.adapters.kms.seal import KmsSeal
from headrace.catalog.model import Catalog, Tenant
from headrace.datasets.definitions import Application, Definition, OutputFormat
from headrace.datasets.definitions import Table as ApplicationTable
from headrace.datasets.model import Process
from headrace.exports.delivering import IssueWebhookSecret
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace.runtime import auditing, datasets, environments, imports, wiring
from headrace.runtime.settings import settings
from tests.component.identity.deployment import REGION, event_of
from tests.world import template

TENANT, OTHER = "north", "south"
PREFIX = "youforce-data-api"
PRODUCTS = ApplicationTable(7, "PRODUCTS", "public.products", ("code",), functional_key=("code",))
CLAIMS = Definition("CLAIMS", "Claims", OutputFormat.ZIP, (PRODUCTS,), (7,))
PROVIDERS = Definition(
    "PROVIDERS", "Providers", OutputFormat.XML, (PRODUCTS,), (7,), sources_property="PRD"
)
BASE = "https://api.example.com/v1"
BUCKET = "payloads"


def an_application(tenant: str = TENANT, **changes: Any) -> Application:
    values: dict[str, Any] = {
        "application_id": "claims",
        "tenant": tenant,
        "name": "Claims",
        "identifier": "TARGET",
        "version": "4.24.1",
        "options": {"host": "localhost", "database": "claims", "user": "headrace"},
        "definitions": (CLAIMS, PROVIDERS),
    }
    return Application(**(values | changes))


@dataclass
class Begun:
    """``Runs`` that are begun and nothing more."""

    processes: list[Process] = field(default_factory=list)

    def start(self, process: Process) -> None:
        """See the port."""
        self.processes.append(process)


@dataclass
class Answered:
    """What API Gateway would send on."""

    status: int
    headers: dict[str, str]
    body: str
    is_base64: bool = False

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return base64.b64decode(self.body) if self.is_base64 else self.body.encode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Deployed:
    """An environment. ``tenant``: whose caller calls."""

    tables: dict[str, Table]
    monkeypatch: pytest.MonkeyPatch
    published: list[Application] = field(default_factory=list)

    def publish(self, *applications: Application) -> None:
        """Publishes a catalog of these applications."""
        catalogs = DynamoCatalogs(self.tables["catalog"])
        current = catalogs.current()
        catalogs.publish(
            Catalog(
                tenants=tuple(Tenant(name, name, "Europe/Amsterdam") for name in (TENANT, OTHER)),
                clients=(),
                sources=(),
                configurations=(),
                applications=applications,
            ),
            expected=current.version if current else 0,
            moment=datetime.now(UTC),
        )

    def configure(self, **environment: str) -> None:
        """Changes settings; the functions start afresh."""
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)
        forget()

    def call(
        self,
        module: str,
        method: str,
        path: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        tenant: str = TENANT,
        scopes: tuple[str, ...] = ("dataexchange",),
        client: str = "carrier",
        **changes: Any,
    ) -> Answered:
        """The answer of a function."""
        event = event_of(method, "/x")
        event["pathParameters"] = dict(path or {})
        event["body"] = None if body is None else json.dumps(body)
        event["requestContext"]["authorizer"] = {
            "tenant": tenant,
            "client_id": client,
            "scopes": " ".join(f"{PREFIX}:{scope}" for scope in scopes),
        }
        event |= changes
        answer = importlib.import_module(f"datasets.{module}").handler(event, None)
        is_base64 = answer.get("isBase64Encoded", False)
        return Answered(answer["statusCode"], answer["headers"], answer["body"], is_base64)

    def issue_secret(self, owner: str, endpoint: str) -> str:
        """A signing secret, as the operator's command makes it."""
        seal = KmsSeal(boto3.client("kms"), settings().webhook_key)
        secrets = DynamoWebhookSecrets(self.tables["webhook_secrets"], seal)
        return IssueWebhookSecret(secrets, SystemClock(), RandomIds())(owner, endpoint)[1]

    def items(self, table: str) -> list[Item]:
        """Everything in a table."""
        client = self.tables[table].client
        return [unmarshal(item) for item in client.scan(TableName=table)["Items"]]


def forget() -> None:
    """Empties what a process keeps, as a cold start does."""
    for module in (auditing, datasets, environments, imports, wiring):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    settings.cache_clear()


@contextmanager
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """With an application of one tenant of two."""
    names = ("catalog", "datasets", "audit", "statistics", "webhook_secrets")
    values = {f"{name.upper()}_TABLE": name for name in names}
    values |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "PUBLIC_BASE_URL": BASE,
        "SCOPE_PREFIX": PREFIX,
        "ENVIRONMENT_NETWORKS": "127.0.0.0/8",
        "WEBHOOK_NETWORKS": "127.0.0.0/8",
        "DATASETS_BUCKET": BUCKET,
        "DATASETS_STATE_MACHINE": f"arn:aws:states:{REGION}:123456789012:stateMachine:datasets",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        shape = template()["Resources"]["DataSetsTable"]["Properties"]
        wanted = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
        for name in names:
            # That of data sets is as the template has it; its keys are those of the others.
            dynamodb.create_table(TableName=name, **{part: shape[part] for part in wanted})
        location = {"LocationConstraint": REGION}
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        here = Deployed({name: Table(dynamodb, name) for name in names}, monkeypatch)
        here.configure(EXCHANGE_KEY=str(key), FILES_KEY=str(key), WEBHOOK_KEY=str(key))
        here.publish(an_application())
        try:
            yield here
        finally:
            forget()
