"""Who calls: said anew for every call.

What a call presents is read once (``Credentials``), and handed to the first recognizer that knows
its kind: access tokens here, others beside them. What holds for all kinds (one header, none in the
query, networks, on whose behalf) is held here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from headrace.identity import tokens
from headrace.identity.api_keys import (
    REFRESH_PREFIX,
    STATIC_PREFIX,
    ApiKey,
    KeyKind,
    KeyText,
)
from headrace.identity.dpop import CheckProof
from headrace.identity.keys import KeySet
from headrace.identity.model import (
    CLIENT_CERTIFICATE,
    CLIENT_ID,
    Client,
    Issuer,
    Networks,
    of_every_tenant,
)
from headrace.identity.mutual_tls import thumbprint
from headrace.identity.on_behalf import OnBehalf
from headrace.identity.ports import (
    ApiKeys,
    Certificates,
    Clients,
    LoginSessions,
    Revocations,
    Roles,
    Users,
)
from headrace.identity.sessions import SESSION_ENDED
from headrace.kernel.caller import EVERY_TENANT, USER_CLIENT_ID, Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    InvalidProof,
    NonceNeeded,
    NotAuthenticated,
    OrganisationNotAllowed,
    TooManyTries,
    Unavailable,
)

_CREDENTIALS = re.compile(
    r"([Bb][Ee][Aa][Rr][Ee][Rr]|[Dd][Pp][Oo][Pp]) +([A-Za-z0-9._~+/-]+=*)"
    r"(?:; ?grp=([A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}))?"
)
"""With the one parameter there is, of token characters (RFC 9110 section 5.6.2), never quoted."""
_BASIC = re.compile(r"[Bb][Aa][Ss][Ii][Cc] +([A-Za-z0-9+/]{1,8192}={0,2})")

BOUND = "The access token is bound to a key: send it as DPoP, with a proof."
UNBOUND = "The access token is bound to no key: ask for one with a DPoP proof."
OTHER_KEY = "The access token is bound to another key than the proof's."
NOT_CONNECTED = "The connection has no client certificate: call the domain that asks for one."
UNKNOWN_CERTIFICATE = "The client certificate is none of a key that works."
NO_CERTIFICATE = "The access token is bound to no certificate: ask for one with yours."
OTHER_CERTIFICATE = "The access token is bound to another certificate than the connection's."
NO_KEY = "The API key is unknown, was revoked, or has expired."
NOT_TO_CALL_WITH = "This is a refresh token: exchange it for an access token, and send that."
KEY_MOVED_ON = "The access token has ended with the refresh token that it came with."
REVOKED = "The access token was revoked."
NO_CLIENT = "The access token names no client that is known here."


class _NotPossessed(NotAuthenticated):
    """The token is good, and not sent as its key asks for."""


class BasicRefused(NotAuthenticated):
    """Name and password, or id and secret, are none that let somebody in."""


@dataclass(frozen=True)
class Presented:
    """What a call brings along to say who it is of."""

    authorization: tuple[str, ...] = field(repr=False)
    """Every Authorization header of the request."""
    query_names: frozenset[str]
    source_ip: str
    """The address that API Gateway saw; never one that a header claims."""
    proofs: tuple[str, ...] = field(default=(), repr=False)
    """Every DPoP header."""
    method: str = ""
    url: str = ""
    """What is called, as we are called in public."""
    certificate: str | None = None
    """The client's certificate in PEM, as API Gateway saw and checked it; never of a header."""


