"""The token endpoint (RFC 6749 section 3.2): what is asked for is a grant, and each kind decides
whether there is a token."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from headrace.identity import tokens
from headrace.identity.api_keys import TOKEN_LIFETIME, ApiKey, KeyKind, KeyText, Turn
from headrace.identity.client_authentication import (
    AuthenticateClient,
    Authenticated,
    ByCertificate,
)
from headrace.identity.dpop import CheckProof
from headrace.identity.model import (
    ACCESS_TOKEN_LIFETIME,
    AccessToken,
    Client,
    of_every_tenant,
    scope_tokens,
)
from headrace.identity.mutual_tls import thumbprint
from headrace.identity.oauth import (
    SentRequest,
    TokenIssued,
    TokenRefused,
    grant_type,
    parameters_of,
)
from headrace.identity.ports import ApiKeys, Clients, Signer
from headrace.kernel.caller import EVERY_TENANT, Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import InvalidProof, NonceNeeded, RefreshRefused
from headrace.kernel.ids import Ids

SPENT_NOW = (
    "The refresh token was exchanged a moment ago: use the one that came for it, or send the "
    "Idempotency-Key of that exchange again."
)
SPENT_BEFORE = (
    "The refresh token had been exchanged before, so the key is revoked: somebody else may have "
    "it. Have a manager of the service make a new one."
)
NOT_VALID = "The refresh token is not valid, or its key was revoked or has expired."
OTHER_KEY = "The refresh token is bound to another key than the proof's."
MIN_IDEMPOTENCY_KEY = 32
"""Characters: whoever guessed it, and had the refresh token before, could repeat the exchange."""


@dataclass(frozen=True)
class Asked:
    """A request to the token endpoint, and for which deployment it is."""

    sent: SentRequest
    source_ip: str
    issuer: str
    audience: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    idempotency_key: str | None = field(default=None, repr=False)


class Grant(Protocol):
    """One kind of grant."""

    def __call__(self, asked: Asked) -> TokenIssued:
        """Raises TokenRefused, Unavailable."""
        ...


@dataclass(frozen=True)
class IssueToken:
    """Answers a request for a token. ``grants``: the kinds there are, by ``grant_type``."""

    grants: Mapping[str, Grant]

    def __call__(self, asked: Asked) -> TokenIssued | TokenRefused:
        """The token, or why there is none. Raises Unavailable: the signing key cannot be used."""
        try:
            parameters = parameters_of(asked.sent)
            grant = self.grants[grant_type(parameters, tuple(self.grants))]
            return grant(replace(asked, parameters=parameters))
        except TokenRefused as refusal:
            return refusal


@dataclass(frozen=True)
class MakeToken:
    """Signs access tokens."""

    signer: Signer
    clock: Clock
    ids: Ids
    check_proof: CheckProof

    def __call__(self, token: AccessToken) -> TokenIssued:
        """The answer that carries it. Raises Unavailable."""
        return TokenIssued(
            tokens.signed_by(self.signer, token),
            int(token.lifetime.total_seconds()),
            token.scope,
            "Bearer" if token.key is None else "DPoP",
        )

    def new(
        self, asked: Asked, client: Client, tenant: str, key: str | None, certificate: str | None
    ) -> AccessToken:
        """A token for the client, with the scopes that are asked for. Raises TokenRefused."""
        now = self.clock.now()
        return AccessToken(
            issuer=asked.issuer,
            audience=asked.audience,
            client_id=client.client_id,
            tenant=tenant,
            scope=_scope(client, asked.parameters.get("scope")),
            issued_at=now,
            token_id=self.ids.new(now),
            lifetime=ACCESS_TOKEN_LIFETIME,
            key=key,
            certificate=certificate,
        )

    def key(self, asked: Asked, *, needed: bool) -> str | None:
        """The key that the token is to be bound to (RFC 9449 section 5). Raises TokenRefused."""
        if not asked.sent.proofs and not needed:
            return None
        try:
            return self.check_proof(asked.sent.proofs, "POST", asked.sent.url)
        except NonceNeeded as error:
            raise TokenRefused(error.code, error.detail, nonce=error.nonce) from None
        except InvalidProof as error:
            raise TokenRefused(error.code, error.detail) from None


@dataclass(frozen=True)
class ClientCredentials:
    """Gives a client that proves itself a token for one tenant (RFC 6749 section 4.4)."""

    authenticate: AuthenticateClient
    make: MakeToken

    def __call__(self, asked: Asked) -> TokenIssued:
        """The token."""
        authenticated = self.authenticate(asked.sent, asked.parameters)
        client = authenticated.client
        _check_network(client, asked)
        tenant = _tenant(client, asked.parameters)
        key = self.make.key(asked, needed=client.needs_proof)
        token = self.make.new(asked, client, tenant, key, _certificate(authenticated, asked.sent))
        return replace(self.make(token), caller=_caller(token))


@dataclass(frozen=True)
class RefreshTokens:
    """Exchanges the refresh token of an API key for an access token and the next refresh token.

    RFC 6749 section 6, RFC 9700 section 4.14.2, seed 002. One exchange of several at once wins. A
    token that had been exchanged longer than ``GRACE`` ago ends its key, as one of two has stolen
    it. The access token of the exchange before ends with this one.
    """

    clients: Clients
    api_keys: ApiKeys
    make: MakeToken

    def __call__(self, asked: Asked) -> TokenIssued:
        """The tokens. An exchange whose answer was lost is repeated with its Idempotency-Key."""
        sent = KeyText.read(asked.parameters.get("refresh_token", ""))
        if sent is None or sent.kind is not KeyKind.REFRESH:
            raise TokenRefused("invalid_grant", NOT_VALID)
        now = self.make.clock.now()
        key = self.api_keys.find(sent.key_id)
        client = None if key is None else self.clients.find(key.service)
        if key is None or client is None or not key.works_for(client, now):
            raise TokenRefused("invalid_grant", NOT_VALID)
        _check_network(client, asked)
        given = sent.next(exchange_key(asked))
        repeated = asked.idempotency_key is not None and key.is_that_of(given)
        if not repeated:
            check_turn(
                key.turn(sent, now),
                was_spent=lambda: self.api_keys.was_spent(key.key_id, sent.sha256),
                end=lambda: self.api_keys.revoke(key.key_id, now),
                not_valid=NOT_VALID,
                spent_before=SPENT_BEFORE,
            )
        proven = self._proven(key, client, asked)
        after = key if repeated else key.exchanged(sent, given, proven, now)
        issued = self._issued(after, client, asked)
        # The token is signed by now: an exchange that stands has its answer.
        if not repeated and not self.api_keys.exchange(key, after):
            raise TokenRefused("invalid_grant", SPENT_NOW)
        return replace(issued, refresh_token=given.text)

    def _proven(self, key: ApiKey, client: Client, asked: Asked) -> str | None:
        """Once a refresh token came with a proof, it comes with that key's for ever."""
        needed = client.needs_proof or key.bound_to is not None
        proven = self.make.key(asked, needed=needed)
        if key.bound_to not in {None, proven}:
            raise TokenRefused("invalid_grant", OTHER_KEY)
        return proven

    def _issued(self, key: ApiKey, client: Client, asked: Asked) -> TokenIssued:
        certificate = _own_certificate(asked.sent) if client.needs_certificate else None
        token = replace(
            self.make.new(asked, client, key.tenant, key.bound_to, certificate),
            lifetime=TOKEN_LIFETIME,
            more={"key_id": key.key_id, "key_generation": key.generation},
        )
        return replace(self.make(token), caller=_caller(token, key))


