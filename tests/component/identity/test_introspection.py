"""How tokens stand, and their end before their time: introspection and revocation."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import jwt
import pytest

from headrace.adapters.dynamodb.api_keys import DynamoApiKeys
from headrace.catalog.model import Client
from headrace.identity.api_keys import ApiKey, KeyKind, KeyText
from headrace.kernel.ids import RandomIds
from headrace.runtime import identity
from tests.builders import SteppingClock
from tests.component.identity.deployment import (
    BASE,
    CLIENTS,
    FORM,
    Deployment,
    Response,
    called,
    event_of,
)

METADATA = "youforce-data-api:metadata:read"
INACTIVE = {"active": False}


def ask(
    deployment: Deployment,
    what: str,
    token: str | None,
    client_id: str = "acme-hr",
    source_ip: str = "203.0.113.9",
    headers: Mapping[str, str] | None = None,
    **form: str,
) -> Response:
    """POST to one of the two endpoints, by ``client_id`` with its secret."""
    sent = {"client_id": client_id, "client_secret": deployment.secrets[client_id], **form}
    if token is not None:
        sent["token"] = token
    event = event_of(
        "POST", f"/connect/{what}", headers={"Content-Type": FORM, **(headers or {})},
        source_ip=source_ip,
    )  # fmt: skip
    return called(f"{what}_token", event | {"body": urlencode(sent)})


def a_key(deployment: Deployment, kind: KeyKind = KeyKind.STATIC, service: str = "acme-hr") -> str:
    """The text of an API key of the service's, in the store."""
    now = datetime.now(UTC)
    text = KeyText.new(kind, RandomIds().new(now))
    DynamoApiKeys(deployment.tables["credentials"]).add(
        ApiKey(
            text.key_id,
            service,
            "acme",
            kind,
            now,
            "somebody",
            now + timedelta(days=365),
            shown=text.shown,
            sha256=text.sha256,
        )
    )
    return text.text


def test_a_client_is_told_how_its_token_stands(deployment: Deployment) -> None:
    token = deployment.token("acme-hr", scope=METADATA)
    reply = ask(deployment, "introspect", token)
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert reply.json == {"active": True, "token_type": "Bearer", **claims}
    assert (claims["scope"], claims["iss"]) == (METADATA, BASE)


def test_a_scope_that_the_catalog_took_away_is_not_told(deployment: Deployment) -> None:
    token = deployment.token("acme-hr")
    fewer = CLIENTS[0].__class__("acme-hr", "Acme", ("acme",), ("metadata:read",))
    deployment.publish(fewer, *CLIENTS[1:])
    assert ask(deployment, "introspect", token).json["scope"] == METADATA
    moved = CLIENTS[0].__class__("acme-hr", "Acme", ("beta",), ("metadata:read",))
    deployment.publish(moved, *CLIENTS[1:])
    assert ask(deployment, "introspect", token).json == INACTIVE


def test_what_a_call_would_refuse_is_not_active(deployment: Deployment) -> None:
    def stand() -> list[tuple[bool, bool]]:
        """Of each: is it active, and would a call be taken."""
        return [
            (
                ask(deployment, "introspect", text).json["active"],
                "client_id" in deployment.authorize(f"Bearer {text}")["context"],
            )
            for text in texts
        ]

    texts = [deployment.token("acme-hr"), a_key(deployment)]
    assert stand() == [(True, True)] * 2
    for changes in ({"tenants": ("beta",)}, {"dpop_required": True}, {"certificate_bound": True}):
        deployment.publish(replace(CLIENTS[0], **changes), *CLIENTS[1:])
        assert stand() == [(False, False)] * 2, changes
    deployment.publish(replace(CLIENTS[0], service=None), *CLIENTS[1:])
    assert stand() == [(True, True), (False, False)], "what is no service has no keys"
    deployment.publish(replace(CLIENTS[0], dpop_required=True), *CLIENTS[1:])
    # It is exchanged with a proof.
    assert ask(deployment, "introspect", a_key(deployment, KeyKind.REFRESH)).json["active"]
    deployment.publish(replace(CLIENTS[0], tenants=("beta",)), *CLIENTS[1:])
    refresh = a_key(deployment, KeyKind.REFRESH)
    assert ask(deployment, "introspect", refresh).json == INACTIVE


def test_a_token_for_every_tenant_is_told_with_the_scopes_that_it_gives(
    deployment: Deployment,
) -> None:
    vendor = Client("vendor", "Vendor", ("acme", "beta"), ("profiles:read",))
    deployment.publish(*CLIENTS, vendor)
    deployment.give_secret("vendor")
    token = deployment.token("vendor")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["tenant_id"] == "*"
    reply = ask(deployment, "introspect", token, "vendor")
    assert reply.json == {"active": True, "token_type": "Bearer", **claims}
    facts = deployment.authorize(f"Bearer {token}")["context"]
    assert (facts["tenant"], facts["scopes"]) == ("*", reply.json["scope"])
    assert ask(deployment, "revoke", token, "vendor").status == 200
    assert ask(deployment, "introspect", token, "vendor").json == INACTIVE