@dataclass(frozen=True)
class Credentials:
    """The one Authorization header of a call, read and not believed."""

    by_proof: bool
    """By the scheme DPoP, rather than Bearer."""
    token: str = field(repr=False)
    organisation: str | None = None
    """On whose behalf the call is made, as it says itself (seed 002, ``grp``)."""
    basic: bool = False
    """By the scheme Basic: then ``token`` is a name and a password, in base64."""

    @classmethod
    def read(cls, presented: Presented) -> "Credentials | None":
        """None if there are none. Raises NotAuthenticated for what is no credentials of ours."""
        if "access_token" in presented.query_names:
            raise NotAuthenticated("Send the access token in the Authorization header only.")
        if len(presented.authorization) > 1:
            raise NotAuthenticated("The Authorization header is sent more than once.")
        header = presented.authorization[0].strip(" ") if presented.authorization else ""
        if basic := _BASIC.fullmatch(header):
            return cls(by_proof=False, token=basic[1], basic=True)
        if header.partition(" ")[0].lower() not in {"bearer", "dpop"}:
            return None
        match = _CREDENTIALS.fullmatch(header)
        if match is None:
            raise NotAuthenticated(tokens.NOT_VALID)
        return cls(match[1].lower() == "dpop", match[2], match[3])


@dataclass(frozen=True)
class Recognized:
    """Whom the credentials are of, and where that one may call from."""

    caller: Caller
    networks: Networks


class Recognizer(Protocol):
    """One kind of credentials."""

    def knows(self, credentials: Credentials) -> bool:
        """Are they of this kind, going by their form alone."""
        ...

    def __call__(self, credentials: Credentials, presented: Presented) -> Recognized:
        """Raises NotAuthenticated, InvalidProof, Unavailable."""
        ...


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
    scheme: Literal["Bearer", "DPoP", "Basic"] = "Bearer"
    code: str = NotAuthenticated.code
    nonce: str | None = None
    """The one that the caller's next proof needs."""


@dataclass(frozen=True)
class Refused:
    """The caller is known and gets no answer from here, or cannot be known now; ``code`` is the
    code of the problem."""

    code: Literal[
        "network_not_allowed", "organisation_not_allowed", "too_many_tries", "unavailable"
    ]
    retry_after: int | None = None
    """Seconds, where the call may be made later."""


@dataclass(frozen=True)
class Authorize:
    """Says who calls, on every call anew: a client that was unpublished a moment ago is gone."""

    recognizers: Sequence[Recognizer]
    """The first that knows the credentials decides; the last knows all."""
    on_behalf: OnBehalf

    def __call__(self, presented: Presented) -> Allowed | Denied | Refused:
        """Never raises for what a caller can send."""
        try:
            return self._judge(presented)
        except NonceNeeded as error:
            return Denied(error.detail, "DPoP", error.code, error.nonce)
        except (InvalidProof, _NotPossessed) as error:
            return Denied(error.detail, "DPoP", error.code)
        except BasicRefused as error:
            return Denied(error.detail, "Basic")
        except NotAuthenticated as error:
            return Denied(error.detail)
        except TooManyTries as error:
            return Refused("too_many_tries", error.retry_after)
        except OrganisationNotAllowed:
            return Refused("organisation_not_allowed")
        except Unavailable:
            return Refused("unavailable")

    def _judge(self, presented: Presented) -> Allowed | Denied | Refused:
        credentials = Credentials.read(presented)
        if credentials is None:
            return Denied(None)
        recognize = next(one for one in self.recognizers if one.knows(credentials))
        recognized = recognize(credentials, presented)
        if not recognized.networks.allow(presented.source_ip):
            return Refused("network_not_allowed")
        return Allowed(self.on_behalf(recognized.caller, credentials.organisation))


@dataclass(frozen=True)
class LoggedIn:
    """Persons with a token that their login gave them."""

    sessions: LoginSessions
    users: Users
    roles: Roles
    scope_prefix: str
    clock: Clock

    def __call__(self, claims: Mapping[str, Any], granted: frozenset[str]) -> Caller:
        """The user as it is now: disabled, deleted or given another role a moment ago counts.

        Raises NotAuthenticated.
        """
        session = self.sessions.find(str(claims.get("session_id")))
        if session is None or not session.is_that_of(claims):
            raise NotAuthenticated(SESSION_ENDED)
        user = self.users.find(session.tenant, session.user_id)
        found = None if user is None else self.roles.find(user.tenant, user.role)
        role = session.permitted(user, found, self.clock.now())
        return session.caller(granted & role.scopes(self.scope_prefix))


