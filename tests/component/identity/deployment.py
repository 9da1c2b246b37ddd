"""The identity endpoints over moto's DynamoDB and KMS, called as API Gateway calls them."""

import base64
import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto import mock_aws
from moto.kms.utils import RSAPrivateKey

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.users import DynamoRoles, DynamoTeams, DynamoUsers
from headrace.catalog.model import Catalog, Client, Service, Tenant
from headrace.identity.usecases import CreateClientSecret
from headrace.identity.user_administration import CreateUser, PutRole, UserDirectory
from headrace.identity.users import Permission
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace.runtime import auditing, identity, wiring
from headrace.runtime.settings import settings
from tests.component.keyed import KEYED

REGION = "eu-west-1"
API = f"arn:aws:execute-api:{REGION}:123456789012:abc123"
BASE = "https://api.example.com/v1"
FORM = "application/x-www-form-urlencoded"
PASSWORD = "a long enough one"


@dataclass
class Response:
    """What API Gateway would send on."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Deployment:
    """A deployment of which nothing is replaced but AWS itself."""

    tables: dict[str, Table]
    signing_keys: list[str]
    monkeypatch: pytest.MonkeyPatch
    secrets: dict[str, str] = field(default_factory=dict)

    def publish(self, *clients: Client) -> None:
        """Publishes a catalog of these clients, whose tenants come along."""
        catalogs = DynamoCatalogs(self.tables["catalog"])
        tenants = sorted({tenant for client in clients for tenant in client.tenants})
        current = catalogs.current()
        catalogs.publish(
            Catalog(
                tenants=tuple(Tenant(name, name, "Europe/Amsterdam") for name in tenants),
                clients=clients,
                sources=(),
                configurations=(),
            ),
            expected=current.version if current else 0,
            moment=datetime.now(UTC),
        )

    def give_secret(self, client_id: str) -> str:
        """Makes a secret for the client, as the operator's command does."""
        create = CreateClientSecret(identity.client_secrets(), SystemClock(), RandomIds())
        _, secret = create(client_id)
        self.secrets[client_id] = secret
        return secret

    @property
    def directory(self) -> UserDirectory:
        """Users, roles and teams."""
        table = self.tables["users"]
        return UserDirectory(DynamoUsers(table), DynamoRoles(table), DynamoTeams(table))

    def add_user(
        self,
        username: str,
        *permissions: Permission,
        tenant: str = "acme",
        integrator: bool = True,
    ) -> str:
        """Makes a user with a role that allows this, as the operator's command does, and gives
        the password."""
        role = f"role of {username}"
        granted = tuple(permissions or (Permission.EXPORT_TEMPLATES,))
        PutRole(self.directory)(tenant, role, integrator=integrator, permissions=granted)
        create = CreateUser(self.directory, Argon2idPasswords(), SystemClock(), RandomIds())
        create(tenant, username, role, PASSWORD)
        return PASSWORD

    def new_signing_key(self, spec: str = "RSA_2048") -> str:
        """Another key in KMS."""
        reply = boto3.client("kms").create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
        return str(reply["KeyMetadata"]["KeyId"])

    def sign_with(self, *key_ids: str) -> None:
        """Configures the signing keys anew, as a deployment does: functions start afresh."""
        self.signing_keys = list(key_ids)
        self.configure(SIGNING_KEY_IDS=",".join(key_ids))

    def configure(self, **environment: str) -> None:
        """Changes settings; the functions start afresh."""
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)
        forget()

    # --- calls ----------------------------------------------------------------------------------

    def post_token(
        self,
        form: Mapping[str, str] | str,
        *,
        headers: Mapping[str, str] | None = None,
        source_ip: str = "203.0.113.9",
        encoded: bool = False,
        certificate: str | None = None,
    ) -> Response:
        """POST /connect/token."""
        body = form if isinstance(form, str) else urlencode(form)
        sent = {"Content-Type": FORM, **(headers or {})}
        event = event_of("POST", "/connect/token", headers=sent, source_ip=source_ip)
        _over(event, certificate)
        event["body"] = base64.b64encode(body.encode()).decode() if encoded else body
        event["isBase64Encoded"] = encoded
        return called("issue_token", event)

    def token(self, client_id: str, **form: str) -> str:
        """An access token for the client."""
        reply = self.post_token(
            {
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": self.secrets[client_id],
                **form,
            }
        )
        assert reply.status == 200, reply.body
        return str(reply.json["access_token"])

    def post_login(
        self, username: str, password: str, *, source_ip: str = "203.0.113.9"
    ) -> Response:
        """POST /api/ver3/auth/login."""
        event = event_of("POST", "/api/ver3/auth/login", source_ip=source_ip)
        event["body"] = json.dumps({"username": username, "password": password})
        return called("log_in", event)

    def get(self, module: str, path: str) -> Response:
        """GET one of the published documents."""
        return called(module, event_of("GET", path))

    def authorize(
        self,
        authorization: str | None,
        *,
        source_ip: str = "203.0.113.9",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        certificate: str | None = None,
    ) -> dict[str, Any]:
        """The authorizer's answer to a call."""
        sent = dict(headers or {})
        if authorization is not None:
            sent["Authorization"] = authorization
        event = event_of("GET", "/data/v1/metadata", headers=sent, source_ip=source_ip, query=query)
        _over(event, certificate)
        event |= {
            "type": "REQUEST",
            "methodArn": f"{API}/v1/GET/data/v1/metadata",
        }
        answer = importlib.import_module("identity.authorize").handler(event, None)
        assert isinstance(answer, dict)
        return answer


