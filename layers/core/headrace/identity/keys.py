"""Public keys: read from JWK, named by thumbprint, used to check signatures, kept up to date."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from headrace.identity.encoding import from_base64url, to_base64url, to_json
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Unavailable

_log = logging.getLogger(__name__)

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Checking a signature by a huge key costs us CPU that the other side does not pay."""
_MAX_EXPONENT_BITS = 64
"""What OpenSSL bears with a modulus over 3072 bits. As long as a modulus, it makes a check cost 200
times as much."""
MAX_KEYS = 100
MAX_KEY_ID = 256
_RSA_ALGORITHMS = frozenset({"RS256", "PS256"})
_P256_BYTES = 32
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""The members of a JWK that a public key does not have (RFC 7518 section 6)."""


@dataclass(frozen=True)
class VerificationKey:
    """A public key and the algorithms it may be used with."""

    key_id: str
    key: RSAPublicKey | EllipticCurvePublicKey
    algorithms: frozenset[str]

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's, made with ``algorithm``, over ``message``."""
        if algorithm not in self.algorithms:
            return False
        try:
            if isinstance(self.key, RSAPublicKey):
                padding = (
                    PKCS1v15() if algorithm == "RS256" else PSS(MGF1(SHA256()), SHA256.digest_size)
                )
                self.key.verify(signature, message, padding, SHA256())
            else:
                # JWS writes r and s side by side in fixed width, the library wants DER.
                if len(signature) != 2 * _P256_BYTES:
                    return False
                r = int.from_bytes(signature[:_P256_BYTES])
                s = int.from_bytes(signature[_P256_BYTES:])
                self.key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> dict[str, str]:
        """As a JWK to publish: the public members, ``use``, ``alg`` and ``kid``."""
        algorithm = "ES256" if isinstance(self.key, EllipticCurvePublicKey) else "RS256"
        return {**_public_members(self.key), "use": "sig", "alg": algorithm, "kid": self.key_id}


def thumbprint(key: RSAPublicKey | EllipticCurvePublicKey) -> str:
    """The RFC 7638 thumbprint (SHA-256): a name that follows from the key itself."""
    members = dict(sorted(_public_members(key).items()))
    return to_base64url(hashlib.sha256(to_json(members)).digest())


def key_from_der(der: bytes) -> VerificationKey:
    """Our own signing key's public half, from the DER that KMS gives, for RS256 only.

    Raises ValueError when it is no RSA key of at least 2048 bits.
    """
    key = load_der_public_key(der)
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_RSA_BITS:
        raise ValueError("a signing key must be an RSA key of at least 2048 bits")
    return VerificationKey(thumbprint(key), key, frozenset({"RS256"}))


