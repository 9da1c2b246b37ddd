"""The composition root of identity, apart from ``wiring`` so that the authorizer, which every
call waits for, loads nothing of the other products."""

# ruff: noqa: PLC0415

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from headrace.adapters.dynamodb.api_keys import DynamoApiKeys
from headrace.adapters.dynamodb.client_secrets import DynamoClientSecrets
from headrace.adapters.dynamodb.login_tries import DynamoLoginTries
from headrace.adapters.dynamodb.managers import DynamoManagers
from headrace.adapters.dynamodb.memberships import DynamoMemberships
from headrace.adapters.dynamodb.revocations import DynamoRevocations
from headrace.adapters.dynamodb.sessions import DynamoLoginSessions
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.used_proofs import DynamoUsedProofs
from headrace.adapters.dynamodb.users import DynamoRoles, DynamoTeams, DynamoUsers
from headrace.adapters.kms.signing_keys import KmsSigningKeys
from headrace.identity.assertions import SignedAssertion
from headrace.identity.authorizing import (
    AccessTokens,
    Authorize,
    KeyCertificates,
    LoggedIn,
    StaticKeys,
)
from headrace.identity.basic import BasicCredentials
from headrace.identity.client_authentication import (
    AuthenticateClient,
    ByCertificate,
    SecretInForm,
    SecretInHeader,
)
from headrace.identity.dpop import CheckProof
from headrace.identity.issuing import (
    ClientCredentials,
    ExchangeRefreshToken,
    IssueToken,
    MakeToken,
    RefreshTokens,
)
from headrace.identity.keys import KeySet, VerificationKey, keys_from_jwks
from headrace.identity.model import Client, Issuer
from headrace.identity.on_behalf import OnBehalf
from headrace.identity.password_check import CheckPassword
from headrace.identity.ports import Clients
from headrace.identity.services import CreateKey, HandOver, ManagedServices, ManageKeys
from headrace.identity.tokens import Verifier
from headrace.kernel.ids import RandomIds
from headrace.kernel.urls import secure_url
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings

if TYPE_CHECKING:
    from headrace.adapters.argon2id import Argon2idPasswords
    from headrace.adapters.dynamodb.certificates import DynamoCertificates
    from headrace.adapters.dynamodb.handovers import DynamoHandovers
    from headrace.adapters.http.key_sets import HttpKeySets
    from headrace.identity.certifying import Certify, CertifyKey
    from headrace.identity.handing_over import FindHandover, TakeSecret
    from headrace.identity.introspecting import IntrospectToken, OwnTokens, RevokeToken
    from headrace.identity.logging_in import GiveTokens, LogIn
    from headrace.identity.nonces import ServerNonces


@cache
def clients() -> Clients:
    """The clients of the published catalog."""
    from headrace.adapters.dynamodb.clients import CatalogClients

    table = Table(client("dynamodb"), settings().catalog_table)
    return CatalogClients(table, settings().scope_prefix)


@cache
def _credentials_table() -> Table:
    return Table(client("dynamodb"), settings().credentials_table)


@cache
def _proofs_table() -> Table:
    return Table(client("dynamodb"), settings().proofs_table)


@cache
def client_secrets() -> DynamoClientSecrets:
    """The hashes of clients' secrets."""
    return DynamoClientSecrets(_credentials_table())


@cache
def certificates() -> "DynamoCertificates":
    """The certificate authority's certificate, and those that it issued."""
    from headrace.adapters.dynamodb.certificates import DynamoCertificates

    return DynamoCertificates(_credentials_table())


def certify() -> "Certify":
    """POST certificate."""
    from headrace.adapters.kms.certificate_key import KmsCertificateKey
    from headrace.identity.certifying import Certify

    return Certify(
        certificates(),
        lambda: KmsCertificateKey.read(client("kms"), settings().certificate_key),
        clock(),
    )


@cache
def _memberships() -> DynamoMemberships:
    return DynamoMemberships(Table(client("dynamodb"), settings().consents_table), clock())


@cache
def _users_table() -> Table:
    return Table(client("dynamodb"), settings().users_table)


def users() -> DynamoUsers:
    """Persons who log in."""
    return DynamoUsers(_users_table())


def teams() -> DynamoTeams:
    """Users that things are entrusted to together."""
    return DynamoTeams(_users_table())


@cache
def managers() -> DynamoManagers:
    """Who manages which service."""
    return DynamoManagers(_credentials_table())


def roles() -> DynamoRoles:
    """What they may do."""
    return DynamoRoles(_users_table())


