"""What identity does but for saying who calls: issue tokens, publish what others need to verify
them, make secrets. Who calls is in ``authorizing``."""

from dataclasses import dataclass

from headrace.identity import tokens
from headrace.identity.client_authentication import (
    METHODS,
    AuthenticateClient,
    Authenticated,
    ByCertificate,
)
from headrace.identity.dpop import ALGORITHMS, CheckProof
from headrace.identity.keys import VerificationKey
from headrace.identity.model import (
    ACCESS_TOKEN_LIFETIME,
    AccessToken,
    Client,
    StoredSecret,
    new_secret,
    scope_tokens,
    secret_hash,
)
from headrace.identity.mutual_tls import thumbprint
from headrace.identity.oauth import (
    SentRequest,
    TokenIssued,
    TokenRefused,
    TokenRequest,
    parameters_of,
)
from headrace.identity.ports import ClientSecrets, Signer
from headrace.kernel.clock import Clock
from headrace.kernel.errors import InvalidProof
from headrace.kernel.ids import Ids


@dataclass(frozen=True)
class IssueToken:
    """Gives a client that proves itself a token for one tenant (RFC 6749 section 4.4)."""

    authenticate: AuthenticateClient
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
        parameters = parameters_of(sent)
        request = TokenRequest.read(parameters)
        authenticated = self.authenticate(sent, parameters)
        client = authenticated.client
        if not client.networks.allow(source_ip):
            # The secret was right, and RFC 6749 has no code for networks. Whoever runs the client
            # must learn what is wrong, and who stole the secret sees the same at every other call.
            raise TokenRefused("unauthorized_client", "The client may not call from this network.")
        tenant = _tenant(client, request.tenant)
        scope = _scope(client, request.scope)
        key = self._key(client, sent)
        certificate = _certificate(authenticated, sent)
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
            certificate=certificate,
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


def _certificate(authenticated: Authenticated, sent: SentRequest) -> str | None:
    """The certificate that the token is to be bound to (RFC 8705 section 3): that by which the
    client authenticated, or that which all its tokens need."""
    if authenticated.method != ByCertificate.name and not authenticated.client.needs_certificate:
        return None
    name = thumbprint(sent.certificate)
    if name is None:
        raise TokenRefused(
            "invalid_request", "Ask for the token over a connection with your certificate."
        )
    return name


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


# --- What others need to verify tokens, and to ask for them ---------------------------------------


def key_document(keys: tuple[VerificationKey, ...]) -> dict[str, list[dict[str, str]]]:
    """The JWK set (RFC 7517 section 5) of our keys."""
    return {"keys": [key.jwk() for key in keys]}


def issuer_document(issuer: str, scopes: tuple[str, ...]) -> dict[str, str | bool | list[str]]:
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
        "token_endpoint_auth_methods_supported": list(METHODS),
        "tls_client_certificate_bound_access_tokens": True,
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
