"""The values and rules of identity: clients, callers, scopes, networks, tokens, secrets.

Nothing here reads a clock, a network or a store.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

ACCESS_TOKEN_LIFETIME = timedelta(seconds=3600)
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type (RFC 9068), not a secret

TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""One scope, RFC 6749 section 3.3."""


def scope_tokens(text: str) -> tuple[str, ...] | None:
    """The names in a ``scope`` parameter; None if it breaks the grammar of RFC 6749."""
    names = tuple(text.split(" "))
    if not all(_SCOPE_TOKEN.fullmatch(name) for name in names):
        return None
    return names


_NAMING_TENANTS = ("profiles:read", "profiles:write")
"""The scopes whose calls name a tenant each (seed 004), without the deployment's prefix."""


def of_every_tenant(scopes: Iterable[str]) -> frozenset[str]:
    """Those of the scopes, as they stand in tokens, that a token without a tenant may carry."""
    endings = tuple(f":{name}" for name in _NAMING_TENANTS)
    return frozenset(scope for scope in scopes if scope.endswith(endings))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that was written as IPv6 (``::ffff:192.0.2.1``) as what it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _plain_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


@dataclass(frozen=True)
class Networks:
    """The networks that a client may call from. Empty: from anywhere.

    IPv4 and IPv6 CIDRs; an IPv4 address in IPv6 form counts as the IPv4 address.
    """

    ranges: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, cidrs: Iterable[str]) -> "Networks":
        """From CIDR texts. Raises ValueError for one that is none or has host bits set."""
        return cls(tuple(_plain_network(ip_network(cidr)) for cidr in cidrs))

    def allow(self, source_ip: str) -> bool:
        """Whether a call from this address is allowed. What is no address is not, once
        there is a list."""
        if not self.ranges:
            return True
        try:
            address = _plain(ip_address(source_ip))
        except ValueError:
            return False
        return any(address in network for network in self.ranges)


@dataclass(frozen=True)
class Client:
    """A client as the published catalog has it.

    ``scopes`` are written as they stand in tokens, with the deployment's prefix, and compared
    exactly: case, blanks or a longer prefix make another scope.

    ``trusted_issuers``: the foreign issuers whose tokens may speak for this client. A token of an
    issuer that the client does not list is refused, however well it is signed; so a partner's
    identity provider cannot become anybody else's client.
    """

    client_id: str
    tenants: frozenset[str]
    scopes: frozenset[str]
    networks: Networks = Networks()
    trusted_issuers: frozenset[str] = frozenset()
    needs_proof: bool = False
    """Are its tokens taken only along with a proof of possession (DPoP)."""
    subject_dn: str | None = None
    """The subject of the certificate that it may authenticate with (RFC 8705 section 2.1)."""
    needs_certificate: bool = False
    """Are its tokens bound to the certificate of the connection (RFC 8705 section 3)."""
    is_service: bool = False
    """Is it an external service, with managers and API keys (seed 002)."""
    is_broker: bool = False
    """Is it a data broker, which calls on behalf of organisations (seed 002)."""
    jwks: str | None = None
    """Its public keys, a JWK set as JSON, if it proves itself by a key (RFC 7523)."""
    jwks_uri: str | None = None
    """Where it publishes them, in place of ``jwks``."""


# --- Client secrets -------------------------------------------------------------------------------

SECRET_PREFIX = "hr_"  # noqa: S105 - marks our secrets so that scanners recognise a leaked one
MAX_SECRETS = 2
"""A client has one secret, and a second one while it moves from the first to the next."""