@cache
def login_sessions() -> DynamoLoginSessions:
    """Logins that go on."""
    return DynamoLoginSessions(_credentials_table())


@cache
def _passwords() -> "Argon2idPasswords":
    from headrace.adapters.argon2id import Argon2idPasswords

    return Argon2idPasswords()


@cache
def _login_tries() -> DynamoLoginTries:
    return DynamoLoginTries(_users_table(), settings().login_tries_per_address)


@cache
def api_keys() -> DynamoApiKeys:
    """The keys of external services."""
    return DynamoApiKeys(_credentials_table())


@cache
def _handovers() -> "DynamoHandovers":
    from headrace.adapters.dynamodb.handovers import DynamoHandovers

    return DynamoHandovers(_credentials_table())


def find_handover() -> "FindHandover":
    """GET a credential's link."""
    from headrace.identity.handing_over import FindHandover

    return FindHandover(_handovers(), clock())


def take_secret() -> "TakeSecret":
    """POST a credential's link."""
    from headrace.identity.handing_over import TakeSecret

    return TakeSecret(_handovers(), clock())


@cache
def check_proof() -> CheckProof:
    """Checks proofs of possession."""
    return CheckProof(used_proofs(), clock(), _nonces() if settings().dpop_nonces else None)


def _nonces() -> "ServerNonces":
    from headrace.adapters.dynamodb.nonces import DynamoNonces
    from headrace.identity.nonces import ServerNonces

    return ServerNonces(DynamoNonces(_proofs_table()), clock())


def certify_key() -> "CertifyKey":
    """POST /services/{serviceId}/keys/{keyId}/certificate."""
    from headrace.identity.certifying import CertifyKey

    return CertifyKey(manage_keys(), certify())


@cache
def used_proofs() -> DynamoUsedProofs:
    """What was used, and can be used once only."""
    return DynamoUsedProofs(_proofs_table())


@cache
def signing_keys() -> KmsSigningKeys:
    """Our keys in KMS."""
    return KmsSigningKeys(client("kms"), settings().signing_keys, clock())


@cache
def _own_keys() -> KeySet:
    return KeySet(signing_keys().published, clock())


@cache
def _foreign_keys() -> "HttpKeySets":
    from headrace.adapters.http.key_sets import HttpKeySets
    from headrace.adapters.http.outbound import Fetcher, OutboundPolicy

    return HttpKeySets(Fetcher(OutboundPolicy.within(settings().issuer_networks)), clock())


@cache
def _trusted_issuers() -> Mapping[str, Issuer]:
    return issuers_from_json(settings().trusted_issuers)


def issuers_from_json(text: str) -> Mapping[str, Issuer]:
    """The foreign issuers that the setting lists: a JSON list of objects with the fields of
    ``Issuer`` in camel case, of which ``issuer``, ``audience`` and ``jwksUri`` must be there.

    Raises ValueError, KeyError or TypeError: the deployment is configured wrongly.
    """
    issuers = [_issuer(entry) for entry in json.loads(text or "[]")]
    return {issuer.issuer: issuer for issuer in issuers}


def _issuer(entry: Mapping[str, Any]) -> Issuer:
    fields = {
        "algorithms": "algorithms",
        "types": "types",
        "clientClaim": "client_claim",
        "tenantClaim": "tenant_claim",
        "scopeClaim": "scope_claim",
    }
    required = {"issuer", "audience", "jwksUri"}
    if unknown := entry.keys() - fields.keys() - required:
        raise ValueError(f"a trusted issuer has no {', '.join(sorted(unknown))}")
    try:
        secure_url(str(entry["jwksUri"]))
    except ValueError as error:
        raise ValueError(f"a trusted issuer's jwksUri {error}") from None
    given: dict[str, Any] = {fields[name]: entry[name] for name in fields if name in entry}
    for name in ("algorithms", "types"):
        if name in given:
            given[name] = frozenset(given[name])
    return Issuer(entry["issuer"], entry["audience"], entry["jwksUri"], **given)


def keys_of(issuer: Issuer) -> KeySet:
    """The key set of an issuer."""
    return _own_keys() if issuer.is_ours else _foreign_keys().at(issuer.jwks_uri)


def keys_of_client(one: Client) -> KeySet | None:
    """The keys that a client proves itself by, if it has any in the catalog."""
    if one.jwks is not None:
        listed = keys_from_jwks(json.loads(one.jwks))
        return KeySet(lambda: listed, clock())
    return None if one.jwks_uri is None else _foreign_keys().at(one.jwks_uri)