def keys_from_jwks(document: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """The keys of a JWK set that can check a signature of ours to accept.

    A key that cannot (symmetric, short, of another curve or use, without ``kid``, broken) is left
    out, as RFC 7517 section 5 asks, so that one such key does not stop the others; a ``kid``
    that stands twice is ambiguous, and left out as well. So is a key that is published with its
    private half: whoever read it may sign by it. Raises ValueError for what is no JWK set.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError("not a JWK set")
    if any(isinstance(jwk, dict) and not PRIVATE_MEMBERS.isdisjoint(jwk) for jwk in listed):
        _log.warning("a key set holds a private or symmetric key, which is not used")
    keys = [key for jwk in listed if isinstance(jwk, dict) and (key := key_from_jwk(jwk))]
    names = [key.key_id for key in keys]
    return tuple(key for key in keys if names.count(key.key_id) == 1)


def key_from_jwk(jwk: Mapping[str, Any]) -> VerificationKey | None:
    """The key of a JWK that can check a signature of ours to accept; None if it cannot.

    It is public, and written as RFC 7518 section 6 has it: its numbers are read in one form only.
    """
    key_id = jwk.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID:
        return None
    if not (PRIVATE_MEMBERS.isdisjoint(jwk) and _is_to_verify(jwk)):
        return None
    try:
        key: RSAPublicKey | EllipticCurvePublicKey
        match jwk.get("kty"):
            case "RSA":
                modulus, exponent = _shortest_integer(jwk["n"]), _shortest_integer(jwk["e"])
                if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or modulus % 2 == 0:
                    return None
                if exponent.bit_length() > _MAX_EXPONENT_BITS:
                    return None
                key = RSAPublicNumbers(exponent, modulus).public_key()
                algorithms = _RSA_ALGORITHMS
            case "EC" if jwk.get("crv") == "P-256":
                x, y = _coordinate(jwk["x"]), _coordinate(jwk["y"])
                key = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
                algorithms = frozenset({"ES256"})
            case _:
                return None
    except (KeyError, TypeError, ValueError):
        return None
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else frozenset()
    return VerificationKey(key_id, key, algorithms) if algorithms else None


def _is_to_verify(jwk: Mapping[str, Any]) -> bool:
    """By ``use`` and ``key_ops``, if it has them (RFC 7517 sections 4.2 and 4.3)."""
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or not all(isinstance(one, str) for one in operations):
        return False
    is_plain = len(set(operations)) == len(operations)
    return jwk.get("use", "sig") == "sig" and is_plain and "verify" in operations


def _octets(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a text")
    return from_base64url(text)


def _shortest_integer(text: Any) -> int:
    """Without octets of zeros in front (RFC 7518 section 2, Base64urlUInt)."""
    octets = _octets(text)
    if octets[:1] in {b"", b"\0"}:
        raise ValueError("not the shortest form")
    return int.from_bytes(octets)


def _coordinate(text: Any) -> int:
    """Of all octets that the curve has (RFC 7518 section 6.2.1.2)."""
    octets = _octets(text)
    if len(octets) != _P256_BYTES:
        raise ValueError("not of the curve's width")
    return int.from_bytes(octets)


def _public_members(key: RSAPublicKey | EllipticCurvePublicKey) -> dict[str, str]:
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _shortest(numbers.n), "e": _shortest(numbers.e)}
    point = key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": to_base64url(point.x.to_bytes(_P256_BYTES)),
        "y": to_base64url(point.y.to_bytes(_P256_BYTES)),
    }


def _shortest(number: int) -> str:
    return to_base64url(number.to_bytes((number.bit_length() + 7) // 8))


class KeySet:
    """One issuer's keys, fetched when needed and kept in the process.

    - A key asked for while the keys are fresh costs nothing.
    - Keys older than ``FRESH_FOR`` are fetched again; if that fails, the old ones serve on until
      ``STALE_AFTER``, so an issuer that is down does not take us down.
    - An unknown key id may be a new key, so it makes us look, but not again within ``COOL_DOWN``:
      a thousand invented key ids cost the issuer one request.
    - With no keys at all, a failed fetch is not repeated within ``RETRY_AFTER``: callers hear
      Unavailable at once instead of queueing up behind time-outs.
    """

    FRESH_FOR = timedelta(minutes=10)
    STALE_AFTER = timedelta(hours=24)
    COOL_DOWN = timedelta(seconds=60)
    RETRY_AFTER = timedelta(seconds=5)

    def __init__(self, fetch: Callable[[], Iterable[VerificationKey]], clock: Clock) -> None:
        """``fetch`` gives all keys of the issuer, or raises Unavailable."""
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, VerificationKey] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def find(self, key_id: str) -> VerificationKey | None:
        """The key, or None when the issuer has no such key. Raises Unavailable."""
        return self._current(key_id).get(key_id)

    def all(self) -> tuple[VerificationKey, ...]:
        """All keys, in the issuer's order. Raises Unavailable."""
        return tuple(self._current(None).values())

    def _current(self, key_id: str | None) -> Mapping[str, VerificationKey]:
        now = self._clock.now()
        if self._due(key_id, now):
            self._refresh(now)
        if self._fetched_at is None or now - self._fetched_at >= self.STALE_AFTER:
            raise Unavailable(
                "The keys of the token's issuer cannot be read now.",
                retry_after=int(self.RETRY_AFTER.total_seconds()),
            )
        return self._keys

    def _due(self, key_id: str | None, now: datetime) -> bool:
        if self._fetched_at is None or now - self._fetched_at >= self.STALE_AFTER:
            wait = self.RETRY_AFTER
        elif now - self._fetched_at >= self.FRESH_FOR or (
            key_id is not None and key_id not in self._keys
        ):
            wait = self.COOL_DOWN
        else:
            return False
        return self._tried_at is None or now - self._tried_at >= wait

    def _refresh(self, now: datetime) -> None:
        self._tried_at = now
        try:
            keys = tuple(self._fetch())
        except Unavailable as error:
            _log.warning("an issuer's keys cannot be read: %s", error.detail)
            return
        self._keys = {key.key_id: key for key in keys}
        self._fetched_at = now
