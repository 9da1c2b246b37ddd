"""What identity does: issue a token, say who calls, publish what others need to verify tokens."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headrace.identity import tokens
from headrace.identity.dpop import ALGORITHMS, CheckProof
from headrace.identity.keys import KeySet, VerificationKey
from headrace.identity.model import (
    ACCESS_TOKEN_LIFETIME,
    CLIENT_ID,
    AccessToken,
    Client,
    Issuer,
    StoredSecret,
    new_secret,
    scope_tokens,
    secret_hash,
    secret_matches,
)
from headrace.identity.oauth import (
    NOT_AUTHENTICATED,
    SentRequest,
    TokenIssued,
    TokenRefused,
    TokenRequest,
)
from headrace.identity.ports import Clients, ClientSecrets, Signer
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import InvalidProof, NotAuthenticated, Unavailable
from headrace.kernel.ids import Ids


@dataclass(frozen=True)
class IssueToken:
    """Gives a client that proves itself a token for one tenant (RFC 6749 section 4.4)."""

    clients: Clients
    secrets: ClientSecrets
    signer: Signer
    clock: Clock
    ids: Ids
    check_proof: CheckProof

    def __call__(
        self, sent: SentRequest, source_ip: str, issuer: str, audience: str
    ) -> TokenIssued | TokenRefused:
        """The token, or why there is none. Raises Unavailable: the signing key cannot be used."""
        try:
            return self._issued(sent, source_ip, issuer, audience)
        except TokenRefused as refusal:
            return refusal

    def _issued(self, sent: SentRequest, source_ip: str, issuer: str, audience: str) -> TokenIssued:
        request = TokenRequest.read(sent)
        client = self._authenticated(request)
        if not client.networks.allow(source_ip):
            # The secret was right, and RFC 6749 has no code for networks. Whoever runs the client
            # must learn what is wrong, and who stole the secret sees the same at every other call.
            raise TokenRefused("unauthorized_client", "The client may not call from this network.")
        tenant = _tenant(client, request.tenant)
        scope = _scope(client, request.scope)
        key = self._key(client, sent)
        now = self.clock.now()
        token = AccessToken(
            issuer=issuer,
            audience=audience,
            client_id=client.client_id,
            tenant=tenant,
            scope=scope,
            issued_at=now,
            token_id=self.ids.new(now),
            key=key,
        )
        key_id = self.signer.key_id()
        text = tokens.signed(token, key_id, lambda message: self.signer.sign(key_id, message))
        kind = "Bearer" if key is None else "DPoP"
        return TokenIssued(text, int(ACCESS_TOKEN_LIFETIME.total_seconds()), scope, kind)

    def _key(self, client: Client, sent: SentRequest) -> str | None:
        """The key that the token is to be bound to (RFC 9449 section 5)."""
        if not sent.proofs and not client.needs_proof:
            return None
        try:
            return self.check_proof(sent.proofs, "POST", sent.url)
        except InvalidProof as error:
            raise TokenRefused(error.code, error.detail) from None

    def _authenticated(self, request: TokenRequest) -> Client:
        refusal = TokenRefused("invalid_client", NOT_AUTHENTICATED, by_header=request.by_header)
        if not CLIENT_ID.fullmatch(request.client_id):
            raise refusal
        # Until the secret is right, the same one read and the same comparisons whether the client
        # exists or not, so that neither the answer nor its time tells which client ids exist.
        if not secret_matches(request.client_secret, self.secrets.of(request.client_id)):
            raise refusal
        client = self.clients.find(request.client_id)
        if client is None:
            raise refusal
        return client


def _tenant(client: Client, asked: str | None) -> str:
    if asked is None:
        if len(client.tenants) == 1:
            return next(iter(client.tenants))
        raise TokenRefused(
            "invalid_request", "The client serves several tenants: name one in tenant_id."
        )
    if asked not in client.tenants:
        raise TokenRefused("invalid_request", "tenant_id is no tenant of this client.")
    return asked


def _scope(client: Client, asked: str | None) -> str:
    if asked is None:
        return " ".join(sorted(client.scopes))
    names = scope_tokens(asked)
    if names is None or not client.scopes.issuperset(names):
        raise TokenRefused("invalid_scope", "The client may not have a scope that was asked for.")
    return " ".join(sorted(set(names)))


# --- Who calls ------------------------------------------------------------------------------------

_CREDENTIALS = re.compile(r"(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


BOUND = "The access token is bound to a key: send it as DPoP, with a proof."
UNBOUND = "The access token is bound to no key: ask for one with a DPoP proof."
OTHER_KEY = "The access token is bound to another key than the proof's."


class _NotPossessed(NotAuthenticated):
    """The token is good, and not sent as its key asks for."""


@dataclass(frozen=True)
class Presented:
    """What a call brings along to say who it is of."""

    authorization: tuple[str, ...]
    """Every Authorization header of the request."""
    query_names: frozenset[str]
    source_ip: str
    """The address that API Gateway saw; never one that a header claims."""
    proofs: tuple[str, ...] = ()
    """Every DPoP header."""
    method: str = ""
    url: str = ""
    """What is called, as we are called in public."""


@dataclass(frozen=True)
class Allowed:
    """The call is the caller's."""

    caller: Caller


@dataclass(frozen=True)
class Denied:
    """Nobody known is calling. ``detail`` is None when no credentials came at all.

    ``scheme`` and ``code``: how to come back, and what was wrong (RFC 6750, RFC 9449).
    """

    detail: str | None
    scheme: Literal["Bearer", "DPoP"] = "Bearer"
    code: str = NotAuthenticated.code


