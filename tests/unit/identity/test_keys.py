"""Which published keys are used, and when they are fetched."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headrace.identity.encoding import from_base64url, to_base64url
from headrace.identity.keys import (
    KeySet,
    VerificationKey,
    key_from_der,
    keys_from_jwks,
    thumbprint,
)
from headrace.identity.usecases import issuer_document, key_document
from headrace.kernel.errors import Unavailable
from tests.unit.identity.tokens_made import StoppedClock, ec_key, key_id, rsa_key


def key(name: str, number: int = 0) -> VerificationKey:
    return VerificationKey(name, rsa_key(number=number).public_key(), frozenset({"RS256"}))


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # The example of section 3.1.
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo"
        "c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FD"
        "W2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQF"
        "h6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "kid": "2011-04-29",
    }
    [found] = keys_from_jwks({"keys": [jwk]})
    assert not isinstance(found.key, type(ec_key().public_key()))
    assert thumbprint(found.key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_published_key_is_read_back_by_us_and_by_another_library() -> None:
    document = key_document((key("a"), key("b", 1)))
    assert [k.key_id for k in keys_from_jwks(document)] == ["a", "b"]
    assert [k.key_id for k in jwt.PyJWKSet.from_dict(document).keys] == ["a", "b"]
    assert "d" not in json.dumps([sorted(k) for k in document["keys"]]).replace("kid", "")


def test_keys_that_cannot_be_used_are_left_out_and_the_others_stay() -> None:
    good = key("good").jwk()
    curve = VerificationKey("curve", ec_key().public_key(), frozenset({"ES256"})).jwk()
    short = VerificationKey("short", rsa_key(1024).public_key(), frozenset({"RS256"})).jwk()
    listed: list[Any] = [
        good,
        short,
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "wraps", "key_ops": ["wrapKey"]},
        {**good, "kid": "odd-ops", "key_ops": "verify"},
        {**good, "kid": "other-algorithm", "alg": "RS512"},
        {**good, "kid": "odd-algorithm", "alg": ["RS256"]},
        {**good, "kid": ""},
        {**good, "kid": 7},
        {name: value for name, value in good.items() if name != "kid"},
        {**good, "kid": "no-modulus", "n": None},
        {**good, "kid": "padded", "n": good["n"] + "=="},
        {**good, "kid": "huge", "n": to_base64url(b"\xff" * 2048)},
        {**good, "kid": "even-exponent", "e": "Ag"},
        {**curve, "kid": "other-curve", "crv": "P-521"},
        {**curve, "kid": "off-curve", "x": curve["y"]},
        {**good, "kid": "twice"},
        {**good, "kid": "twice"},
        curve,
        "text",
        None,
    ]
    assert [k.key_id for k in keys_from_jwks({"keys": listed})] == ["good", "curve"]


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": None}, {"keys": [{}] * 101}])
def test_what_is_no_key_set_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a JWK set"):
        keys_from_jwks(document)


def test_a_signing_key_must_be_long_enough() -> None:
    def der(bits: int) -> bytes:
        public = (rsa_key() if bits == 2048 else rsa_key(bits)).public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert key_from_der(der(2048)).key_id == key_id()
    with pytest.raises(ValueError, match="2048"):
        key_from_der(der(1024))


def test_base64url_has_one_reading() -> None:
    for size in range(8):
        assert from_base64url(to_base64url(bytes(range(size)))) == bytes(range(size))
    for odd in ("YQ==", "YR", "Y", "Y Q", "YQ\n", "+/", "é"):
        with pytest.raises(ValueError, match="base64url"):
            from_base64url(odd)


class Publisher:
    """An issuer whose key set can be changed, counted and brought down."""

    def __init__(self) -> None:
        self.keys: tuple[VerificationKey, ...] = (key("one"),)
        self.fetches = 0
        self.down = False

    def __call__(self) -> tuple[VerificationKey, ...]:
        self.fetches += 1
        if self.down:
            raise Unavailable("down")
        return self.keys


def test_nothing_is_fetched_before_a_key_is_needed_and_then_once() -> None:
    publisher, clock = Publisher(), StoppedClock()
    keys = KeySet(publisher, clock)
    assert publisher.fetches == 0
    for _ in range(10):
        assert keys.find("one") is not None
    assert publisher.fetches == 1


def test_a_thousand_unknown_key_ids_cost_one_fetch() -> None:
    publisher, clock = Publisher(), StoppedClock()
    keys = KeySet(publisher, clock)
    for number in range(1000):
        assert keys.find(f"invented-{number}") is None
    assert publisher.fetches == 1
    assert keys.find("one") is not None
    clock.advance(minutes=2)
    for number in range(1000):
        assert keys.find(f"invented-{number}") is None
    assert publisher.fetches == 2


def test_a_new_key_is_found_after_the_cool_down() -> None:
    publisher, clock = Publisher(), StoppedClock()
    keys = KeySet(publisher, clock)
    assert keys.find("two") is None
    publisher.keys = (key("one"), key("two", 1))
    clock.advance(seconds=59)
    assert keys.find("two") is None
    clock.advance(seconds=1)
    assert keys.find("two") is not None


def test_a_withdrawn_key_is_gone_once_the_keys_are_fetched_again() -> None:
    publisher, clock = Publisher(), StoppedClock()
    keys = KeySet(publisher, clock)
    assert keys.find("one") is not None
    publisher.keys = (key("two", 1),)
    clock.advance(minutes=10)
    assert keys.find("one") is None
    assert [k.key_id for k in keys.all()] == ["two"]


def test_keys_serve_on_for_a_day_while_their_issuer_is_down() -> None:
    publisher, clock = Publisher(), StoppedClock()
    keys = KeySet(publisher, clock)
    assert keys.find("one") is not None
    publisher.down = True
    for _ in range(23):
        clock.advance(hours=1)
        assert keys.find("one") is not None
    clock.advance(hours=1)
    with pytest.raises(Unavailable):
        keys.find("one")


def test_with_no_keys_and_the_issuer_down_the_answer_is_unavailable_without_a_flood() -> None:
    publisher, clock = Publisher(), StoppedClock()
    publisher.down = True
    keys = KeySet(publisher, clock)
    for _ in range(100):
        with pytest.raises(Unavailable):
            keys.find("one")
    assert publisher.fetches == 1
    publisher.down = False
    clock.advance(seconds=5)
    assert keys.find("one") is not None


def test_the_issuers_metadata_says_only_what_is_true() -> None:
    document = issuer_document("https://api.example.com/v1", ("p:data:read",))
    assert document["issuer"] == "https://api.example.com/v1"
    assert document["token_endpoint"] == "https://api.example.com/v1/connect/token"
    assert document["jwks_uri"] == "https://api.example.com/v1/.well-known/jwks.json"
    assert document["grant_types_supported"] == ["client_credentials", "refresh_token"]
    assert document["response_types_supported"] == []
    assert "authorization_endpoint" not in document
