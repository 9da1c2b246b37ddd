"""Tokens made by hand, right and wrong: what a library would refuse to make included."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headrace.identity.keys import KeySet, VerificationKey, thumbprint

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ISSUER = "https://api.example.com/v1"
AUDIENCE = "headrace"
SCOPE = "youforce-data-api:jobs:manage"


@dataclass
class StoppedClock:
    """A clock that a test moves."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def advance(self, **step: float) -> None:
        self.time += timedelta(**step)


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key; ``number`` tells several of one size apart."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_id() -> str:
    return thumbprint(rsa_key().public_key())


def pem(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def rs256(message: bytes, key: rsa.RSAPrivateKey | None = None) -> bytes:
    return (key or rsa_key()).sign(message, padding.PKCS1v15(), SHA256())


def ps256(message: bytes) -> bytes:
    return rsa_key().sign(message, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def es256(message: bytes) -> bytes:
    r, s = decode_dss_signature(ec_key().sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def hs256(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, "sha256")


def header(**changes: Any) -> dict[str, Any]:
    """A good header with changes; None leaves a member out."""
    return _with({"alg": "RS256", "typ": "at+jwt", "kid": key_id()}, changes)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims with changes; None leaves a claim out."""
    issued = int(NOW.timestamp())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "acme-hr",
        "client_id": "acme-hr",
        "tenant_id": "acme",
        "scope": SCOPE,
        "iat": issued,
        "exp": issued + 3600,
        "jti": "t1",
    }
    return _with(good, changes)


def _with(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def token(
    head: Mapping[str, Any] | str | None = None,
    body: Mapping[str, Any] | str | None = None,
    sign: Any = rs256,
) -> str:
    """A compact JWS; a text for ``head`` or ``body`` goes in as it is."""
    parts = [
        b64((part if isinstance(part, str) else json.dumps(part)).encode())
        for part in (header() if head is None else head, claims() if body is None else body)
    ]
    message = ".".join(parts)
    return f"{message}.{b64(sign(message.encode()))}"


def key_set(*keys: VerificationKey, clock: StoppedClock | None = None) -> KeySet:
    """A key set that holds these keys; by default the one that signs the tokens made here."""
    held = keys or (
        VerificationKey(key_id(), rsa_key().public_key(), frozenset({"RS256", "PS256"})),
    )
    return KeySet(lambda: held, clock or StoppedClock())
