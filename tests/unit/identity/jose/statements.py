"""The three kinds of signed statements that are taken here, and those who take them.

A statement is a compact JWS (RFC 7515 section 3.1). Each kind has a good one, and ``answer``: what
the verifier in use says to a text, None when it is taken, else the code that its sender is given.
So a case is one change to a good statement, and the same case is put to every kind it concerns.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

from headrace.identity.assertions import ASSERTION_TYPE, SignedAssertion
from headrace.identity.authorizing import (
    AccessTokens,
    Authorize,
    Denied,
    LoggedIn,
    Presented,
    Refused,
)
from headrace.identity.client_authentication import AuthenticateClient
from headrace.identity.dpop import CheckProof
from headrace.identity.keys import KeySet, keys_from_jwks
from headrace.identity.model import Client, Issuer
from headrace.identity.oauth import SentRequest, TokenRefused
from headrace.identity.on_behalf import OnBehalf
from headrace.identity.tokens import Verifier
from headrace.kernel.errors import InvalidProof
from tests.unit.identity.keys_made import FakeApiKeys
from tests.unit.identity.proofs_made import URL, Uses
from tests.unit.identity.tokens_made import AUDIENCE, ISSUER, NOW, SCOPE, StoppedClock
from tests.unit.identity.users_made import FakeRoles, FakeSessions, FakeUsers

type Json = dict[str, Any]
type Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

ALGORITHMS = ("ES256", "RS256", "PS256")
NOW_SECONDS = int(NOW.timestamp())
CLIENT = "acme-hr"
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""The field of P-256 (FIPS 186-4, appendix D.1.2.3)."""
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points it has."""
_IDS = count()


# --- keys -----------------------------------------------------------------------------------------


@cache
def _made(kind: str, number: int, bits: int = 0, exponent: int = 0) -> Private:
    if kind == "EC":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(exponent, bits)


def elliptic(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """A key on P-256; ``number`` tells several apart."""
    key = _made("EC", number)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def rsa_key(number: int = 0, bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """An RSA key; ``number`` tells several apart."""
    key = _made("RSA", number, bits, exponent)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@cache
def with_a_short_coordinate() -> ec.EllipticCurvePrivateKey:
    """A key whose x begins with an octet of zeros, as one of 256 does."""
    scalars = count(2)
    while True:
        key = ec.derive_private_key(next(scalars), ec.SECP256R1())
        if key.public_key().public_numbers().x < 2**248:
            return key


def key_for(algorithm: str, number: int = 0) -> Private:
    """A key that is good for the algorithm."""
    return elliptic(number) if algorithm.startswith("ES") else rsa_key(number)


def b64(data: bytes) -> str:
    """base64url without padding, by the standard library and not by our own code."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, octets: int | None = None) -> str:
    """A number as JWK writes it; in so many octets, or in as few as it needs."""
    return b64(value.to_bytes(octets or max(1, (value.bit_length() + 7) // 8)))


def jwk_of(key: Private) -> Json:
    """The public members of a key, as RFC 7518 section 6 has them."""
    if isinstance(key, rsa.RSAPrivateKey):
        told = key.public_key().public_numbers()
        return {"kty": "RSA", "n": number(told.n), "e": number(told.e)}
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}


def name_of(jwk: Mapping[str, Any]) -> str:
    """RFC 7638, reckoned here."""
    needed = {name: jwk[name] for name in sorted(("crv", "e", "kty", "n", "x", "y")) if name in jwk}
    text = json.dumps(needed, separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(text.encode()).digest())


# --- signatures -----------------------------------------------------------------------------------


def side_by_side(r: int, s: int, octets: int = 32) -> bytes:
    """An ECDSA signature as RFC 7518 section 3.4 has it."""
    return r.to_bytes(octets) + s.to_bytes(octets)


def signed_by(key: Private, algorithm: str, message: bytes) -> bytes:
    """A good signature."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return side_by_side(*pair(key, message))
    if algorithm == "PS256":
        return key.sign(message, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    return key.sign(message, padding.PKCS1v15(), SHA256())


def pair(
    key: ec.EllipticCurvePrivateKey, message: bytes, digest: HashAlgorithm | None = None
) -> tuple[int, int]:
    """The two numbers of an ECDSA signature."""
    return decode_dss_signature(key.sign(message, ec.ECDSA(digest or SHA256())))


# --- kinds ----------------------------------------------------------------------------------------

type Signs = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of statements."""

    name: str
    code: str
    """What is said of one that is not taken."""
    typ: str
    names_key: bool
    """By ``kid``; if not, the key is in the header itself."""
    claims: Callable[[], Json]
    answer: Callable[[str, tuple[Json, ...]], str | None]
    """The code that a text is given, if the JWKs are those which are known of the sender."""

    def header(self, algorithm: str, jwk: Json | None = None) -> Json:
        """A good header."""
        jwk = jwk or jwk_of(key_for(algorithm))
        key = {"kid": f"the {jwk['kty']} key"} if self.names_key else {"jwk": jwk}
        return {"typ": self.typ, "alg": algorithm, **key}

    def text(
        self,
        algorithm: str = "ES256",
        *,
        header: Mapping[str, Any] | bytes | None = None,
        claims: Mapping[str, Any] | bytes | None = None,
        sign: Signs | None = None,
    ) -> str:
        """A good statement but for what is given: members that are changed, of which ``LEFT_OUT``
        goes, or the octets of header or claims as they are; and how it is signed."""
        head = _octets(self.header(algorithm), header)
        body = _octets(self.claims(), claims)
        message = f"{b64(head)}.{b64(body)}"
        sign = sign or (lambda octets: signed_by(key_for(algorithm), algorithm, octets))
        return f"{message}.{b64(sign(message.encode()))}"

    def said(self, text: str, jwks: tuple[Json, ...] | None = None) -> str | None:
        """The code that a text is given, or None."""
        return self.answer(text, jwks or known())


LEFT_OUT = object()
"""In place of a value: the member is not there."""


def _octets(good: Json, change: Mapping[str, Any] | bytes | None) -> bytes:
    if isinstance(change, bytes):
        return change
    told = {**good, **(change or {})}
    return json.dumps({k: v for k, v in told.items() if v is not LEFT_OUT}).encode()


@cache
def known() -> tuple[Json, ...]:
    """The keys that everybody knows of everybody here."""
    return tuple(
        {**jwk_of(key), "kid": f"the {jwk_of(key)['kty']} key"} for key in (elliptic(), rsa_key())
    )


def _times() -> Json:
    return {"iat": NOW_SECONDS, "exp": NOW_SECONDS + 60, "jti": f"id {next(_IDS)}"}


# --- access tokens --------------------------------------------------------------------------------

PROVIDER = Issuer(
    "https://login.partner.example",
    AUDIENCE,
    "https://login.partner.example/jwks.json",
    frozenset(ALGORITHMS),
)


@dataclass(frozen=True)
class _Clients:
    """The ``Clients`` port, of one."""

    one: Client

    def find(self, client_id: str) -> Client | None:
        return self.one if client_id == self.one.client_id else None


class _NotAsked:
    """The ports of what no case is about."""

    def is_member(self, tenant: str, broker: str, organisation: str) -> bool:
        raise AssertionError("nobody calls on behalf of somebody else")

    def revoke(self, token_id: str, until: Any) -> None:
        raise AssertionError("the authorizer ends no token")

    def has(self, token_id: str) -> bool:
        raise AssertionError("another issuer's tokens are not ended by us")


def _clients() -> _Clients:
    return _Clients(
        Client(
            CLIENT,
            frozenset({"acme"}),
            frozenset({SCOPE}),
            trusted_issuers=frozenset({PROVIDER.issuer}),
        )
    )


def _published(jwks: tuple[Json, ...]) -> KeySet:
    return KeySet(lambda: keys_from_jwks({"keys": list(jwks)}), StoppedClock())


def _authorized(
    text: str, jwks: tuple[Json, ...], scheme: str = "Bearer", proofs: tuple[str, ...] = ()
) -> str | None:
    tokens = AccessTokens(
        _clients(),
        {PROVIDER.issuer: PROVIDER},
        lambda _: _published(jwks),
        Verifier(StoppedClock()),
        CheckProof(Uses(), StoppedClock()),
        LoggedIn(FakeSessions(), FakeUsers(), FakeRoles(), "", StoppedClock()),
        FakeApiKeys(),
        _NotAsked(),
    )
    authorize = Authorize((tokens,), OnBehalf(_clients(), _NotAsked()))
    called = Presented((f"{scheme} {text}",), frozenset(), "203.0.113.9", proofs, "POST", URL)
    decision = authorize(called)
    return decision.code if isinstance(decision, Denied | Refused) else None


def with_proof(token: str, proof: str) -> str | None:
    """The code that a call with a bound token and a proof gets, or None."""
    return _authorized(token, known(), "DPoP", (proof,))


def _of_a_provider() -> Json:
    return {
        "iss": PROVIDER.issuer,
        "sub": CLIENT,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "tenant_id": "acme",
        "scope": SCOPE,
        **_times(),
    }


ACCESS_TOKEN = Kind("access token", "invalid_token", "at+jwt", True, _of_a_provider, _authorized)


# --- client assertions ----------------------------------------------------------------------------


def _authenticated(text: str, jwks: tuple[Json, ...], used: Uses | None = None) -> str | None:
    by_key = SignedAssertion(_clients(), lambda _: _published(jwks), used or Uses(), StoppedClock())
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
    sent = SentRequest("application/x-www-form-urlencoded", None, b"", issuer=ISSUER)
    try:
        AuthenticateClient((by_key,))(sent, form)
    except TokenRefused as refusal:
        return refusal.error
    return None


ASSERTION = Kind(
    "client assertion",
    "invalid_client",
    "client-authentication+jwt",
    True,
    lambda: {"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, **_times()},
    _authenticated,
)


# --- proofs of possession -------------------------------------------------------------------------


def _proven(text: str, _jwks: tuple[Json, ...], used: Uses | None = None) -> str | None:
    try:
        CheckProof(used or Uses(), StoppedClock())((text,), "POST", URL)
    except InvalidProof as refusal:
        return refusal.code
    return None


def _of_a_call() -> Json:
    times = _times()
    return {"jti": times["jti"], "iat": times["iat"], "htm": "POST", "htu": URL}


PROOF = Kind("DPoP proof", "invalid_dpop_proof", "dpop+jwt", False, _of_a_call, _proven)

KINDS = (ACCESS_TOKEN, ASSERTION, PROOF)


def twice(kind: Kind, first: str, second: str) -> tuple[str | None, str | None]:
    """What is said to two statements, one after the other, by who remembers."""
    used = Uses()
    answer = {ASSERTION.name: _authenticated, PROOF.name: _proven}[kind.name]
    return answer(first, known(), used), answer(second, known(), used)
