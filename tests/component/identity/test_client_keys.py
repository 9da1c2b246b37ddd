"""Clients that prove themselves by a key, through the token endpoint's handler."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from headrace.adapters.http.key_sets import HttpKeySets
from headrace.adapters.http.outbound import Fetcher
from headrace.catalog.model import Client
from headrace.runtime import identity
from tests.builders import SteppingClock
from tests.component.identity.deployment import BASE, CLIENTS, Deployment, Response
from tests.component.identity.key_server import KeyServer, key_server, send
from tests.unit.identity.proofs_made import jwk_of

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
KEYS = {
    "keys": [
        {**jwk_of(KEY), "kid": "e1"},
        {**jwk_of(RSA_KEY), "kid": "r1"},
        {**jwk_of(ec.generate_private_key(ec.SECP256R1())), "kid": "e2"},
    ]
}
_IDS = count()


def an_assertion(
    client_id: str = "keyed",
    *,
    key: Any = KEY,
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    """An assertion of now but for what is given; a claim of None is left out."""
    now = datetime.now(UTC).timestamp()
    told = {
        "iss": client_id,
        "sub": client_id,
        "aud": BASE,
        "iat": now,
        "exp": now + 60,
        "jti": f"a{next(_IDS)}",
        **claims,
    }
    told = {name: value for name, value in told.items() if value is not None}
    named = {"kid": "e1", **(header or {})}
    headers = {name: value for name, value in named.items() if value is not None}
    return jwt.encode(told, key, algorithm, headers=headers)


@dataclass
class Keyed:
    """A deployment with a client that has keys and no secret."""

    deployment: Deployment
    form: dict[str, str] = field(
        default_factory=lambda: {
            "grant_type": "client_credentials",
            "client_assertion_type": JWT_BEARER,
        }
    )

    def ask(self, assertion: str | None = None, **changes: str | None) -> Response:
        form = {**self.form, "client_assertion": assertion or an_assertion(), **changes}
        return self.deployment.post_token({k: v for k, v in form.items() if v is not None})


@pytest.fixture
def keyed(deployment: Deployment) -> Keyed:
    """Beside the usual clients, one that proves itself by one of three keys."""
    client = Client("keyed", "Keyed", ("acme",), ("metadata:read",), jwks=json.dumps(KEYS))
    deployment.publish(*CLIENTS, client)
    return Keyed(deployment)


def refused(reply: Response) -> None:
    assert (reply.status, reply.json["error"]) == (401, "invalid_client"), reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in reply.headers


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(KEY, "ES256", "e1"), (RSA_KEY, "RS256", "r1"), (RSA_KEY, "PS256", "r1")],
)
@pytest.mark.parametrize("audience", [BASE, f"{BASE}/connect/token", [BASE]], ids=str)
def test_a_client_gets_a_token_by_a_key_in_place_of_a_secret(
    keyed: Keyed, key: Any, algorithm: str, kid: str, audience: Any
) -> None:
    assertion = an_assertion(key=key, algorithm=algorithm, header={"kid": kid}, aud=audience)
    reply = keyed.ask(assertion, client_id="keyed")
    assert reply.status == 200, reply.body
    token = reply.json["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["client_id"] == "keyed"
    assert keyed.deployment.authorize(f"Bearer {token}")["context"]["client_id"] == "keyed"


def test_an_assertion_of_its_own_type_is_good(keyed: Keyed) -> None:
    reply = keyed.ask(an_assertion(header={"typ": "client-authentication+jwt"}))
    assert reply.status == 200


@pytest.mark.abuse(221)
def test_an_assertion_is_good_once(keyed: Keyed) -> None:
    once = an_assertion()
    assert keyed.ask(once).status == 200
    refused(keyed.ask(once))
    # And it is not used up by a request that was refused for something else.
    again = an_assertion()
    refused(keyed.ask(again, client_id="acme-hr"))
    assert keyed.ask(again).status == 200


@pytest.mark.abuse(222)
@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "60"},
        {"exp": True},
        {"exp": timedelta(seconds=-1)},
        {"exp": timedelta(seconds=330)},
        {"exp": 1e300},
        {"iat": None},
        {"iat": timedelta(seconds=30)},
        {"nbf": timedelta(seconds=30)},
        {"jti": None},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 300},
        {"iss": None},
        {"iss": "acme-hr"},
        {"sub": "acme-hr"},
        {"sub": None},
        {"iss": "nobody", "sub": "nobody"},
        {"iss": "bureau", "sub": "bureau"},
        {"aud": None},
        {"aud": ""},
        {"aud": []},
        {"aud": "https://elsewhere.example"},
        {"aud": f"{BASE}/"},
        {"aud": f"{BASE}/connect/tokens"},
        {"aud": BASE.upper()},
        {"aud": "headrace"},
        {"aud": [BASE, "https://elsewhere.example"]},
    ],
    ids=str,
)
def test_an_assertion_of_another_client_place_or_time_is_refused(
    keyed: Keyed, claims: dict[str, Any]
) -> None:
    now = datetime.now(UTC)
    told: dict[str, Any] = {
        name: (now + value).timestamp() if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    refused(keyed.ask(an_assertion(**told)))


@pytest.mark.abuse(223)
@pytest.mark.parametrize(
    "assertion",
    [
        pytest.param(
            lambda: an_assertion(key=ec.generate_private_key(ec.SECP256R1())), id="forged"
        ),
        pytest.param(lambda: an_assertion(header={"kid": "e2"}), id="by another key"),
        pytest.param(lambda: an_assertion(header={"kid": "e9"}), id="by an unknown key"),
        pytest.param(lambda: an_assertion(header={"kid": None}), id="by a key without name"),
        pytest.param(
            lambda: an_assertion(key="x" * 32, algorithm="HS256"), id="with a shared secret"
        ),
        pytest.param(lambda: an_assertion(key=None, algorithm="none"), id="not signed"),
        pytest.param(
            lambda: an_assertion(key=RSA_KEY, algorithm="RS512", header={"kid": "r1"}), id="RS512"
        ),
        pytest.param(lambda: an_assertion(header={"typ": "dpop+jwt"}), id="a proof"),
        pytest.param(lambda: an_assertion(header={"typ": "at+jwt"}), id="an access token"),
        pytest.param(lambda: an_assertion(header={"crit": ["x"], "x": 1}), id="with crit"),
        pytest.param(lambda: an_assertion() + "=", id="padded"),
        pytest.param(lambda: an_assertion(x="y" * 5000), id="huge"),
        pytest.param(lambda: "a.b.c", id="no assertion"),
        pytest.param(lambda: "x", id="nothing"),
    ],
)
def test_an_assertion_that_the_client_did_not_sign_is_refused(keyed: Keyed, assertion: Any) -> None:
    refused(keyed.ask(assertion()))


@pytest.mark.abuse(223)
def test_our_own_access_token_is_no_assertion(keyed: Keyed) -> None:
    refused(keyed.ask(keyed.deployment.token("acme-hr")))


def test_the_type_of_the_assertion_must_be_named(keyed: Keyed) -> None:
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    refused(keyed.ask(client_assertion_type=None))
    refused(keyed.ask(client_assertion_type=saml))
    refused(keyed.ask(client_assertion=None))


@pytest.mark.abuse(224)
def test_a_client_proves_itself_in_one_way_only(keyed: Keyed) -> None:
    secret = keyed.deployment.give_secret("keyed")
    assertion = an_assertion()
    both = keyed.ask(assertion, client_id="keyed", client_secret=secret)
    assert (both.status, both.json["error"]) == (400, "invalid_request")
    assert keyed.ask(assertion).status == 200


def test_a_client_without_keys_is_not_known_by_an_assertion(keyed: Keyed) -> None:
    refused(keyed.ask(an_assertion("acme-hr")))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KeyServer]:
    """Where a client publishes its keys."""
    with key_server(tmp_path) as server:
        server.document = KEYS
        yield server


def test_a_client_may_publish_its_keys_and_change_them(
    keyed: Keyed, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client("public", "P", ("acme",), ("metadata:read",), jwks_uri=server.url)
    keyed.deployment.publish(*CLIENTS, client)
    clock = SteppingClock()
    key_sets = HttpKeySets(Fetcher(server.policy()), clock)
    monkeypatch.setattr(identity, "_foreign_keys", lambda: key_sets)
    for _ in range(3):
        assert keyed.ask(an_assertion("public")).status == 200
    assert len(server.requests) == 1
    new = ec.generate_private_key(ec.SECP256R1())
    server.document = {"keys": [{**jwk_of(new), "kid": "e3"}]}
    clock.advance(seconds=61)
    assert keyed.ask(an_assertion("public", key=new, header={"kid": "e3"})).status == 200
    refused(keyed.ask(an_assertion("public")))
    # A thousand invented key ids cost the client's server nothing more.
    for number in range(20):
        refused(keyed.ask(an_assertion("public", header={"kid": f"x{number}"})))
    assert len(server.requests) == 2


def test_while_its_keys_cannot_be_read_the_answer_is_unavailable(
    keyed: Keyed, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client("public", "P", ("acme",), ("metadata:read",), jwks_uri=server.url)
    keyed.deployment.publish(*CLIENTS, client)
    server.answer = lambda request: send(request, 500, b"")
    key_sets = HttpKeySets(Fetcher(server.policy()), SteppingClock())
    monkeypatch.setattr(identity, "_foreign_keys", lambda: key_sets)
    assert keyed.ask(an_assertion("public")).status == 503
    # An assertion that cannot be good anyway has nobody read anything.
    before = len(server.requests)
    refused(keyed.ask(an_assertion("public", aud="https://elsewhere.example")))
    assert len(server.requests) == before
