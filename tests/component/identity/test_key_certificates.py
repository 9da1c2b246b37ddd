"""Services that call with a client certificate of ours, through the authorizer's handler."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.adapters.dynamodb.api_keys import DynamoApiKeys
from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.catalog.model import Client
from headrace.catalog.model import Service as CatalogService
from headrace.identity.api_keys import LIFETIME, ApiKey, KeyKind
from headrace.identity.certificates import Subject
from headrace.identity.certifying import Certify, CreateAuthority
from headrace.identity.users import Management
from headrace.kernel.clock import Clock, SystemClock
from headrace.kernel.ids import RandomIds
from headrace.runtime import identity
from headrace.runtime.api import Scope
from tests.component.consents.tables import Tables
from tests.component.identity.deployment import CLIENTS, Deployment, Response, event_of
from tests.unit.identity.certificates_made import a_certificate, a_request
from tests.unit.identity.keys_made import a_key
from tests.unit.identity.tokens_made import StoppedClock

NOW = datetime.now(UTC).replace(microsecond=0)
STANDS_FOR_IT = "Bearer client-certificate"


@dataclass
class Service:
    """A service of the deployment, and how it calls."""

    deployment: Deployment

    def key(self, kind: KeyKind = KeyKind.CERTIFICATE, **changes: Any) -> ApiKey:
        """A key of it."""
        times = {"created_at": NOW, "expires_at": NOW + LIFETIME}
        key, _ = a_key(kind, key_id=RandomIds().new(NOW), **(times | changes))
        self.keys.add(key)
        return key

    def certificate(self, key: ApiKey, clock: Clock | None = None) -> str:
        """The certificate of the key."""
        subject = Subject(key.common_name, key.organizational_unit)
        request = a_request(
            ("OU", subject.service),
            ("CN", subject.key_id),
            key=ec.generate_private_key(ec.SECP256R1()),
        )
        wired = identity.certify()
        certify = Certify(wired.certificates, wired.key, clock or SystemClock())
        return certify(subject, key.expires_at, request).certificate.pem

    def calls(
        self,
        certificate: str | None,
        authorization: str | None = STANDS_FOR_IT,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """Who the authorizer says is calling; None for nobody."""
        answer = self.deployment.authorize(
            authorization, certificate=certificate, headers=headers or {}
        )
        [statement] = answer["policyDocument"]["Statement"]
        context: dict[str, Any] = answer["context"]
        if statement["Effect"] == "Allow":
            return context
        assert context["code"] == "invalid_token"
        assert context["challenge"].startswith("Bearer ")
        return None

    @property
    def keys(self) -> DynamoApiKeys:
        """Those that the deployment's functions see."""
        return DynamoApiKeys(self.deployment.tables["credentials"])


@pytest.fixture
def service(deployment: Deployment) -> Service:
    """With an authority."""
    wired = identity.certify()
    CreateAuthority(wired.certificates, wired.key, SystemClock())("Headrace test")
    return Service(deployment)


def test_the_certificate_of_a_key_is_the_service(service: Service) -> None:
    key = service.key()
    caller = service.calls(service.certificate(key))
    assert caller == {
        "tenant": "acme",
        "client_id": "acme-hr",
        "scopes": "youforce-data-api:data:read youforce-data-api:jobs:manage "
        "youforce-data-api:metadata:read",
        "credential": key.key_id,
    }
    used = service.keys.find(key.key_id)
    assert used is not None
    assert used.last_used_at is not None


@pytest.mark.abuse(50)
def test_without_a_certificate_the_word_is_nothing(service: Service) -> None:
    service.certificate(service.key())
    assert service.calls(None) is None
    assert service.calls("nonsense") is None


def test_a_certificate_without_the_word_is_nothing(service: Service) -> None:
    assert service.calls(service.certificate(service.key()), None) is None


@pytest.mark.abuse(51)
@pytest.mark.abuse(55)
def test_a_certificate_that_we_did_not_issue_is_nobody(service: Service) -> None:
    key = service.key()
    service.certificate(key)
    names = (("OU", "acme-hr"), ("CN", key.key_id))
    forged = a_certificate(*names, since=NOW - timedelta(days=1), until=NOW + timedelta(days=1))
    assert service.calls(forged) is None


@pytest.mark.abuse(53)
def test_an_expired_certificate_is_nobody(service: Service) -> None:
    long_ago = StoppedClock(NOW - timedelta(days=366))
    key = service.key(expires_at=NOW + timedelta(days=30))
    expired = service.certificate(key, long_ago)
    assert service.calls(expired) is None


@pytest.mark.abuse(54)
def test_a_revoked_key_ends_its_certificate_at_the_next_call(service: Service) -> None:
    key, other = service.key(), service.key()
    mine, others = service.certificate(key), service.certificate(other)
    assert service.calls(mine)
    service.keys.revoke(key.key_id, NOW)
    assert service.calls(mine) is None
    assert service.calls(others)


@pytest.mark.abuse(56)
@pytest.mark.parametrize(
    "name",
    ["X-Client-Cert", "X-Amzn-Mtls-Clientcert", "X-Forwarded-Client-Cert", "Client-Cert"],
)
def test_a_certificate_in_a_header_is_ignored(service: Service, name: str) -> None:
    mine = service.certificate(service.key())
    for written in (mine, mine.replace("\n", "%0A"), "".join(mine.splitlines()[1:-1])):
        assert service.calls(None, headers={name: written}) is None