@dataclass(frozen=True)
class Refused:
    """The caller is known and gets no answer from here, or cannot be known now; ``code`` is the
    code of the problem."""

    code: Literal["network_not_allowed", "unavailable"]


@dataclass(frozen=True)
class Authorize:
    """Says who calls, on every call anew: a client that was unpublished a moment ago is gone."""

    clients: Clients
    issuers: Mapping[str, Issuer]
    """Whose tokens are accepted, by their ``iss``."""
    keys: Callable[[Issuer], KeySet]
    """The key set of an issuer; nothing is fetched before a key is asked of it."""
    verify: tokens.Verifier
    check_proof: CheckProof

    def __call__(self, presented: Presented) -> Allowed | Denied | Refused:
        """Never raises for what a caller can send."""
        try:
            return self._judge(presented)
        except (InvalidProof, _NotPossessed) as error:
            return Denied(error.detail, "DPoP", error.code)
        except NotAuthenticated as error:
            return Denied(error.detail)
        except Unavailable:
            return Refused("unavailable")

    def _judge(self, presented: Presented) -> Allowed | Denied | Refused:
        if "access_token" in presented.query_names:
            raise NotAuthenticated("Send the access token in the Authorization header only.")
        if len(presented.authorization) > 1:
            raise NotAuthenticated("The Authorization header is sent more than once.")
        header = presented.authorization[0].strip(" ") if presented.authorization else ""
        if header.partition(" ")[0].lower() not in {"bearer", "dpop"}:
            return Denied(None)
        match = _CREDENTIALS.fullmatch(header)
        if match is None:
            raise NotAuthenticated(tokens.NOT_VALID)
        token = tokens.UnverifiedToken.read(match[2])
        issuer = self.issuers.get(token.issuer)
        if issuer is None:
            raise NotAuthenticated(tokens.NOT_TRUSTED)
        claims = self.verify(token, issuer, self.keys(issuer))
        client, tenant = self._client(claims, issuer)
        self._check_possession(presented, match[1].lower() == "dpop", match[2], claims, client)
        if not client.networks.allow(presented.source_ip):
            return Refused("network_not_allowed")
        # What the catalog has taken away since the token was made is gone at once.
        scopes = _scopes_of(claims, issuer) & client.scopes
        return Allowed(Caller(tenant, client.client_id, scopes))

    def _check_possession(
        self,
        presented: Presented,
        by_proof: bool,
        token: str,
        claims: Mapping[str, Any],
        client: Client,
    ) -> None:
        """RFC 9449 section 7: a bound token comes with a proof of its key, and no other does."""
        confirmation = claims.get("cnf", {})
        if not isinstance(confirmation, dict) or confirmation.keys() - {"jkt"}:
            # Bound to something that we cannot see, a certificate for example.
            raise NotAuthenticated(tokens.NOT_VALID)
        key = confirmation.get("jkt")
        if key is None:
            if client.needs_proof or by_proof:
                raise _NotPossessed(UNBOUND)
            return
        if not by_proof:
            raise _NotPossessed(BOUND)
        if self.check_proof(presented.proofs, presented.method, presented.url, token) != key:
            raise _NotPossessed(OTHER_KEY)

    def _client(self, claims: Mapping[str, Any], issuer: Issuer) -> tuple[Client, str]:
        unknown = NotAuthenticated("The access token names no client that is known here.")
        client_id = claims.get(issuer.client_claim)
        if not isinstance(client_id, str) or not CLIENT_ID.fullmatch(client_id):
            raise unknown
        client = self.clients.find(client_id)
        if client is None or not (issuer.is_ours or issuer.issuer in client.trusted_issuers):
            raise unknown
        if issuer.tenant_claim is None:
            tenant = next(iter(client.tenants)) if len(client.tenants) == 1 else None
        else:
            tenant = claims.get(issuer.tenant_claim)
        if not isinstance(tenant, str) or tenant not in client.tenants:
            raise unknown
        return client, tenant


def _scopes_of(claims: Mapping[str, Any], issuer: Issuer) -> frozenset[str]:
    value = claims.get(issuer.scope_claim)
    if isinstance(value, str):
        return frozenset(value.split(" "))
    if isinstance(value, list):
        return frozenset(name for name in value if isinstance(name, str))
    return frozenset()


# --- What others need to verify tokens, and to ask for them ---------------------------------------


def key_document(keys: tuple[VerificationKey, ...]) -> dict[str, list[dict[str, str]]]:
    """The JWK set (RFC 7517 section 5) of our keys."""
    return {"keys": [key.jwk() for key in keys]}


def issuer_document(issuer: str, scopes: tuple[str, ...]) -> dict[str, str | list[str]]:
    """The metadata of the authorization server (RFC 8414 section 2).

    Only what is true: there is no authorization endpoint and no ID token, so no response type.
    """
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/connect/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": list(scopes),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "service_documentation": f"{issuer}/docs",
    }


# --- Secrets --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateClientSecret:
    """Makes a secret for a client. A second one beside the first is how to change secrets
    without an interruption."""

    secrets: ClientSecrets
    clock: Clock
    ids: Ids

    def __call__(self, client_id: str) -> tuple[StoredSecret, str]:
        """What is stored, and the secret itself, which nothing can show again.

        Raises Conflict when the client has two already.
        """
        now = self.clock.now()
        secret = new_secret()
        stored = StoredSecret(self.ids.new(now), secret_hash(secret), now)
        self.secrets.add(client_id, stored)
        return stored, secret