@dataclass(frozen=True)
class StaticKeys:
    """Services with a static API key (seed 002), sent as it is."""

    api_keys: ApiKeys
    clients: Clients
    clock: Clock

    def knows(self, credentials: Credentials) -> bool:
        """By the prefix; a refresh token is nothing to call with, and is told so here."""
        return credentials.token.startswith((f"{STATIC_PREFIX}_", f"{REFRESH_PREFIX}_"))

    def __call__(self, credentials: Credentials, presented: Presented) -> Recognized:
        """The service that the key is of."""
        sent = KeyText.read(credentials.token)
        if sent is None:
            raise NotAuthenticated(NO_KEY)
        if sent.kind is not KeyKind.STATIC:
            raise NotAuthenticated(NOT_TO_CALL_WITH)
        key = self.api_keys.find(sent.key_id)
        if key is None or not key.is_that_of(sent):
            raise NotAuthenticated(NO_KEY)
        client = service_of(key, self.clients, self.clock.now())
        if credentials.by_proof or client.needs_proof:
            raise _NotPossessed(UNBOUND)
        if client.needs_certificate:
            raise NotAuthenticated(NO_CERTIFICATE)
        self.api_keys.used(key, self.clock.now())
        return Recognized(caller_with(key, client), client.networks)


@dataclass(frozen=True)
class KeyCertificates:
    """Services with a client certificate of ours (seed 002), which stands for an API key.

    The certificate is known by its hash: what is written in it is believed of none, so that it
    does not matter what others write into theirs.
    """

    certificates: Certificates
    api_keys: ApiKeys
    clients: Clients
    clock: Clock

    def knows(self, credentials: Credentials) -> bool:
        """By the fixed value that the seed has for the token."""
        return credentials.token == CLIENT_CERTIFICATE

    def __call__(self, credentials: Credentials, presented: Presented) -> Recognized:
        """The service whose key the certificate of the connection stands for."""
        now, name = self.clock.now(), thumbprint(presented.certificate)
        if presented.certificate is None:
            raise NotAuthenticated(NOT_CONNECTED)
        bound = None if name is None else self.certificates.find(name)
        key = None if bound is None else self.api_keys.find(bound.key_id)
        if bound is None or key is None or not bound.holds_at(now):
            raise NotAuthenticated(UNKNOWN_CERTIFICATE)
        if key.kind is not KeyKind.CERTIFICATE or key.service != bound.service:
            raise NotAuthenticated(UNKNOWN_CERTIFICATE)
        client = service_of(key, self.clients, now)
        if credentials.by_proof or client.needs_proof:
            raise _NotPossessed(UNBOUND)
        self.api_keys.used(key, now)
        return Recognized(caller_with(key, client), client.networks)


def service_of(key: ApiKey, clients: Clients, now: datetime) -> Client:
    """The service whose key it is, as long as the key works for it.

    Raises NotAuthenticated.
    """
    client = clients.find(key.service)
    if client is None or not key.works_for(client, now):
        raise NotAuthenticated(NO_KEY)
    return client


def caller_with(key: ApiKey, client: Client, scopes: frozenset[str] | None = None) -> Caller:
    """The service as a caller, with all its scopes or those of a token."""
    return Caller(
        tenant=key.tenant,
        client_id=client.client_id,
        scopes=client.scopes if scopes is None else client.scopes & scopes,
        organisation=key.organisation,
        credential=key.key_id,
    )