@dataclass(frozen=True)
class ExchangeRefreshToken:
    """The same for services that do not speak OAuth (seed 002): refusals are errors of ours."""

    grant: Grant

    def __call__(self, asked: Asked) -> TokenIssued:
        """The tokens. Raises RefreshRefused, Unavailable."""
        try:
            return self.grant(asked)
        except TokenRefused as refusal:
            raise RefreshRefused(refusal.detail, refusal.error, refusal.nonce) from None


def exchange_key(asked: Asked) -> str | None:
    """The Idempotency-Key that the exchange can be repeated by. Raises TokenRefused."""
    key = asked.idempotency_key
    if key is not None and len(key) < MIN_IDEMPOTENCY_KEY:
        raise TokenRefused(
            "invalid_request",
            f"The Idempotency-Key of an exchange has {MIN_IDEMPOTENCY_KEY} characters or more, of "
            "your own and random: a UUID for example.",
        )
    return key


def check_turn(
    turn: Turn,
    *,
    was_spent: Callable[[], bool],
    end: Callable[[], None],
    not_valid: str,
    spent_before: str,
) -> None:
    """Raises TokenRefused of a refresh token that is not to be exchanged.

    One that ``was_spent`` long ago ends the key or login that it is of (RFC 9700 section 4.14.2).
    """
    if turn is Turn.CURRENT:
        return
    if turn is Turn.REPEATED:
        raise TokenRefused("invalid_grant", SPENT_NOW)
    # Who knows the id of a key or login alone must not be able to end it.
    if not was_spent():
        raise TokenRefused("invalid_grant", not_valid)
    end()
    raise TokenRefused("invalid_grant", spent_before)


