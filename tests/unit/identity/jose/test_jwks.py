"""Every case of ``key_cases``, put to all who read keys; sets of keys; thumbprints."""

import logging
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.catalog.schema import ClientEntry
from headrace.identity.keys import key_from_jwk, keys_from_jwks, thumbprint
from tests.unit.identity.jose.key_cases import KeyCase, key_cases
from tests.unit.identity.jose.statements import (
    ACCESS_TOKEN,
    ASSERTION,
    KINDS,
    NOW_SECONDS,
    PROOF,
    Json,
    Kind,
    b64,
    elliptic,
    jwk_of,
    name_of,
    rsa_key,
    twice,
    with_a_short_coordinate,
    with_proof,
)

ALL = list(key_cases())
SIGNING = [(kind, case) for case in ALL if case.sign is not None for kind in KINDS]


def is_in_a_catalog(jwk: Json) -> bool:
    """Whether a catalog may hold a client with this key."""
    entry = {"id": "acme-hr", "name": "Acme", "tenants": ["acme"], "jwks": {"keys": [jwk]}}
    try:
        ClientEntry.model_validate(entry)
    except ValidationError as error:
        [only] = error.errors()
        assert only["loc"] == ("jwks",), only
        return False
    return True


@pytest.mark.abuse(232)
@pytest.mark.parametrize(
    ("kind", "case"), SIGNING, ids=[f"{kind.name}: {case.name}" for kind, case in SIGNING]
)
def test_what_a_key_signed_is_taken_if_the_key_may_be_used(kind: Kind, case: KeyCase) -> None:
    jwk = {**case.jwk, "kid": "k"}
    held = {"kid": "k"} if kind.names_key else {"jwk": case.jwk}
    text = kind.text(header={**held, "alg": case.algorithm}, sign=case.sign)
    assert kind.said(text, (jwk,)) == (None if case.used else kind.code), case.rule


@pytest.mark.abuse(233)
@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_a_key_is_read_and_may_be_in_a_catalog_if_it_may_be_used(case: KeyCase) -> None:
    jwk = {**case.jwk, "kid": "k"}
    read = key_from_jwk(jwk)
    bears_out = read is not None and case.algorithm in read.algorithms
    assert bears_out is case.used, case.rule
    assert is_in_a_catalog(jwk) is (read is not None), case.rule
    assert [key.key_id for key in keys_from_jwks({"keys": [jwk]})] == ["k"] * (read is not None)


def test_no_case_is_there_twice() -> None:
    assert [name for name, times in Counter(case.name for case in ALL).items() if times > 1] == []


# --- names of keys, and sets (RFC 7517 sections 4.5 and 5) ----------------------------------------


@pytest.mark.parametrize("kid", [None, 7, True, "", ["k"], {"k": 1}, "k" * 257])
def test_a_key_without_a_name_that_a_header_can_give_is_left_out(kid: Any) -> None:
    nameless = {**jwk_of(elliptic()), "kid": kid}
    assert keys_from_jwks({"keys": [nameless]}) == ()
    assert not is_in_a_catalog(nameless)


def test_a_private_key_that_is_published_stops_no_other_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given_away = {**jwk_of(rsa_key()), "kid": "given away", "d": "AQAB"}
    good = {**jwk_of(elliptic()), "kid": "k"}
    with caplog.at_level(logging.WARNING):
        assert [key.key_id for key in keys_from_jwks({"keys": [given_away, good]})] == ["k"]
    assert "private" in caplog.text
    assert "AQAB" not in caplog.text


@pytest.mark.parametrize(
    "document",
    [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"keys": 1}, jwk_of(elliptic())],
    ids=["empty", "null", "object", "text", "number", "one key"],
)
def test_what_is_no_set_is_told_apart_from_an_empty_one(document: Json) -> None:
    with pytest.raises(ValueError, match="not a JWK set"):
        keys_from_jwks(document)
    assert keys_from_jwks({"keys": []}) == ()


def test_one_name_for_two_keys_names_none() -> None:
    first, second = ({**jwk_of(elliptic(one)), "kid": "k"} for one in (0, 1))
    text = ACCESS_TOKEN.text(header={"kid": "k"})
    assert ACCESS_TOKEN.said(text, (first,)) is None
    for both in ((first, second), (second, first)):
        assert ACCESS_TOKEN.said(text, both) == "invalid_token"


# --- thumbprints (RFC 7638) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "jwk",
    [jwk_of(elliptic()), jwk_of(rsa_key()), jwk_of(with_a_short_coordinate())],
    ids=["EC", "RSA", "a coordinate with a zero in front"],
)
def test_a_thumbprint_is_of_the_members_needed_and_of_nothing_else(jwk: Json) -> None:
    alone = key_from_jwk({**jwk, "kid": "k"})
    among = key_from_jwk({"x-a": 1, "use": "sig", "kid": "other", **dict(reversed(jwk.items()))})
    assert alone is not None
    assert among is not None
    assert thumbprint(alone.key) == thumbprint(among.key) == name_of(jwk)
    assert {name: alone.jwk()[name] for name in jwk} == jwk


@pytest.mark.parametrize(
    ("jkt", "code"),
    [
        (name_of(jwk_of(elliptic())), None),
        (name_of(jwk_of(elliptic())) + "=", "invalid_token"),
        (name_of(jwk_of(elliptic())) + " ", "invalid_token"),
        (name_of(jwk_of(elliptic())).swapcase(), "invalid_token"),
        (name_of(jwk_of(elliptic(1))), "invalid_token"),
        (name_of(jwk_of(rsa_key())), "invalid_token"),
    ],
    ids=["its own", "padded", "with a blank", "in other case", "another's", "of another kind"],
)
def test_a_bound_token_comes_with_a_proof_of_just_that_key(jkt: str, code: str | None) -> None:
    token = ACCESS_TOKEN.text(claims={"cnf": {"jkt": jkt}})
    assert with_proof(token, PROOF.text(claims={"ath": hashed(token)})) == code


def test_a_proof_is_of_just_that_token() -> None:
    token = ACCESS_TOKEN.text(claims={"cnf": {"jkt": name_of(jwk_of(elliptic()))}})
    right = hashed(token)
    for ath in (right + "=", right.swapcase(), hashed(token + "A"), "", token):
        assert with_proof(token, PROOF.text(claims={"ath": ath})) == "invalid_dpop_proof"
    assert with_proof(token, PROOF.text()) == "invalid_dpop_proof"
    assert with_proof(token, PROOF.text(claims={"ath": right})) is None


def hashed(token: str) -> str:
    """The claim ``ath`` (RFC 9449 section 4.2)."""
    from hashlib import sha256

    return b64(sha256(token.encode()).digest())


# --- used once ------------------------------------------------------------------------------------


@pytest.mark.abuse(234)
@pytest.mark.parametrize("kind", [ASSERTION, PROOF], ids=lambda kind: kind.name)
def test_a_statement_signed_anew_is_the_same_one(kind: Kind) -> None:
    """An ECDSA signature can be turned into another one without the key (n - s for s), and a
    signer makes a new one each time: what was used is known by what it says."""
    claims = kind.claims()
    first, second = kind.text(claims=claims), kind.text(claims=claims)
    assert first != second
    assert twice(kind, first, second) == (None, kind.code)
    assert twice(kind, first, kind.text(claims={**claims, "jti": "another"})) == (None, None)
    changed = {**claims, "iat": NOW_SECONDS - 1}
    assert twice(kind, first, kind.text(claims=changed)) == (None, kind.code)
