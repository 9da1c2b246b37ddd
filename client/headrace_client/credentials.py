"""The ways to prove who calls, as values: what an integrator has, and how a token comes of it.

    ClientSecret            a client id with a secret
    PrivateKey              a client id with a key that signs (private_key_jwt)
    ConnectionCertificate   a client id with the certificate of the connection (tls_client_auth)
    StaticKey               an API key that is sent as it is
    KeyCertificate          the certificate of the connection, which stands for an API key
    RefreshToken            an API key or a login that goes on by refresh tokens, kept in a file

docs/authentication.md of the project says which is for whom.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headrace_client.errors import SetupError
from headrace_client.keys import SigningKey
from headrace_client.refreshing import RefreshedTokens, RefreshFile
from headrace_client.tokens import FixedToken, Grant, Tokens, TokenSource

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
STATIC_PREFIX, REFRESH_PREFIX, LOGIN_PREFIX = "hrk_", "hrr_", "hrl_"
_CERTIFICATE = "client-certificate"
_ASSERTION_SECONDS = 120


class TokenEndpoint(Protocol):
    """`POST /connect/token` of one service, as credentials ask it."""

    @property
    def public_url(self) -> str:
        """Its address, as the service calls itself."""
        ...

    @property
    def bound_to(self) -> str | None:
        """The thumbprint of the key that its tokens are bound to, if any."""
        ...

    def ask(
        self, form: Callable[[], Mapping[str, str]], idempotency_key: str | None = None
    ) -> Grant:
        """The answer; `form` makes what is sent, anew for each time that it is."""
        ...


class Credentials(Protocol):
    """One way to prove who calls."""

    @property
    def client_id(self) -> str:
        """Whose the work is that is begun with them: the client's id, or what is nearest to it."""
        ...

    @property
    def bindable(self) -> bool:
        """Whether they give tokens that can be bound to a key (DPoP)."""
        ...

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """Where the tokens of calls come from."""
        ...


@dataclass(frozen=True)
class ClientSecret:
    """A client and its secret. `tenant`: of several that it serves."""

    client_id: str
    secret: str = field(repr=False)
    tenant: str | None = None
    bindable = True

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """By client_secret_post (RFC 6749 section 2.3.1)."""
        proof = {"client_secret": self.secret}
        return _client_credentials(self.client_id, self.tenant, lambda: proof, endpoint, monotonic)


@dataclass(frozen=True)
class PrivateKey:
    """A client and its key, whose public half the operator has. `key_id`: its name there."""

    client_id: str
    key: SigningKey
    key_id: str
    tenant: str | None = None
    now: Callable[[], float] = field(default=time.time, repr=False, compare=False)
    bindable = True

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """By private_key_jwt (RFC 7523): an assertion for each request."""
        return _client_credentials(
            self.client_id, self.tenant, lambda: self._assertion(endpoint), endpoint, monotonic
        )

    def _assertion(self, endpoint: TokenEndpoint) -> Mapping[str, str]:
        now = int(self.now())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": endpoint.public_url,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        signed = self.key.sign({"kid": self.key_id}, claims)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


@dataclass(frozen=True)
class ConnectionCertificate:
    """A client that the certificate of its connection proves."""

    client_id: str
    tenant: str | None = None
    bindable = True

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """By tls_client_auth (RFC 8705 section 2.1)."""
        return _client_credentials(self.client_id, self.tenant, dict, endpoint, monotonic)


@dataclass(frozen=True)
class StaticKey:
    """An API key that is sent with every call. `service`: the id of the service that it is of."""

    key: str = field(repr=False)
    service: str | None = None
    bindable = False

    @property
    def client_id(self) -> str:
        """The service, or the key's id where it is not told."""
        return self.service or key_id_of(self.key)

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """The key."""
        return FixedToken(self.key)


@dataclass(frozen=True)
class KeyCertificate:
    """An API key in the form of a certificate. `service`: the id of the service that it is of."""

    service: str | None = None
    bindable = False

    @property
    def client_id(self) -> str:
        """The service; where it is not told, all certificates are alike."""
        return self.service or _CERTIFICATE

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """The word that says so."""
        return FixedToken(_CERTIFICATE)


@dataclass(frozen=True)
class RefreshToken:
    """What a file holds of an API key, or of a login. `holder`: the service or person it is of."""

    file: RefreshFile = field(repr=False)
    holder: str
    bindable = True

    @property
    def client_id(self) -> str:
        """The service or person."""
        return self.holder

    def tokens(self, endpoint: TokenEndpoint, monotonic: Callable[[], float]) -> Tokens:
        """By exchanges (RFC 6749 section 6), with an Idempotency-Key each."""

        def exchange(refresh_token: str, idempotency_key: str) -> Grant:
            form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
            return endpoint.ask(lambda: form, idempotency_key)

        return RefreshedTokens(self.file, exchange, endpoint.bound_to)


CERTIFIED = (ConnectionCertificate, KeyCertificate)
"""What the certificate of the connection proves."""


def key_id_of(key: str) -> str:
    """The id in an API key, or in a refresh token: `hrk_ID_…`. Raises SetupError."""
    prefix, _, rest = key.partition("_")
    key_id, underscore, secret = rest.partition("_")
    known = f"{prefix}_" in (STATIC_PREFIX, REFRESH_PREFIX, LOGIN_PREFIX)
    if not (known and underscore and secret and key_id.isascii() and key_id.isalnum()):
        raise SetupError(
            f"This is no API key: one begins with {STATIC_PREFIX} or {REFRESH_PREFIX}, and is "
            "taken whole. A client's secret goes with its client id."
        )
    return key_id


def _client_credentials(
    client_id: str,
    tenant: str | None,
    proof: Callable[[], Mapping[str, str]],
    endpoint: TokenEndpoint,
    monotonic: Callable[[], float],
) -> Tokens:
    """RFC 6749 section 4.4."""
    form = {"grant_type": "client_credentials", "client_id": client_id}
    if tenant is not None:
        form["tenant_id"] = tenant
    return TokenSource(lambda: endpoint.ask(lambda: {**form, **proof()}), monotonic)