def _caller(token: AccessToken, key: ApiKey | None = None) -> Caller:
    """Who was given the token, for the audit trail."""
    return Caller(
        tenant=token.tenant,
        client_id=token.client_id,
        scopes=frozenset(token.scope.split()),
        organisation=None if key is None else key.organisation,
        credential=None if key is None else key.key_id,
    )


def _check_network(client: Client, asked: Asked) -> None:
    if not client.networks.allow(asked.source_ip):
        # What proves the client was right, and RFC 6749 has no code for networks. Whoever runs the
        # client must learn what is wrong, and who stole it sees the same at every other call.
        raise TokenRefused("unauthorized_client", "The client may not call from this network.")


def _certificate(authenticated: Authenticated, sent: SentRequest) -> str | None:
    """The certificate that the token is to be bound to (RFC 8705 section 3): that by which the
    client authenticated, or that which all its tokens need."""
    if authenticated.method != ByCertificate.name and not authenticated.client.needs_certificate:
        return None
    return _own_certificate(sent)


def _own_certificate(sent: SentRequest) -> str:
    name = thumbprint(sent.certificate)
    if name is None:
        raise TokenRefused(
            "invalid_request", "Ask for the token over a connection with your certificate."
        )
    return name


def _tenant(client: Client, parameters: Mapping[str, str]) -> str:
    """The tenant that is asked for, or the only one. Where all that the token allows are calls
    that name a tenant each, it is good for all of the client's: systems that push profiles know
    no other tokens (seed 004)."""
    asked = parameters.get("tenant_id")
    if asked is None:
        if len(client.tenants) == 1:
            return next(iter(client.tenants))
        scopes = _scope(client, parameters.get("scope")).split()
        if scopes and of_every_tenant(scopes) == set(scopes):
            return EVERY_TENANT
        raise TokenRefused(
            "invalid_request",
            "The client serves several tenants: name one in tenant_id, or ask for the scopes of "
            "profiles only.",
        )
    if asked not in client.tenants:
        raise TokenRefused("invalid_request", "tenant_id is no tenant of this client.")
    return asked


def _scope(client: Client, asked: str | None) -> str:
    if asked is None:
        return " ".join(sorted(client.scopes))
    names = scope_tokens(asked)
    if names is None or not client.scopes.issuperset(names):
        raise TokenRefused(
            "invalid_scope",
            "The client may not have a scope that was asked for. A request without scope is "
            "answered with all that it may have, by their full names.",
        )
    return " ".join(sorted(set(names)))