@dataclass(frozen=True)
class AccessTokens:
    """Callers with an access token, a JWT (RFC 9068) of ours or of an issuer that is trusted."""

    clients: Clients
    issuers: Mapping[str, Issuer]
    """Whose tokens are accepted, by their ``iss``."""
    keys: Callable[[Issuer], KeySet]
    """The key set of an issuer; nothing is fetched before a key is asked of it."""
    verify: tokens.Verifier
    check_proof: CheckProof
    logged_in: LoggedIn
    api_keys: ApiKeys
    revocations: Revocations

    def knows(self, credentials: Credentials) -> bool:
        """Whatever is nothing else is an access token, or none."""
        return True

    def __call__(self, credentials: Credentials, presented: Presented) -> Recognized:
        """The client that the token was given to, or the person."""
        token = tokens.UnverifiedToken.read(credentials.token)
        issuer = self.issuers.get(token.issuer)
        if issuer is None:
            raise NotAuthenticated(tokens.NOT_TRUSTED)
        claims = self.verify(token, issuer, self.keys(issuer))
        if issuer.is_ours and self.revocations.has(str(claims.get("jti"))):
            raise NotAuthenticated(REVOKED)
        if issuer.is_ours and claims.get(issuer.client_claim) == USER_CLIENT_ID:
            self._check_possession(credentials, presented, claims)
            return Recognized(self.logged_in(claims, _scopes_of(claims, issuer)), Networks())
        client, tenant = self._client(claims, issuer)
        self._check_possession(credentials, presented, claims, client)
        # What the catalog has taken away since the token was made is gone at once.
        scopes = _scopes_of(claims, issuer) & client.scopes
        if tenant == EVERY_TENANT:
            scopes = of_every_tenant(scopes)
        if issuer.is_ours and "key_id" in claims:
            return Recognized(caller_with(self._key(claims), client, scopes), client.networks)
        return Recognized(Caller(tenant, client.client_id, scopes), client.networks)

    def _key(self, claims: Mapping[str, Any]) -> ApiKey:
        """The key whose refresh token was exchanged for the token: revoked, or exchanged again
        meanwhile, it takes the token with it (seed 002)."""
        key = self.api_keys.find(str(claims["key_id"]))
        if key is None or claims.get("key_generation") != key.generation:
            raise NotAuthenticated(KEY_MOVED_ON)
        service_of(key, self.clients, self.verify.clock.now())
        return key

    def _check_possession(
        self,
        credentials: Credentials,
        presented: Presented,
        claims: Mapping[str, Any],
        client: Client | None = None,
    ) -> None:
        """RFC 9449 section 7: a bound token comes with a proof of its key, and no other does.
        RFC 8705 section 3: one bound to a certificate comes over a connection with that one."""
        confirmation = claims.get("cnf", {})
        if "cnf" in claims and not _is_confirmation(confirmation):
            # Bound to something that we cannot see.
            raise NotAuthenticated(tokens.NOT_VALID)
        certificate = confirmation.get("x5t#S256")
        if certificate is None and client is not None and client.needs_certificate:
            raise NotAuthenticated(NO_CERTIFICATE)
        if certificate is not None and certificate != thumbprint(presented.certificate):
            raise NotAuthenticated(OTHER_CERTIFICATE)
        key = confirmation.get("jkt")
        if key is None:
            if credentials.by_proof or (client is not None and client.needs_proof):
                raise _NotPossessed(UNBOUND)
            return
        if not credentials.by_proof:
            raise _NotPossessed(BOUND)
        sent = self.check_proof(
            presented.proofs, presented.method, presented.url, credentials.token
        )
        if sent != key:
            raise _NotPossessed(OTHER_KEY)

    def _client(self, claims: Mapping[str, Any], issuer: Issuer) -> tuple[Client, str]:
        unknown = NotAuthenticated(NO_CLIENT)
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
        if issuer.is_ours and tenant == EVERY_TENANT and client.tenants:
            return client, EVERY_TENANT
        if not isinstance(tenant, str) or tenant not in client.tenants:
            raise unknown
        return client, tenant


def _is_confirmation(value: Any) -> bool:
    """Does it name what we can check, and nothing else; null would be taken for no binding."""
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= {"jkt", "x5t#S256"}
        and all(isinstance(one, str) for one in value.values())
    )


def _scopes_of(claims: Mapping[str, Any], issuer: Issuer) -> frozenset[str]:
    value = claims.get(issuer.scope_claim)
    if isinstance(value, str):
        return frozenset(value.split(" "))
    if isinstance(value, list):
        return frozenset(name for name in value if isinstance(name, str))
    return frozenset()