def test_a_service_that_left_the_catalog_is_nobody(service: Service) -> None:
    mine = service.certificate(service.key())
    service.deployment.publish(*(one for one in CLIENTS if one.client_id != "acme-hr"))
    assert service.calls(mine) is None


def test_the_certificate_of_a_key_gets_no_token_by_its_subject(service: Service) -> None:
    key = service.key()
    mine = service.certificate(key)
    named = Client(
        "acme-hr",
        "Acme",
        ("acme",),
        ("metadata:read",),
        tls_client_auth_subject_dn=f"CN={key.key_id},OU=acme-hr",
    )
    service.deployment.publish(named)
    form = {"grant_type": "client_credentials", "client_id": "acme-hr"}
    reply = service.deployment.post_token(form, certificate=mine)
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


def test_a_broker_calls_for_its_member_with_its_certificate(service: Service) -> None:
    hub = Client("hub", "Hub", ("acme",), ("metadata:read",), service=CatalogService("broker"))
    service.deployment.publish(hub)
    tables = service.deployment.tables
    Tables(tables["consents"], tables["catalog"], SystemClock()).begin(
        "acme", "broker#hub", "clinic"
    )
    mine = service.certificate(service.key(service="hub"))
    caller = service.calls(mine, f"{STANDS_FOR_IT}; grp=clinic")
    assert caller is not None and caller["organisation"] == "clinic"
    alone, strange = service.calls(mine), service.calls(mine, f"{STANDS_FOR_IT}; grp=others")
    assert alone is not None and "organisation" not in alone
    assert strange == {"refusal": "organisation_not_allowed"}


# --- the endpoint that issues them ------------------------------------------------------------

ADA = "id-ada"


def certify(key_id: str, csr: str, **changes: Any) -> Response:
    """What the endpoint answers to the manager."""
    given = {"service": "analyzer", "user": ADA, "tenant": "acme"} | changes
    handler = importlib.import_module("identity.certify_key").handler
    event = event_of("POST", handler.route.path)
    event["pathParameters"] = {"serviceId": given["service"], "keyId": key_id}
    event["body"] = json.dumps({"csr": csr})
    event["requestContext"]["authorizer"] = {
        "tenant": given["tenant"],
        "client_id": "user",
        "user": given["user"],
        "scopes": Scope.SERVICES_MANAGE.full,
    }
    answer = handler(event, None)
    return Response(answer["statusCode"], answer["headers"], answer["body"])


@pytest.fixture
def managed(service: Service) -> Service:
    """The service ``analyzer`` with its manager, Ada."""
    analyzer = CatalogService("external")
    service.deployment.publish(
        *CLIENTS, Client("analyzer", "Analyzer", ("acme",), service=analyzer)
    )
    table = service.deployment.tables["credentials"]
    DynamoManagers(table).save("analyzer", Management(frozenset({ADA})))
    return service


def request_for(key: ApiKey) -> str:
    """A request by a key pair of its own."""
    private = ec.generate_private_key(ec.SECP256R1())
    return a_request(("OU", key.service), ("CN", key.key_id), key=private).decode()


def test_a_manager_gets_the_certificate_of_a_key_and_the_same_again(managed: Service) -> None:
    key = managed.key(service="analyzer")
    csr = request_for(key)
    first = certify(key.key_id, csr)
    assert first.status == 200, first.body
    assert first.json["keyId"] == key.key_id
    assert first.json["chain"] == identity.certificates().authority()
    assert certify(key.key_id, csr).json == first.json
    caller = managed.calls(first.json["certificate"])
    assert caller is not None
    assert (caller["client_id"], caller["credential"]) == ("analyzer", key.key_id)
    assert certify(key.key_id, request_for(key)).status == 409


@pytest.mark.abuse(51)
def test_a_request_in_another_keys_name_is_422(managed: Service) -> None:
    key, other = managed.key(service="analyzer"), managed.key(service="analyzer")
    refused = certify(key.key_id, request_for(other))
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "csr")
    assert certify(key.key_id, "no request").status == 400


def test_only_a_certificates_key_that_works_gets_one(managed: Service) -> None:
    static = managed.key(KeyKind.STATIC, service="analyzer")
    revoked = managed.key(service="analyzer")
    managed.keys.revoke(revoked.key_id, NOW)
    for key in (static, revoked):
        assert certify(key.key_id, request_for(key)).status == 409


@pytest.mark.parametrize(
    "changes", [{"user": "id-bob"}, {"tenant": "beta"}, {"service": "acme-hr"}], ids=str
)
def test_who_does_not_manage_the_service_cannot_tell_that_the_key_is_there(
    managed: Service, changes: dict[str, str]
) -> None:
    key = managed.key(service="analyzer")
    refused = certify(key.key_id, request_for(key), **changes)
    never = certify(key.key_id, request_for(key), service="never-was")
    assert (refused.status, refused.body) == (404, never.body)


def test_without_an_authority_the_operator_is_to_be_asked(deployment: Deployment) -> None:
    service = Service(deployment)
    deployment.publish(
        *CLIENTS, Client("analyzer", "Analyzer", ("acme",), service=CatalogService("external"))
    )
    DynamoManagers(deployment.tables["credentials"]).save("analyzer", Management(frozenset({ADA})))
    key = service.key(service="analyzer")
    assert certify(key.key_id, request_for(key)).status == 503