def authorize(request_context: Mapping[str, Any]) -> Authorize:
    """The authorizer, for the deployment that the request came to."""
    ours = Issuer(settings().base_url(request_context), settings().audience)
    issuers = {**_trusted_issuers(), ours.issuer: ours}
    logged_in = LoggedIn(login_sessions(), users(), roles(), settings().scope_prefix, clock())
    tokens = AccessTokens(
        clients(),
        issuers,
        keys_of,
        Verifier(clock()),
        check_proof(),
        logged_in,
        api_keys(),
        _revocations(),
    )
    recognizers = (
        _basic_credentials(),
        StaticKeys(api_keys(), clients(), clock()),
        KeyCertificates(certificates(), api_keys(), clients(), clock()),
        tokens,
    )
    return Authorize(recognizers, OnBehalf(clients(), _memberships()))


def _basic_credentials() -> BasicCredentials:
    return BasicCredentials(
        CheckPassword(users(), _login_tries(), _passwords(), clock(), each_call=True),
        roles(),
        clients(),
        client_secrets(),
        settings().scope_prefix,
    )


def issue_token() -> IssueToken:
    """POST /connect/token."""
    from headrace.identity.logging_in import ContinueLogin, RefreshEither

    make = _make_token()
    return IssueToken(
        {
            "client_credentials": ClientCredentials(authenticate_client(), make),
            "refresh_token": RefreshEither(
                ContinueLogin(users(), roles(), login_sessions(), check_proof(), _give_tokens()),
                RefreshTokens(clients(), api_keys(), make),
            ),
        }
    )


def _make_token() -> MakeToken:
    return MakeToken(signing_keys(), clock(), RandomIds(), check_proof())


def exchange_refresh_token() -> ExchangeRefreshToken:
    """POST /v1/auth."""
    return ExchangeRefreshToken(RefreshTokens(clients(), api_keys(), _make_token()))


def managed_services() -> ManagedServices:
    """Which services a caller manages."""
    return ManagedServices(clients(), managers(), teams())


def create_key() -> CreateKey:
    """POST /services/{serviceId}/keys."""
    return CreateKey(managed_services(), api_keys(), clock(), RandomIds())


def manage_keys() -> ManageKeys:
    """The keys of a service that are there."""
    return ManageKeys(managed_services(), api_keys(), clock())


def hand_over() -> HandOver:
    """The managers of a service."""
    return HandOver(managed_services(), managers(), users(), teams())


@cache
def _revocations() -> DynamoRevocations:
    return DynamoRevocations(_proofs_table())


def _own_tokens(request_context: Mapping[str, Any]) -> "OwnTokens":
    from headrace.identity.introspecting import OwnTokens

    ours = Issuer(settings().base_url(request_context), settings().audience)
    return OwnTokens(ours, keys_of, Verifier(clock()), _revocations(), api_keys())


def introspect_token(request_context: Mapping[str, Any]) -> "IntrospectToken":
    """POST /connect/introspect."""
    from headrace.identity.introspecting import AskAboutToken, IntrospectToken

    return IntrospectToken(AskAboutToken(authenticate_client()), _own_tokens(request_context))


def revoke_token(request_context: Mapping[str, Any]) -> "RevokeToken":
    """POST /connect/revoke."""
    from headrace.identity.introspecting import AskAboutToken, RevokeToken
    from headrace.identity.logging_in import LogOut

    return RevokeToken(
        AskAboutToken(authenticate_client()),
        _own_tokens(request_context),
        LogOut(login_sessions(), clock()),
    )


def authenticate_client() -> AuthenticateClient:
    """How clients prove themselves; the request's form says by which of these."""
    return AuthenticateClient(
        (
            SecretInHeader(clients(), client_secrets()),
            SecretInForm(clients(), client_secrets()),
            SignedAssertion(clients(), keys_of_client, used_proofs(), clock()),
            ByCertificate(clients(), certificates(), clock()),
        )
    )


def log_in() -> "LogIn":
    """POST /api/ver3/auth/login."""
    from headrace.identity.logging_in import LogIn

    return LogIn(
        CheckPassword(users(), _login_tries(), _passwords(), clock()),
        roles(),
        login_sessions(),
        check_proof(),
        _give_tokens(),
    )


def _give_tokens() -> "GiveTokens":
    from headrace.identity.logging_in import GiveTokens

    return GiveTokens(signing_keys(), clock(), RandomIds(), settings().scope_prefix)


def published_keys() -> tuple[VerificationKey, ...]:
    """GET /.well-known/jwks.json."""
    return _own_keys().all()
