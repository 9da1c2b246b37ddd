"""Clients that prove themselves by a key of theirs (``private_key_jwt``, RFC 7523).

The client signs a short JWT, an assertion, for one request; the catalog has the public keys. So no
secret is ever handed over, and what stands in a log or a proxy is of no use to its reader.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.identity.client_authentication import Authenticated, refusal
from headrace.identity.encoding import from_base64url, object_from_json
from headrace.identity.keys import KeySet
from headrace.identity.model import CLIENT_ID, Client
from headrace.identity.oauth import SentRequest, TokenRefused
from headrace.identity.ports import Clients, UsedProofs
from headrace.kernel.clock import Clock

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "PS256", "RS256")
"""Asymmetric ones only."""
MAX_LIFETIME = timedelta(minutes=5)
MAX_AHEAD = timedelta(seconds=10)
"""How far the clocks of clients may be before ours."""
_TYPES = frozenset({"jwt", "client-authentication+jwt"})
_MAX_LENGTH = 4096
_MAX_ID = 256


@dataclass(frozen=True)
class Assertion:
    """An assertion that nobody has verified yet."""

    client_id: str
    """Whose it claims to be: ``iss`` and ``sub``."""
    algorithm: str
    key_id: str
    audience: str
    expires_at: float
    issued_at: float
    not_before: float
    assertion_id: str
    message: bytes
    signature: bytes

    @classmethod
    def read(cls, text: str) -> "Assertion":
        """Raises ValueError for what is no assertion of any client."""
        if len(text) > _MAX_LENGTH:
            raise ValueError("too long")
        first, second, third = text.split(".")
        header = object_from_json(from_base64url(first))
        claims = object_from_json(from_base64url(second))
        kind = _text(header, "typ") if "typ" in header else "jwt"
        if kind.lower().removeprefix("application/") not in _TYPES:
            raise ValueError("another kind of token")
        if "crit" in header or "b64" in header or header.get("alg") not in ALGORITHMS:
            raise ValueError("an algorithm or extension that is not accepted")
        client_id = _text(claims, "iss")
        if claims.get("sub") != client_id or not CLIENT_ID.fullmatch(client_id):
            raise ValueError("iss and sub must be the client's id")
        issued_at = _moment(claims, "iat")
        return cls(
            client_id=client_id,
            algorithm=str(header["alg"]),
            key_id=_text(header, "kid"),
            audience=_audience(claims),
            expires_at=_moment(claims, "exp"),
            issued_at=issued_at,
            not_before=_moment(claims, "nbf") if "nbf" in claims else issued_at,
            assertion_id=_text(claims, "jti"),
            message=f"{first}.{second}".encode("ascii"),
            signature=from_base64url(third),
        )

    @property
    def use(self) -> str:
        """What makes two assertions the same: client and ``jti``, of fixed length."""
        named = f"{self.client_id}\0{self.assertion_id}".encode()
        return f"assertion-{hashlib.sha256(named).hexdigest()}"


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID:
        raise ValueError(f"{name} must be a text")
    return value


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e11:
        raise ValueError(f"{name} must be a number of seconds")
    return value


def _audience(claims: Mapping[str, Any]) -> str:
    """The one audience (RFC 7523bis): what others would take as well is not for us."""
    value = claims.get("aud")
    listed = value if isinstance(value, list) else [value]
    if len(listed) != 1 or not isinstance(listed[0], str) or not listed[0]:
        raise ValueError("aud must be one text")
    return listed[0]


@dataclass(frozen=True)
class SignedAssertion:
    """The form's ``client_assertion`` (RFC 7523 section 2.2)."""

    clients: Clients
    keys: Callable[[Client], KeySet | None]
    """The keys of a client, if it has any; nothing is fetched before a key is asked of them."""
    used_before: UsedProofs
    clock: Clock
    name = "private_key_jwt"

    def used(self, sent: SentRequest, parameters: Mapping[str, str]) -> bool:
        """There is an assertion, or its type, in the form."""
        return not parameters.keys().isdisjoint({"client_assertion", "client_assertion_type"})

    def __call__(self, sent: SentRequest, parameters: Mapping[str, str]) -> Authenticated:
        """The client that signed."""
        return Authenticated(self._signer(sent, parameters), self.name)

    def _signer(self, sent: SentRequest, parameters: Mapping[str, str]) -> Client:
        wrong: TokenRefused = refusal(sent)
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise wrong
        try:
            assertion = Assertion.read(parameters.get("client_assertion", ""))
        except ValueError:
            raise wrong from None
        if parameters.get("client_id", assertion.client_id) != assertion.client_id:
            raise wrong
        client = self.clients.find(assertion.client_id)
        keys = None if client is None else self.keys(client)
        if client is None or keys is None:
            raise wrong
        # What costs nothing comes first: nobody has us fetch keys for an assertion of last year.
        if assertion.audience not in {sent.issuer, f"{sent.issuer}/connect/token"}:
            raise wrong
        now = self.clock.now()
        moment, ahead = now.timestamp(), MAX_AHEAD.total_seconds()
        if not moment < assertion.expires_at <= moment + MAX_LIFETIME.total_seconds() + ahead:
            raise wrong
        if max(assertion.issued_at, assertion.not_before) > moment + ahead:
            raise wrong
        key = keys.find(assertion.key_id)
        if key is None or not key.verifies(
            assertion.algorithm, assertion.message, assertion.signature
        ):
            raise wrong
        # Last: an assertion that is refused for something else is not used up.
        until = datetime.fromtimestamp(assertion.expires_at, UTC) + timedelta(minutes=1)
        if not self.used_before.first(assertion.use, until):
            raise wrong
        return client
