"""Tokens by and for client certificates (RFC 8705), through the handlers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from headrace.identity.mutual_tls import thumbprint
from tests.component.identity.deployment import Deployment, Response
from tests.unit.identity.certificates_made import a_certificate

NOW = datetime.now(UTC)
TIMES: Any = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=1)}
MINE = a_certificate(("O", "Acme"), ("CN", "exports"), **TIMES)
OTHERS = a_certificate(("O", "Other"), ("CN", "exports"), **TIMES)
EXPIRED = a_certificate(
    ("O", "Acme"), ("CN", "exports"), since=NOW - timedelta(days=2), until=NOW - timedelta(days=1)
)


def ask(deployment: Deployment, certificate: str | None, **form: str) -> Response:
    fields = {"grant_type": "client_credentials", "client_id": "by-certificate", **form}
    return deployment.post_token(fields, certificate=certificate)


def token_of(reply: Response) -> str:
    assert reply.status == 200, reply.body
    return str(reply.json["access_token"])


def allows(answer: dict[str, Any]) -> bool:
    return bool(answer["policyDocument"]["Statement"][0]["Effect"] == "Allow")


def test_a_client_authenticates_by_its_certificate_and_the_token_is_bound_to_it(
    deployment: Deployment,
) -> None:
    text = token_of(ask(deployment, MINE))
    claims = jwt.decode(text, options={"verify_signature": False})
    assert claims["cnf"] == {"x5t#S256": thumbprint(MINE)}
    assert allows(deployment.authorize(f"Bearer {text}", certificate=MINE))
    for other in (None, OTHERS):
        answer = deployment.authorize(f"Bearer {text}", certificate=other)
        assert not allows(answer)
        assert answer["context"]["code"] == "invalid_token"


@pytest.mark.parametrize("certificate", [None, OTHERS, EXPIRED, "nonsense"])
def test_no_other_certificate_gets_a_token(deployment: Deployment, certificate: str | None) -> None:
    reply = ask(deployment, certificate)
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("client_id", ["acme-hr", "nobody", "\x00"])
def test_it_speaks_for_no_other_client(deployment: Deployment, client_id: str) -> None:
    reply = ask(deployment, MINE, client_id=client_id)
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


@pytest.mark.abuse(56)
@pytest.mark.parametrize(
    "name", ["X-Client-Cert", "X-Amzn-Mtls-Clientcert", "X-SSL-Client-Cert", "Client-Cert"]
)
def test_a_certificate_in_a_header_is_none(deployment: Deployment, name: str) -> None:
    header = {name: MINE.replace("\n", "%0A")}
    reply = deployment.post_token(
        {"grant_type": "client_credentials", "client_id": "by-certificate"}, headers=header
    )
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")
    text = token_of(ask(deployment, MINE))
    assert not allows(deployment.authorize(f"Bearer {text}", headers=header))


def test_a_wrong_secret_is_not_made_good_by_a_certificate(deployment: Deployment) -> None:
    reply = ask(deployment, MINE, client_secret="hr_wrong")
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


def test_a_client_whose_tokens_are_bound_asks_over_its_connection(deployment: Deployment) -> None:
    secret = deployment.secrets["certified"]
    form = {"client_id": "certified", "client_secret": secret}
    refused = ask(deployment, None, **form)
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    text = token_of(ask(deployment, OTHERS, **form))
    assert allows(deployment.authorize(f"Bearer {text}", certificate=OTHERS))
    assert not allows(deployment.authorize(f"Bearer {text}", certificate=MINE))
    assert not allows(deployment.authorize(f"Bearer {text}"))


def test_the_metadata_tells_of_it(deployment: Deployment) -> None:
    document = deployment.get("get_openid_configuration", "/.well-known/openid-configuration").json
    assert "tls_client_auth" in document["token_endpoint_auth_methods_supported"]
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert "mtls_endpoint_aliases" not in document
    deployment.configure(MUTUAL_TLS_URL="https://mtls.example.com")
    document = deployment.get("get_openid_configuration", "/.well-known/openid-configuration").json
    assert document["mtls_endpoint_aliases"] == {
        "token_endpoint": "https://mtls.example.com/connect/token"
    }
