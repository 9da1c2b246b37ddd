"""Proofs of possession (RFC 9449): whoever has a token, and not its key, has nothing.

A proof is a JWT that the caller signs anew for each request, with a key that it names in the proof
itself; a token that is bound to that key (``cnf.jkt``) is taken only along with one.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from headrace.identity.encoding import from_base64url, object_from_json, to_base64url
from headrace.identity.keys import PRIVATE_MEMBERS, VerificationKey, key_from_jwk, thumbprint
from headrace.identity.nonces import ServerNonces
from headrace.identity.ports import UsedProofs
from headrace.kernel.clock import Clock
from headrace.kernel.errors import InvalidProof

PROOF_TYPE = "dpop+jwt"
ALGORITHMS = ("ES256", "PS256", "RS256")
"""Asymmetric ones only; in the order in which challenges and metadata list them."""

MAX_AGE = timedelta(seconds=60)
MAX_AHEAD = timedelta(seconds=10)
"""How far the clocks of callers may be before ours."""

_MAX_LENGTH = 4096
_MAX_ID = 256
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_NO_URL = re.compile(r"[\x00-\x20\x7f-\x9f]")
"""Blanks and control characters: urlsplit drops some of them, so two texts would be one URL."""

NOT_ONE = "Send exactly one DPoP proof, in one DPoP header."
NOT_WELL_FORMED = "The DPoP proof is not well formed."
BAD_KEY = "The DPoP proof must hold the public key that it is signed by, and nothing private."
BAD_SIGNATURE = "The DPoP proof is not signed by the key that it holds."
OTHER_REQUEST = "The DPoP proof is of another request: htm or htu differ."
NOT_NOW = "The DPoP proof is too old, or its clock is ahead."
USED = "The DPoP proof has been used before; make one for each request."
OTHER_TOKEN = "The DPoP proof is not of this access token: ath is missing or differs."  # noqa: S105


@dataclass(frozen=True)
class Proof:
    """A proof whose signature holds: what it says, and by which key (its thumbprint)."""

    key: str
    proof_id: str
    method: str
    url: str
    issued_at: float
    token_hash: str | None
    nonce: str | None

    @classmethod
    def read(cls, headers: tuple[str, ...]) -> "Proof":
        """From the request's DPoP headers. Raises InvalidProof.

        RFC 9449 section 4.3, points 1 to 7. Several headers may come joined by commas.
        """
        if len(headers) != 1 or "," in headers[0]:
            raise InvalidProof(NOT_ONE)
        text = headers[0].strip(" ")
        if len(text) > _MAX_LENGTH:
            raise InvalidProof(NOT_WELL_FORMED)
        try:
            first, second, third = text.split(".")
            header = object_from_json(from_base64url(first))
            claims = object_from_json(from_base64url(second))
            signature = from_base64url(third)
        except ValueError:
            raise InvalidProof(NOT_WELL_FORMED) from None
        algorithm, key = _key(header)
        if not key.verifies(algorithm, f"{first}.{second}".encode("ascii"), signature):
            raise InvalidProof(BAD_SIGNATURE)
        return cls(
            key=thumbprint(key.key),
            proof_id=_text(claims, "jti", _MAX_ID),
            method=_text(claims, "htm"),
            url=_url(claims),
            issued_at=_moment(claims),
            token_hash=_text(claims, "ath") if "ath" in claims else None,
            nonce=_text(claims, "nonce", _MAX_ID) if "nonce" in claims else None,
        )


def _key(header: Mapping[str, Any]) -> tuple[str, VerificationKey]:
    algorithm, kind, jwk = header.get("alg"), header.get("typ"), header.get("jwk")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") != PROOF_TYPE:
        raise InvalidProof(NOT_WELL_FORMED)
    if "crit" in header or "b64" in header or algorithm not in ALGORITHMS:
        raise InvalidProof(NOT_WELL_FORMED)
    if not isinstance(jwk, dict) or not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise InvalidProof(BAD_KEY)
    key = key_from_jwk({**jwk, "kid": "-"})
    if key is None:
        raise InvalidProof(BAD_KEY)
    return str(algorithm), key


def _text(claims: Mapping[str, Any], name: str, longest: int = 2048) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise InvalidProof(NOT_WELL_FORMED)
    return value


def _url(claims: Mapping[str, Any]) -> str:
    value = _text(claims, "htu")
    if _NO_URL.search(value):
        raise InvalidProof(NOT_WELL_FORMED)
    return value


def _moment(claims: Mapping[str, Any]) -> float:
    value = claims.get("iat")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise InvalidProof(NOT_WELL_FORMED)
    return value


@dataclass(frozen=True)
class CheckProof:
    """Believes a proof for one request, once."""

    used: UsedProofs
    clock: Clock
    nonces: ServerNonces | None = None
    """None: proofs need no nonce of ours, and one that they hold is not looked at."""

    def __call__(
        self, headers: tuple[str, ...], method: str, url: str, access_token: str | None = None
    ) -> str:
        """The thumbprint of the caller's key. Raises InvalidProof, NonceNeeded, Unavailable.

        RFC 9449 section 4.3, points 8 to 12. ``url`` is the request's, as we are called in public.
        """
        proof = Proof.read(headers)
        if proof.method != method or not same_url(proof.url, url):
            raise InvalidProof(OTHER_REQUEST)
        now = self.clock.now()
        age = now.timestamp() - proof.issued_at
        if not -MAX_AHEAD.total_seconds() <= age <= MAX_AGE.total_seconds():
            raise InvalidProof(NOT_NOW)
        if access_token is not None and not _is_of(proof, access_token):
            raise InvalidProof(OTHER_TOKEN)
        if self.nonces is not None:
            self.nonces.check(proof.nonce)
        # Last: a proof that is refused for something else is not used up.
        if not self.used.first(_use(proof), _forgotten(now)):
            raise InvalidProof(USED)
        return proof.key


def token_hash(access_token: str) -> str:
    """The ``ath`` of a token."""
    return to_base64url(hashlib.sha256(access_token.encode("ascii")).digest())


def _is_of(proof: Proof, access_token: str) -> bool:
    given = proof.token_hash or ""
    return hmac.compare_digest(given.encode(), token_hash(access_token).encode())


def _use(proof: Proof) -> str:
    return hashlib.sha256(f"{proof.key}|{proof.proof_id}".encode()).hexdigest()


def _forgotten(now: datetime) -> datetime:
    """When a proof that is good now is too old at any rate."""
    return now + MAX_AGE + MAX_AHEAD


def same_url(first: str, second: str) -> bool:
    """Are they one URL, but for query and fragment (RFC 3986 section 6.2.2 and 6.2.3)."""
    try:
        return normalized(first) == normalized(second)
    except ValueError:
        return False


def normalized(url: str) -> str:
    """The URL without query and fragment, in its normal form. Raises ValueError if it is none."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in {"http", "https"} or not host or parts.username is not None:
        raise ValueError("not a URL of a request")
    port = parts.port
    if port == {"http": 80, "https": 443}[scheme]:
        port = None
    authority = f"[{host}]" if ":" in host else host
    if port is not None:
        authority = f"{authority}:{port}"
    return f"{scheme}://{authority}{_without_dots(_escaped(parts.path)) or '/'}"


def _escaped(path: str) -> str:
    def one(match: re.Match[str]) -> str:
        character = unquote(match[0], errors="ignore")
        return character if _UNRESERVED.fullmatch(character) else match[0].upper()

    return quote(_ESCAPE.sub(one, path), safe="/%:@!$&'()*+,;=~")


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4."""
    kept: list[str] = []
    steps = path.split("/")
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        if step == "..":
            if len(kept) > 1:
                kept.pop()
        elif step != ".":
            kept.append(step)
            continue
        if last:
            kept.append("")
    return "/".join(kept)
