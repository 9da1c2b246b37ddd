"""POST /connect/token through its handler, and the documents that go with it."""

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import boto3
import jwt
import pytest

from headrace.runtime import identity
from headrace.runtime.api import Scope
from tests.component.identity.deployment import BASE, CLIENTS, Deployment, Response

ALL = "youforce-data-api:data:read youforce-data-api:jobs:manage youforce-data-api:metadata:read"


def ask(deployment: Deployment, client_id: str = "acme-hr", **changes: str | None) -> Response:
    """A good request with changes; None leaves a parameter out."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": deployment.secrets[client_id],
        **changes,
    }
    return deployment.post_token({k: v for k, v in form.items() if v is not None})


def assert_refused(reply: Response, status: int, error: str) -> str:
    assert (reply.status, reply.json["error"]) == (status, error), reply.body
    assert reply.json.keys() == {"error", "error_description"}
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Pragma"] == "no-cache"
    return str(reply.json["error_description"])


@pytest.mark.parametrize("key", ["", "x" * 256, "é" * 40, "a\tb" * 20])
def test_an_idempotency_key_that_is_none_is_refused_as_the_rfc_writes_it(
    deployment: Deployment, key: str
) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "hrr_x"}
    reply = deployment.post_token(form, headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in assert_refused(reply, 400, "invalid_request")


def test_a_client_gets_a_token_that_another_library_verifies_by_the_published_keys(
    deployment: Deployment,
) -> None:
    reply = ask(deployment)
    assert reply.status == 200
    assert reply.json.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("Bearer", 3600)
    assert reply.json["scope"] == ALL
    assert reply.headers["Cache-Control"] == "no-store"
    text = reply.json["access_token"]
    published = deployment.get("get_jwks", "/.well-known/jwks.json")
    assert published.headers["Cache-Control"] == "public, max-age=300"
    keys = jwt.PyJWKSet.from_dict(published.json)
    header = jwt.get_unverified_header(text)
    assert (header["typ"], header["alg"]) == ("at+jwt", "RS256")
    claims = jwt.decode(
        text, keys[header["kid"]].key, algorithms=["RS256"], audience="headrace", issuer=BASE
    )
    assert claims.keys() == {
        *("iss", "aud", "sub", "client_id", "tenant_id", "scope", "iat", "exp", "jti")
    }
    assert (claims["sub"], claims["client_id"]) == ("acme-hr", "acme-hr")
    assert (claims["tenant_id"], claims["scope"]) == ("acme", ALL)
    assert claims["exp"] - claims["iat"] == 3600


def test_no_two_tokens_are_alike(deployment: Deployment) -> None:
    tokens = [deployment.token("acme-hr") for _ in range(3)]
    ids = {jwt.decode(t, options={"verify_signature": False})["jti"] for t in tokens}
    assert len(ids) == 3


def test_the_secret_may_come_by_http_basic_and_the_body_in_base64(deployment: Deployment) -> None:
    pair = f"acme-hr:{deployment.secrets['acme-hr']}"
    header = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    form = {"grant_type": "client_credentials"}
    assert deployment.post_token(form, headers=header).status == 200
    assert deployment.post_token(form, headers=header, encoded=True).status == 200


def test_a_client_of_several_tenants_must_name_one(deployment: Deployment) -> None:
    description = assert_refused(ask(deployment, "bureau"), 400, "invalid_request")
    assert "tenant_id" in description
    for tenant in ("acme", "beta"):
        claims = jwt.decode(
            deployment.token("bureau", tenant_id=tenant), options={"verify_signature": False}
        )
        assert claims["tenant_id"] == tenant


@pytest.mark.parametrize("client_id", ["acme-hr", "bureau"])
def test_a_tenant_of_others_is_refused_exactly_as_one_that_never_was(
    deployment: Deployment, client_id: str
) -> None:
    deployment.publish(*CLIENTS, CLIENTS[0].__class__("third", "Third", ("gamma",)))
    others = ask(deployment, client_id, tenant_id="gamma")
    never = ask(deployment, client_id, tenant_id="nowhere")
    assert_refused(others, 400, "invalid_request")
    assert (others.body, others.headers) == (never.body, never.headers)


def test_scopes_may_be_narrowed(deployment: Deployment) -> None:
    wanted = "youforce-data-api:metadata:read youforce-data-api:data:read"
    reply = ask(deployment, scope=wanted)
    assert reply.json["scope"].split() == sorted(wanted.split())


@pytest.mark.abuse(23)
@pytest.mark.parametrize(
    "scope",
    [
        "youforce-data-api:data:read",
        ALL,
        "youforce-data-api:admin",
        "youforce-data-api:METADATA:READ",
        "metadata:read",
        "youforce-data-api:metadata:read  youforce-data-api:jobs:manage",
        " youforce-data-api:metadata:read",
        'youforce-data-api:"metadata":read',
        "*",
        "\x00",
    ],
)
def test_a_scope_beyond_the_clients_own_is_an_invalid_scope(
    deployment: Deployment, scope: str
) -> None:
    reply = ask(deployment, "bureau", tenant_id="acme", scope=scope)
    assert_refused(reply, 400, "invalid_scope")
    # What is most often wrong is the deployment's prefix, which the catalog leaves off.
    assert "by their full names" in json.loads(reply.body)["error_description"]


@pytest.mark.abuse(21)
def test_a_wrong_secret_and_an_unknown_client_get_one_and_the_same_answer(
    deployment: Deployment,
) -> None:
    wrong = ask(deployment, client_secret="hr_" + "x" * 43)
    assert_refused(wrong, 401, "invalid_client")
    deployment.secrets["nobody"] = deployment.secrets["acme-hr"]
    replies = [
        ask(deployment, "nobody"),
        ask(deployment, client_secret=deployment.secrets["bureau"]),
        ask(deployment, client_secret=deployment.secrets["acme-hr"][:-1]),
        ask(deployment, client_secret=None),
        deployment.post_token({"grant_type": "client_credentials", "client_secret": "x"}),
        deployment.post_token(
            {"grant_type": "client_credentials", "client_id": "x#y\n" * 500, "client_secret": "x"}
        ),
    ]
    for reply in replies:
        assert (reply.status, reply.body, reply.headers) == (401, wrong.body, wrong.headers)


@pytest.mark.abuse(21)
def test_the_same_reads_are_made_for_a_known_and_an_unknown_client(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    original = deployment.tables["catalog"].__class__.get

    def counted(table: object, pk: str, sk: str) -> object:
        reads.append(sk.split("#", maxsplit=1)[0])
        return original(table, pk, sk)  # type: ignore[arg-type]

    monkeypatch.setattr(deployment.tables["catalog"].__class__, "get", counted)
    seen = []
    deployment.secrets["nobody"] = "hr_wrong"
    deployment.token("acme-hr")  # what a warm process remembers must not show either
    for client_id in ("acme-hr", "nobody"):
        reads.clear()
        assert ask(deployment, client_id, client_secret="hr_wrong").status == 401
        seen.append(list(reads))
    assert seen[0] == seen[1] == ["secrets"]


def test_the_challenge_names_basic_when_the_client_used_it(deployment: Deployment) -> None:
    header = {"Authorization": "Basic " + base64.b64encode(b"acme-hr:wrong").decode()}
    reply = deployment.post_token({"grant_type": "client_credentials"}, headers=header)
    assert_refused(reply, 401, "invalid_client")
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="headrace"'
    assert "WWW-Authenticate" not in ask(deployment, client_secret="wrong").headers


@pytest.mark.abuse(22)
def test_an_unknown_grant_is_unsupported(deployment: Deployment) -> None:
    assert_refused(ask(deployment, grant_type="password"), 400, "unsupported_grant_type")
    assert_refused(ask(deployment, grant_type=None), 400, "invalid_request")


@pytest.mark.abuse(25)
def test_a_json_body_is_an_invalid_request(deployment: Deployment) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "acme-hr",
        "client_secret": deployment.secrets["acme-hr"],
    }
    reply = deployment.post_token(json.dumps(form), headers={"Content-Type": "application/json"})
    assert_refused(reply, 400, "invalid_request")
    assert_refused(deployment.post_token(json.dumps(form)), 400, "invalid_request")


def test_a_parameter_sent_twice_is_an_invalid_request(deployment: Deployment) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "acme-hr",
        "client_secret": deployment.secrets["acme-hr"],
    }
    reply = deployment.post_token(urlencode(form) + "&client_id=acme-hr")
    assert_refused(reply, 400, "invalid_request")


@pytest.mark.parametrize(
    ("source_ip", "status"),
    [
        ("203.0.113.77", 200),
        ("::ffff:203.0.113.77", 200),
        ("2001:db8::7", 200),
        ("198.51.100.7", 400),
        ("2001:db9::7", 400),
        ("", 400),
    ],
)
def test_a_client_gets_tokens_in_its_own_networks_only(
    deployment: Deployment, source_ip: str, status: int
) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "walled",
        "client_secret": deployment.secrets["walled"],
    }
    forged = {"X-Forwarded-For": "203.0.113.77", "Forwarded": "for=203.0.113.77"}
    reply = deployment.post_token(form, source_ip=source_ip, headers=forged)
    assert reply.status == status
    if status == 400:
        assert "network" in assert_refused(reply, 400, "unauthorized_client")
        wrong = deployment.post_token(form | {"client_secret": "wrong"}, source_ip=source_ip)
        assert_refused(wrong, 401, "invalid_client")


def test_two_secrets_work_side_by_side_and_a_revoked_one_ends_at_once(
    deployment: Deployment,
) -> None:
    first = deployment.secrets["acme-hr"]
    second = deployment.give_secret("acme-hr")
    assert ask(deployment, client_secret=first).status == 200
    assert ask(deployment, client_secret=second).status == 200
    secrets = identity.client_secrets()
    secrets.revoke("acme-hr", secrets.of("acme-hr")[0].secret_id)
    assert_refused(ask(deployment, client_secret=first), 401, "invalid_client")
    assert ask(deployment, client_secret=second).status == 200


def test_a_client_that_is_no_longer_published_gets_no_token(deployment: Deployment) -> None:
    deployment.publish(*CLIENTS[1:])
    assert_refused(ask(deployment), 401, "invalid_client")


def test_before_anything_is_published_nobody_gets_a_token(deployment: Deployment) -> None:
    boto3.client("dynamodb").delete_item(
        TableName="catalog", Key={"pk": {"S": "catalog"}, "sk": {"S": "current"}}
    )
    assert_refused(ask(deployment), 401, "invalid_client")


def test_secrets_are_stored_as_hashes_only(deployment: Deployment) -> None:
    stored = json.dumps(boto3.client("dynamodb").scan(TableName="credentials")["Items"])
    for secret in deployment.secrets.values():
        assert secret.startswith("hr_")
        assert len(secret) == 3 + 43
        assert secret not in stored
        assert secret[3:] not in stored


def test_neither_secrets_nor_tokens_get_into_the_logs(
    deployment: Deployment, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = deployment.secrets["acme-hr"]
    pair = base64.b64encode(f"acme-hr:{secret}".encode()).decode()
    token = deployment.token("acme-hr")
    deployment.authorize(f"Bearer {token}")
    deployment.authorize(f"Bearer {token}x")
    ask(deployment, client_secret=secret + "x")
    ask(deployment, scope="nothing")
    deployment.post_token({}, headers={"Authorization": f"Basic {pair}"})
    deployment.sign_with("00000000-0000-0000-0000-000000000000")
    assert ask(deployment).status == 500
    written = "".join(capfd.readouterr()) + "".join(r.getMessage() for r in _ours(caplog))
    assert written
    for private in (secret, pair, token, token.split(".")[2]):
        assert private not in written


def _ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    # The AWS SDK logs requests at debug level, which no deployment turns on.
    return [record for record in caplog.records if not record.name.startswith(("boto", "urllib3"))]


@pytest.mark.abuse(140)
def test_a_failure_of_ours_says_nothing_but_its_correlation_id(deployment: Deployment) -> None:
    deployment.sign_with("00000000-0000-0000-0000-000000000000")
    reply = ask(deployment)
    assert reply.status == 500
    assert reply.json["correlationId"] == "11111111-2222-3333-4444-555555555555"
    for inside in ("Traceback", "kms", "KMS", "00000000-0000", "NotFound", "botocore"):
        assert inside not in reply.body


def test_while_the_signing_key_cannot_be_used_the_answer_is_unavailable(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto signs with disabled keys, KMS does not.
    kms = wired_kms(deployment)
    error = kms.exceptions.DisabledException({"Error": {"Code": "DisabledException"}}, "Sign")

    def disabled(**_: object) -> Mapping[str, object]:
        raise error

    monkeypatch.setattr(kms, "sign", disabled)
    reply = ask(deployment)
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert reply.headers["Retry-After"] == "5"


def wired_kms(deployment: Deployment) -> Any:
    """The KMS client that the functions use in this process."""
    deployment.configure()
    return identity.signing_keys().client


def test_the_metadata_leads_to_the_keys_and_the_token_endpoint(deployment: Deployment) -> None:
    reply = deployment.get("get_openid_configuration", "/.well-known/openid-configuration")
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "public, max-age=300"
    assert reply.json["issuer"] == BASE
    assert reply.json["jwks_uri"] == f"{BASE}/.well-known/jwks.json"
    assert reply.json["scopes_supported"] == [scope.full for scope in Scope]


def test_without_a_configured_url_the_issuer_is_the_apis_own_endpoint(
    deployment: Deployment,
) -> None:
    deployment.configure(PUBLIC_BASE_URL="")
    own = "https://abc123.execute-api.eu-west-1.amazonaws.com/v1"
    token = deployment.token("acme-hr")
    assert jwt.decode(token, options={"verify_signature": False})["iss"] == own
    assert deployment.authorize(f"Bearer {token}")["context"]["client_id"] == "acme-hr"
    reply = deployment.get("get_openid_configuration", "/.well-known/openid-configuration")
    assert reply.json["issuer"] == own


def test_the_scopes_prefix_is_a_setting(deployment: Deployment) -> None:
    deployment.configure(SCOPE_PREFIX="acme-exports")
    reply = ask(deployment)
    assert all(name.startswith("acme-exports:") for name in reply.json["scope"].split())
    context = deployment.authorize(f"Bearer {reply.json['access_token']}")["context"]
    assert context["scopes"] == reply.json["scope"]


def test_the_methods_that_are_wired_are_those_that_the_metadata_lists(
    deployment: Deployment,
) -> None:
    wired = identity.authenticate_client().methods
    listed = deployment.get("get_openid_configuration", "/.well-known/openid-configuration").json
    assert [m.name for m in wired] == listed["token_endpoint_auth_methods_supported"]