def event_of(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    source_ip: str = "203.0.113.9",
    query: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A REST API event as Lambda gets it."""
    headers = dict(headers or {})
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": {k: [v] for k, v in query.items()} if query else None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "apiId": "abc123",
            "stage": "v1",
            "resourcePath": path,
            "httpMethod": method,
            "requestId": "11111111-2222-3333-4444-555555555555",
            "identity": {"sourceIp": source_ip},
        },
        "body": None,
        "isBase64Encoded": False,
    }


def _over(event: dict[str, Any], certificate: str | None) -> None:
    """Puts a client's certificate (PEM) into the event, as API Gateway does."""
    if certificate is not None:
        event["requestContext"]["identity"]["clientCert"] = {"clientCertPem": certificate}


def called(module: str, event: Mapping[str, Any]) -> Response:
    """The answer of a function's handler."""
    answer = importlib.import_module(f"identity.{module}").handler(event, None)
    return Response(answer["statusCode"], answer["headers"], answer["body"])


def forget() -> None:
    """Empties what a process keeps, as a cold start does."""
    for module in (auditing, identity, wiring):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    settings.cache_clear()


def _sign_digest(key: RSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    """KMS's Sign with MessageType DIGEST; moto takes a digest for the message and hashes it."""
    assert (signing_algorithm, len(message)) == ("RSASSA_PKCS1_V1_5_SHA_256", 32)
    signature: bytes = key.private_key.sign(message, PKCS1v15(), Prehashed(SHA256()))
    return signature


@contextmanager
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Tables, a signing key, and two clients, each with a secret."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "PUBLIC_BASE_URL": BASE,
        "SCOPE_PREFIX": "youforce-data-api",
        "TOKEN_AUDIENCE": "headrace",
        "CATALOG_TABLE": "catalog",
        "CREDENTIALS_TABLE": "credentials",
        "PROOFS_TABLE": "proofs",
        "AUDIT_TABLE": "audit",
        "STATISTICS_TABLE": "statistics",
        "USERS_TABLE": "users",
        "CONSENTS_TABLE": "consents",
        "TRUSTED_ISSUERS": "[]",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(RSAPrivateKey, "sign", _sign_digest)
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        for name in (
            "catalog",
            "credentials",
            "proofs",
            "users",
            "consents",
            "audit",
            "statistics",
        ):
            dynamodb.create_table(TableName=name, **KEYED)
        tables = {
            name: Table(dynamodb, name)
            for name in ("catalog", "credentials", "users", "consents", "audit")
        }
        deployment = Deployment(tables, [], monkeypatch)
        deployment.sign_with(deployment.new_signing_key())
        deployment.configure(CERTIFICATE_KEY=deployment.new_signing_key("ECC_NIST_P256"))
        deployment.publish(*CLIENTS)
        for client in CLIENTS:
            deployment.give_secret(client.client_id)
        try:
            yield deployment
        finally:
            forget()


CLIENTS = (
    Client(
        "acme-hr",
        "Acme",
        ("acme",),
        ("metadata:read", "data:read", "jobs:manage"),
        service=Service("external"),
    ),
    Client("bureau", "Bureau", ("acme", "beta"), ("metadata:read", "jobs:manage")),
    Client(
        "walled",
        "Walled",
        ("beta",),
        ("metadata:read",),
        allowed_networks=("203.0.113.0/24", "2001:db8::/32"),
        service=Service("external"),
    ),
    Client(
        "bound",
        "Bound",
        ("acme",),
        ("metadata:read",),
        dpop_required=True,
        service=Service("external"),
    ),
    Client(
        "by-certificate",
        "By certificate",
        ("acme",),
        ("metadata:read",),
        tls_client_auth_subject_dn="CN=exports,O=Acme",
    ),
    Client("certified", "Certified", ("acme",), ("metadata:read",), certificate_bound=True),
)