@pytest.mark.abuse(225)
def test_a_client_learns_nothing_of_what_is_not_its_own(deployment: Deployment) -> None:
    token = deployment.token("acme-hr")
    key, refresh = a_key(deployment), a_key(deployment, KeyKind.REFRESH)
    never = a_key(deployment)[:-43] + "A" * 43
    header, claims, signature = token.split(".")
    for text in (token, key, refresh):
        assert ask(deployment, "introspect", text, "walled").json == INACTIVE
    for text in (never, "x", "a.b.c", f"{header}.{claims}.{signature[:-4]}AAAA", "é", token + "x"):
        assert ask(deployment, "introspect", text).json == INACTIVE
        assert ask(deployment, "revoke", text).status == 200
    assert deployment.authorize(f"Bearer {token}")["context"]["client_id"] == "acme-hr"


@pytest.mark.abuse(226)
def test_a_client_ends_its_token_with_the_next_call(deployment: Deployment) -> None:
    token, other = deployment.token("acme-hr"), deployment.token("acme-hr")
    for _ in range(2):
        reply = ask(deployment, "revoke", token, token_type_hint="refresh_token")
        assert (reply.status, reply.body) == (200, "")
        assert reply.headers["Cache-Control"] == "no-store"
    denied = deployment.authorize(f"Bearer {token}")["context"]
    assert denied["code"] == "invalid_token"
    assert "revoked" in denied["detail"]
    assert ask(deployment, "introspect", token).json == INACTIVE
    assert deployment.authorize(f"Bearer {other}")["context"]["client_id"] == "acme-hr"


@pytest.mark.abuse(225)
def test_nobody_ends_a_token_or_key_of_somebody_else(deployment: Deployment) -> None:
    token, key = deployment.token("acme-hr"), a_key(deployment)
    for text in (token, key):
        reply = ask(deployment, "revoke", text, "walled")
        assert (reply.status, reply.body) == (200, "")
        assert deployment.authorize(f"Bearer {text}")["context"]["client_id"] == "acme-hr"
        assert ask(deployment, "introspect", text).json["active"]


@pytest.mark.abuse(60)
def test_a_service_sees_and_ends_its_api_keys(deployment: Deployment) -> None:
    static, refresh = a_key(deployment), a_key(deployment, KeyKind.REFRESH)
    told = ask(deployment, "introspect", static).json
    assert told["active"]
    assert (told["token_type"], told["client_id"], told["tenant_id"]) == (
        "Bearer",
        "acme-hr",
        "acme",
    )
    assert told["exp"] - told["iat"] == 365 * 86400
    assert "token_type" not in ask(deployment, "introspect", refresh).json
    for text in (static, refresh):
        assert ask(deployment, "revoke", text).status == 200
        assert ask(deployment, "introspect", text).json == INACTIVE
    assert deployment.authorize(f"Bearer {static}")["context"]["code"] == "invalid_token"


@pytest.mark.abuse(61)
def test_the_end_of_a_refresh_token_is_that_of_the_access_tokens_it_gave(
    deployment: Deployment,
) -> None:
    first = a_key(deployment, KeyKind.REFRESH)
    given = deployment.post_token({"grant_type": "refresh_token", "refresh_token": first}).json
    access, second = given["access_token"], given["refresh_token"]
    told = ask(deployment, "introspect", access).json
    assert (told["active"], told["key_id"]) == (True, first.split("_")[1])
    assert ask(deployment, "introspect", first).json == INACTIVE
    assert ask(deployment, "revoke", second).status == 200
    assert ask(deployment, "introspect", access).json == INACTIVE
    assert deployment.authorize(f"Bearer {access}")["context"]["code"] == "invalid_token"
    again = deployment.post_token({"grant_type": "refresh_token", "refresh_token": second})
    assert (again.status, again.json["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("what", ["introspect", "revoke"])
def test_the_client_must_prove_itself(deployment: Deployment, what: str) -> None:
    token = deployment.token("acme-hr")
    wrong = ask(deployment, what, token, client_secret="hr_wrong")
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")
    twice = ask(deployment, what, token, headers={"Authorization": "Basic eDp5"})
    assert (twice.status, twice.json["error"]) == (400, "invalid_request")
    missing = ask(deployment, what, None)
    assert (missing.status, missing.json["error"]) == (400, "invalid_request")
    elsewhere = ask(deployment, what, token, "walled", source_ip="198.51.100.7")
    assert (elsewhere.status, elsewhere.json["error"]) == (400, "unauthorized_client")
    assert deployment.authorize(f"Bearer {token}")["context"]["client_id"] == "acme-hr"


def test_an_expired_token_is_not_active(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = deployment.token("acme-hr")
    later = SteppingClock(datetime.now(UTC) + timedelta(hours=1, seconds=11))
    monkeypatch.setattr(identity, "clock", lambda: later)
    identity._own_keys.cache_clear()
    assert ask(deployment, "introspect", token).json == INACTIVE


def test_both_metadata_documents_are_one_and_name_the_endpoints(deployment: Deployment) -> None:
    one = deployment.get("get_openid_configuration", "/.well-known/openid-configuration")
    other = deployment.get("get_openid_configuration", "/.well-known/oauth-authorization-server")
    assert one.json == other.json
    assert one.json["introspection_endpoint"] == f"{BASE}/connect/introspect"
    assert one.json["revocation_endpoint"] == f"{BASE}/connect/revoke"