def new_secret() -> str:
    """A client secret: 256 random bits in base64url behind a recognisable prefix."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What is stored of a secret: SHA-256, hex.

    A slow hash (bcrypt, Argon2) makes guessable passwords dear to guess. Ours hold 256 random
    bits, which no speed of guessing reaches, so a slow hash would only slow down the token
    endpoint and hand attackers a lever to load it.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class StoredSecret:
    """What is kept of one secret of a client."""

    secret_id: str
    sha256: str
    created_at: datetime


_NO_SECRET = StoredSecret("none", "0" * 64, datetime.min)


def secret_matches(presented: str, stored: tuple[StoredSecret, ...]) -> bool:
    """Whether the presented secret is one of the stored ones.

    Always as many comparisons as a client can have secrets, each in constant time, so that the
    answer takes as long for an unknown client as for a known one.
    """
    digest = secret_hash(presented)
    slots = (*stored, *(_NO_SECRET,) * MAX_SECRETS)[: max(MAX_SECRETS, len(stored))]
    matched = False
    for slot in slots:
        matched |= hmac.compare_digest(digest, slot.sha256)
    return matched


# --- Client certificates --------------------------------------------------------------------------

CLIENT_CERTIFICATE = "client-certificate"
"""What stands for the token of a call whose connection has a certificate (seed 002)."""


@dataclass(frozen=True)
class BoundCertificate:
    """Whose a client certificate of ours is."""

    key_id: str
    service: str
    not_before: datetime
    not_after: datetime

    def holds_at(self, now: datetime) -> bool:
        """Is it valid then."""
        return self.not_before <= now <= self.not_after


@dataclass(frozen=True)
class IssuedCertificate(BoundCertificate):
    """A client certificate as we issued it."""

    thumbprint: str
    """SHA-256 of the certificate, base64url (RFC 8705 section 3.1)."""
    serial: str
    """Hex."""
    key_fingerprint: str
    """SHA-256 of its public key, hex."""
    pem: str


# --- Issuers --------------------------------------------------------------------------------------

SIGNATURE_ALGORITHMS = frozenset({"RS256", "PS256", "ES256"})


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are accepted, and how to read them.

    - ``algorithms``: the signature algorithms accepted, pinned: never what the token says.
    - ``types``: accepted values of the ``typ`` header, lower case (``application/`` left off).
      Ours is ``at+jwt``. Some providers write ``jwt`` for every token they make, so ID tokens
      pass that test too: name such a type only with an audience no ID token of theirs carries.
    - ``client_claim``, ``tenant_claim``, ``scope_claim``: where the client id, the tenant and the
      scopes stand. The scopes are a space-separated text or a list of texts. Without
      ``tenant_claim`` the client must serve one tenant only.
    - ``jwks_uri``: where a foreign issuer publishes its keys; empty for ourselves.
    """

    issuer: str
    audience: str
    jwks_uri: str = ""
    algorithms: frozenset[str] = frozenset({"RS256"})
    types: frozenset[str] = frozenset({ACCESS_TOKEN_TYPE})
    client_claim: str = "client_id"
    tenant_claim: str | None = "tenant_id"
    scope_claim: str = "scope"

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ValueError("an issuer needs its name and an audience")
        if not self.algorithms or not self.algorithms <= SIGNATURE_ALGORITHMS:
            raise ValueError(
                f"the algorithms of {self.issuer} must be among "
                f"{', '.join(sorted(SIGNATURE_ALGORITHMS))}"
            )
        if not self.types or "dpop+jwt" in self.types or any(t != t.lower() for t in self.types):
            raise ValueError(
                f"the token types of {self.issuer} must be lower case and not dpop+jwt"
            )

    @property
    def is_ours(self) -> bool:
        """Whether the tokens are signed by us."""
        return not self.jwks_uri


@dataclass(frozen=True)
class AccessToken:
    """The claims of a token of ours (RFC 9068 section 2.2); times to the second."""

    issuer: str
    audience: str
    client_id: str
    tenant: str
    scope: str
    issued_at: datetime
    token_id: str
    lifetime: timedelta = field(default=ACCESS_TOKEN_LIFETIME)
    key: str | None = None
    """The thumbprint of the key that the token is bound to (RFC 9449 section 6)."""
    subject: str | None = None
    """The person that logged in; None where a client calls for itself, and is the ``sub``."""
    more: Mapping[str, str | int] = field(default_factory=dict)
    """Claims that say by which credential the token was had, so that it can end with it."""
    certificate: str | None = None
    """The thumbprint of the certificate that it is bound to (RFC 8705 section 3.1)."""

    def claims(self) -> dict[str, str | int | dict[str, str]]:
        """As the payload of the JWT."""
        issued = int(self.issued_at.timestamp())
        named = {"jkt": self.key, "x5t#S256": self.certificate}
        bound = {name: value for name, value in named.items() if value is not None}
        return {
            **({"cnf": bound} if bound else {}),
            **self.more,
            "iss": self.issuer,
            "aud": self.audience,
            "sub": self.subject or self.client_id,
            "client_id": self.client_id,
            "tenant_id": self.tenant,
            "scope": self.scope,
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
            "jti": self.token_id,
        }
