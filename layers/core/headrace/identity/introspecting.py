"""What a token is, and its end before its time (RFC 7662, RFC 7009).

A client asks about, and ends, tokens of its own: those that it was given, and the API keys of the
service that it is. Of all others it learns nothing, not even that there are any.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headrace.identity import tokens
from headrace.identity.api_keys import ApiKey, KeyKind, KeyText
from headrace.identity.client_authentication import AuthenticateClient
from headrace.identity.keys import KeySet
from headrace.identity.model import Client, Issuer, of_every_tenant
from headrace.identity.oauth import SentRequest, TokenRefused, parameters_of
from headrace.identity.ports import ApiKeys, Revocations
from headrace.kernel.caller import EVERY_TENANT
from headrace.kernel.errors import NotAuthenticated

_TOLD = ("iss", "aud", "sub", "client_id", "tenant_id", "iat", "exp", "jti", "cnf", "key_id")
"""The claims that an introspection tells as they are."""


@dataclass(frozen=True)
class OwnTokens:
    """The tokens of ours that were given to a client, and the keys of the service that it is."""

    issuer: Issuer
    keys: Callable[[Issuer], KeySet]
    verify: tokens.Verifier
    revocations: Revocations
    api_keys: ApiKeys

    def access_token(self, client: Client, text: str) -> Mapping[str, Any] | None:
        """The claims of an access token that the client was given, and that has not expired.
        Raises Unavailable."""
        try:
            claims = self.verify(
                tokens.UnverifiedToken.read(text), self.issuer, self.keys(self.issuer)
            )
        except NotAuthenticated:
            return None
        return claims if claims.get("client_id") == client.client_id else None

    def key(self, client: Client, text: str) -> ApiKey | None:
        """The service's API key of which ``text`` is the static token or a refresh token."""
        sent = KeyText.read(text)
        key = None if sent is None else self.api_keys.find(sent.key_id)
        if sent is None or key is None or key.service != client.client_id:
            return None
        is_spent = sent.kind is KeyKind.REFRESH and self.api_keys.was_spent(key.key_id, sent.sha256)
        return key if key.is_that_of(sent) or is_spent else None

    def stands(self, client: Client, claims: Mapping[str, Any]) -> bool:
        """Would a call with the token be taken now, made as its binding asks for."""
        tenant = claims.get("tenant_id")
        if tenant not in client.tenants and not (tenant == EVERY_TENANT and client.tenants):
            return False
        bound_to = claims.get("cnf", {})
        if client.needs_proof and "jkt" not in bound_to:
            return False
        if client.needs_certificate and "x5t#S256" not in bound_to:
            return False
        if self.revocations.has(str(claims.get("jti"))):
            return False
        if "key_id" not in claims:
            return True
        key = self.api_keys.find(str(claims["key_id"]))
        now = self.verify.clock.now()
        return (
            key is not None
            and key.works_for(client, now)
            and key.generation == claims.get("key_generation")
        )


@dataclass(frozen=True)
class AskAboutToken:
    """The request that both endpoints take: a client that proves itself, and a token."""

    authenticate: AuthenticateClient

    def __call__(self, sent: SentRequest, source_ip: str) -> tuple[Client, str]:
        """The client and the token's text. Raises TokenRefused, Unavailable."""
        parameters = parameters_of(sent)
        client = self.authenticate(sent, parameters).client
        if not client.networks.allow(source_ip):
            raise TokenRefused("unauthorized_client", "The client may not call from this network.")
        token = parameters.get("token")
        if token is None:
            raise TokenRefused("invalid_request", "token is missing.")
        return client, token


@dataclass(frozen=True)
class IntrospectToken:
    """Tells a client how a token of its own stands (RFC 7662)."""

    read: AskAboutToken
    own: OwnTokens

    def __call__(self, sent: SentRequest, source_ip: str) -> dict[str, Any] | TokenRefused:
        """The answer of section 2.2: ``active`` alone for whatever is not the client's, or not
        good now. Raises Unavailable."""
        try:
            client, text = self.read(sent, source_ip)
        except TokenRefused as refusal:
            return refusal
        claims = self.own.access_token(client, text)
        if claims is not None:
            return self._of_claims(client, claims)
        key = self.own.key(client, text)
        return {"active": False} if key is None else self._of_key(client, key, text)

    def _of_claims(self, client: Client, claims: Mapping[str, Any]) -> dict[str, Any]:
        if not self.own.stands(client, claims):
            return {"active": False}
        granted = frozenset(str(claims.get("scope", "")).split(" ")) & client.scopes
        if claims.get("tenant_id") == EVERY_TENANT:
            granted = of_every_tenant(granted)
        is_bound = "jkt" in claims.get("cnf", {})
        return {
            "active": True,
            "scope": " ".join(sorted(granted)),
            "token_type": "DPoP" if is_bound else "Bearer",
            **{name: claims[name] for name in _TOLD if name in claims},
        }

    def _of_key(self, client: Client, key: ApiKey, text: str) -> dict[str, Any]:
        sent = KeyText.read(text)
        now = self.own.verify.clock.now()
        if sent is None or not key.is_that_of(sent) or not key.works_for(client, now):
            return {"active": False}
        # A static key proves nothing besides itself; a refresh token comes with what is asked for.
        if key.kind is KeyKind.STATIC and (client.needs_proof or client.needs_certificate):
            return {"active": False}
        return {
            "active": True,
            "scope": " ".join(sorted(client.scopes)),
            "client_id": client.client_id,
            "sub": client.client_id,
            "tenant_id": key.tenant,
            "iat": int(key.created_at.timestamp()),
            "exp": int(key.expires_at.timestamp()),
            "key_id": key.key_id,
            # A refresh token is no access token, and has no type (RFC 7662 section 2.2).
            **({"token_type": "Bearer"} if key.kind is KeyKind.STATIC else {}),
        }


@dataclass(frozen=True)
class RevokeToken:
    """Ends a token of the client's own (RFC 7009). The key of a refresh token ends with it, and so
    do the access tokens that it gave.

    ``log_out`` ends the login that a refresh token is of, and says whether it is of one at all:
    persons have no client's credentials to prove, as public clients have none (section 2.1).
    """

    read: AskAboutToken
    own: OwnTokens
    log_out: Callable[[str], bool]

    def __call__(self, sent: SentRequest, source_ip: str) -> TokenRefused | None:
        """None: there is no such token any more, whoever's it was. Raises Unavailable, Conflict."""
        try:
            if self.log_out(parameters_of(sent).get("token", "")):
                return None
            client, text = self.read(sent, source_ip)
        except TokenRefused as refusal:
            return refusal
        claims = self.own.access_token(client, text)
        if claims is not None:
            until = datetime.fromtimestamp(claims["exp"], UTC) + tokens.LEEWAY
            self.own.revocations.revoke(str(claims["jti"]), until)
            return None
        key = self.own.key(client, text)
        if key is not None:
            self.own.api_keys.revoke(key.key_id, self.own.verify.clock.now())
        return None
