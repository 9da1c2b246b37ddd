"""Services that call with a client certificate of ours, through the authorizer's handler."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.adapters.dynamodb.api_keys import DynamoApiKeys
from headrace.catalog.model import Client
from headrace.identity.api_keys import LIFETIME, ApiKey, KeyKind
from headrace.identity.certificates import Subject
from headrace.identity.certifying import Certify, CreateAuthority
from headrace.kernel.clock import Clock, SystemClock
from headrace.kernel.ids import RandomIds
from headrace.runtime import identity
from tests.component.identity.deployment import CLIENTS, Deployment
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
