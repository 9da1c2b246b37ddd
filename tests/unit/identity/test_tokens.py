"""Which tokens are believed."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.identity.keys import KeySet, VerificationKey, keys_from_jwks, thumbprint
from headrace.identity.model import AccessToken, Issuer
from headrace.identity.tokens import MAX_TOKEN_LENGTH, UnverifiedToken, Verifier, signed
from headrace.kernel.errors import NotAuthenticated
from tests.unit.identity.tokens_made import (
    AUDIENCE,
    ISSUER,
    NOW,
    SCOPE,
    StoppedClock,
    claims,
    ec_key,
    es256,
    header,
    hs256,
    key_id,
    key_set,
    pem,
    ps256,
    rs256,
    rsa_key,
    token,
)
from tests.unit.identity.tokens_made import (
    b64 as base64url,
)

OURS = Issuer(ISSUER, AUDIENCE)


def verified(text: str, issuer: Issuer = OURS, keys: KeySet | None = None) -> Any:
    clock = StoppedClock()
    return Verifier(clock)(UnverifiedToken.read(text), issuer, keys or key_set(clock=clock))


def assert_refused(text: str, issuer: Issuer = OURS, keys: KeySet | None = None) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        verified(text, issuer, keys)
    return caught.value.detail


def test_a_good_token_is_believed() -> None:
    assert verified(token())["client_id"] == "acme-hr"


def test_a_token_of_ours_is_believed_by_us_and_by_another_library() -> None:
    ours = AccessToken(ISSUER, AUDIENCE, "acme-hr", "acme", SCOPE, NOW, "t1")
    text = signed(ours, key_id(), rs256)
    assert verified(text) == claims()
    assert (
        jwt.decode(
            text,
            rsa_key().public_key(),
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"verify_exp": False, "verify_iat": False},
        )
        == claims()
    )
    assert jwt.get_unverified_header(text) == {"alg": "RS256", "typ": "at+jwt", "kid": key_id()}
    assert claims()["exp"] - claims()["iat"] == 3600


@pytest.mark.abuse(1)
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_refused(algorithm: str) -> None:
    unsigned = token(header(alg=algorithm), sign=lambda _: b"")
    assert_refused(unsigned)
    assert_refused(token(header(alg=algorithm)))


@pytest.mark.abuse(2)
def test_a_token_signed_with_our_public_key_as_hmac_secret_is_refused() -> None:
    secret = pem(rsa_key().public_key())
    assert_refused(token(header(alg="HS256"), sign=lambda m: hs256(secret, m)))


@pytest.mark.abuse(3)
def test_a_token_signed_with_our_jwk_as_hmac_secret_is_refused() -> None:
    published = key_set().all()[0].jwk()
    for secret in (json.dumps(published).encode(), published["n"].encode()):
        assert_refused(token(header(alg="HS256"), sign=lambda m, s=secret: hs256(s, m)))


@pytest.mark.abuse(5)
def test_a_key_that_the_token_brings_or_points_to_is_ignored() -> None:
    foreign = rsa_key(number=1)
    jwk = VerificationKey("mine", foreign.public_key(), frozenset({"RS256"})).jwk()
    for extra in (
        {"jwk": jwk},
        {"jku": "https://attacker.example/jwks.json"},
        {"x5u": "https://attacker.example/cert.pem"},
        {"x5c": [base64.b64encode(b"certificate").decode()]},
    ):
        assert_refused(token(header(**extra), sign=lambda m: rs256(m, foreign)))
        assert verified(token(header(**extra)))["client_id"] == "acme-hr"


@pytest.mark.abuse(6)
@pytest.mark.parametrize("crit", [["b64"], ["exp"], ["urn:unknown"], [], "b64", {}])
def test_a_token_with_a_critical_extension_is_refused(crit: Any) -> None:
    assert_refused(token(header(crit=crit)))


@pytest.mark.abuse(6)
@pytest.mark.parametrize("b64", [True, False])
def test_a_token_that_says_how_its_payload_is_encoded_is_refused(b64: bool) -> None:
    assert_refused(token(header(b64=b64)))
    assert_refused(token(header(b64=b64, crit=["b64"])))


@pytest.mark.abuse(7)
@pytest.mark.parametrize("claim", ["exp", "iat", "iss", "aud", "sub"])
def test_a_token_without_a_required_claim_is_refused(claim: str) -> None:
    assert_refused(token(body=claims(**{claim: None})))


@pytest.mark.abuse(8)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("form", [str, lambda n: [n], lambda n: {"n": n}, bool, lambda n: 1e300])
def test_a_time_that_is_no_plain_number_is_refused(claim: str, form: Any) -> None:
    assert_refused(token(body=claims(**{claim: form(int(NOW.timestamp()) + 5)})))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_time_that_is_no_number_of_this_world_is_refused(number: str) -> None:
    body = json.dumps(claims(exp=123456789)).replace("123456789", number)
    assert_refused(token(body=body))


@pytest.mark.abuse(9)
def test_a_token_of_the_future_is_refused() -> None:
    later = int((NOW + timedelta(seconds=11)).timestamp())
    assert "not valid yet" in assert_refused(token(body=claims(nbf=later)))
    assert "not valid yet" in assert_refused(token(body=claims(iat=later)))
    within_leeway = int((NOW + timedelta(seconds=10)).timestamp())
    assert verified(token(body=claims(nbf=within_leeway, iat=within_leeway)))


def test_a_token_ends_ten_seconds_after_its_time() -> None:
    now = int(NOW.timestamp())
    assert verified(token(body=claims(exp=now - 9)))
    assert "expired" in assert_refused(token(body=claims(exp=now - 10)))


@pytest.mark.abuse(10)
@pytest.mark.parametrize(
    "issuer", ["https://evil.example", ISSUER + "/", ISSUER.upper(), "", [ISSUER], None]
)
def test_a_token_of_another_issuer_is_refused(issuer: Any) -> None:
    assert_refused(token(body=claims(iss=issuer)))


@pytest.mark.abuse(11)
@pytest.mark.parametrize(
    "audience", ["other", AUDIENCE + "2", AUDIENCE.upper(), "", [], ["other"], {AUDIENCE: 1}, None]
)
def test_a_token_for_another_api_is_refused(audience: Any) -> None:
    assert_refused(token(body=claims(aud=audience)))


def test_a_token_for_several_apis_is_believed_if_ours_is_one() -> None:
    assert verified(token(body=claims(aud=["other", AUDIENCE])))


@pytest.mark.abuse(12)
@pytest.mark.parametrize("kind", ["dpop+jwt", "JWT", "id+jwt", "", "at", "at+jwtx", 1, None])
def test_a_token_of_another_type_is_refused(kind: Any) -> None:
    assert_refused(token(header(typ=kind)))


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_the_type_may_be_written_as_media_types_may(kind: str) -> None:
    assert verified(token(header(typ=kind)))


@pytest.mark.abuse(13)
def test_a_token_signed_by_a_short_key_is_refused_even_if_its_issuer_publishes_that_key() -> None:
    short = rsa_key(1024)
    members = VerificationKey("short", short.public_key(), frozenset({"RS256"})).jwk()
    published = keys_from_jwks({"keys": [members, key_set().all()[0].jwk()]})
    assert [key.key_id for key in published] == [key_id()]
    keys = key_set(*published)
    assert_refused(token(header(kid="short"), sign=lambda m: rs256(m, short)), keys=keys)
    assert verified(token(), keys=keys)


@pytest.mark.abuse(15)
@pytest.mark.parametrize(
    "twice",
    ['"client_id":"other","client_id":"acme-hr"', '"x":{"a":1,"a":2}', '"x":[{"a":1,"\\u0061":2}]'],
)
def test_a_token_that_says_something_twice_is_refused(twice: str) -> None:
    body = json.dumps(claims(client_id=None))[:-1] + "," + twice + "}"
    assert_refused(token(body=body))
    head = json.dumps(header())[:-1] + ',"alg":"RS256"}'
    assert_refused(token(head=head))


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4 or 4)


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize(
    "odd",
    [
        _padded,
        lambda s: s + "\n",
        lambda s: " " + s,
        lambda s: s[:4] + "+" + s[5:],
        lambda s: s[:4] + "%2D" + s[4:],
        lambda s: s[:4] + "é" + s[5:],
        lambda s: s + "A" if len(s) % 4 == 0 else s + "A" * (5 - len(s) % 4),
        lambda _: "",
    ],
)
def test_a_segment_written_any_other_way_is_refused(segment: int, odd: Any) -> None:
    parts = token().split(".")
    parts[segment] = odd(parts[segment])
    assert_refused(".".join(parts))


def test_bits_that_encode_nothing_must_be_zero() -> None:
    # 256 bytes leave two bits over in the last character, which lenient readers ignore.
    head, body, signature = token().split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    position = alphabet.index(signature[-1])
    assert position % 16 == 0
    for other in range(1, 16):
        sibling = signature[:-1] + alphabet[position + other]
        assert base64.urlsafe_b64decode(sibling + "==") == base64.urlsafe_b64decode(
            signature + "=="
        )
        assert_refused(f"{head}.{body}.{sibling}")


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b", "a.b.c.d", "....", "a" * 9000])
def test_what_is_no_signed_token_at_all_is_refused(text: str) -> None:
    assert_refused(text)


def test_an_encrypted_token_is_refused() -> None:
    assert_refused(
        ".".join([base64url(json.dumps(header(enc="A256GCM")).encode()), "", "YQ", "YQ", "YQ"])
    )


def test_a_token_over_the_limit_is_refused_before_it_is_read() -> None:
    long = token(body=claims(note="x" * MAX_TOKEN_LENGTH))
    assert_refused(long)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_nesting_bomb_is_refused(opening: str) -> None:
    depth = 5900 // len(opening)
    bomb = opening * depth
    closing = {"[": "]", '{"a":': "}"}[opening]
    assert_refused(f"{base64url(bomb.encode())}.YQ.YQ")
    assert_refused(token(body=f'{{"x":{opening * 500}1{closing * 500}}}', sign=lambda _: b"a"))


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "", "{", "\ufeff{}", '{"a":}'])
def test_claims_that_are_no_object_are_refused(body: str) -> None:
    assert_refused(token(body=body))


def test_claims_that_are_no_utf8_are_refused() -> None:
    head = base64url(json.dumps(header()).encode())
    message = f"{head}.{base64url(b'{"a":"' + bytes([0xFF]) + b'"}')}"
    assert_refused(f"{message}.{base64url(rs256(message.encode()))}")


@pytest.mark.parametrize("kid", ["unknown", "", "k" * 257, 7, ["x"], None, "../../etc/passwd"])
def test_a_token_of_an_unknown_key_is_refused(kid: Any) -> None:
    assert_refused(token(header(kid=kid)))


def test_a_token_of_another_key_under_our_key_id_is_refused() -> None:
    assert_refused(token(sign=lambda m: rs256(m, rsa_key(number=1))))


def test_the_algorithm_is_the_issuers_choice_never_the_tokens() -> None:
    ps = token(header(alg="PS256"), sign=ps256)
    assert_refused(ps)
    assert verified(ps, Issuer(ISSUER, AUDIENCE, algorithms=frozenset({"PS256"})))
    assert_refused(token(), Issuer(ISSUER, AUDIENCE, algorithms=frozenset({"PS256"})))


def test_an_elliptic_curve_signature_is_read_as_jws_writes_it() -> None:
    issuer = Issuer(ISSUER, AUDIENCE, algorithms=frozenset({"ES256"}))
    name = thumbprint(ec_key().public_key())
    keys = key_set(VerificationKey(name, ec_key().public_key(), frozenset({"ES256"})))
    head = header(alg="ES256", kid=name)
    assert verified(token(head, sign=es256), issuer, keys)
    for wrong in (b"", bytes(64), b"\xff" * 64, b"1" * 63, b"1" * 65):
        assert_refused(token(head, sign=lambda _, w=wrong: w), issuer, keys)
    # The algorithm does not fit the key.
    assert_refused(token(header(alg="RS256", kid=name), sign=es256), issuer, keys)


def test_no_refusal_repeats_what_the_token_said() -> None:
    canary = "canary-7f3a"
    for text in (
        canary,
        token(header(alg=canary)),
        token(header(kid=canary)),
        token(header(typ=canary)),
        token(body=claims(iss=canary)),
        token(body=claims(aud=canary)),
        token(body=claims(exp=canary)),
    ):
        assert canary not in assert_refused(text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_token_changed_anywhere_is_refused(data: st.DataObject) -> None:
    good = token()
    place = data.draw(st.integers(0, len(good) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda c: c != good[place]))
    assert_refused(good[:place] + letter + good[place + 1 :])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64"]), _json),
    st.dictionaries(st.sampled_from([*claims(), "nbf"]), _json),
)
def test_whatever_a_signed_token_holds_the_answer_is_claims_or_a_refusal(
    head: dict[str, Any], body: dict[str, Any]
) -> None:
    text = token({**header(), **head}, {**claims(), **body})
    try:
        found = verified(text)
    except NotAuthenticated:
        return
    # What we believe, the other library believes as well.
    jwt.decode(
        text,
        rsa_key().public_key(),
        algorithms=["RS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={
            "require": ["exp", "iat", "iss", "aud", "sub"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
            "verify_jti": False,
        },
    )
    assert found["iss"] == ISSUER
