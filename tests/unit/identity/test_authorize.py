"""Who a call is of, beyond the token itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from headrace.identity.authorizing import (
    AccessTokens,
    Allowed,
    Authorize,
    Denied,
    LoggedIn,
    Presented,
    Refused,
)
from headrace.identity.dpop import CheckProof, token_hash
from headrace.identity.keys import KeySet
from headrace.identity.model import Client, Issuer, Networks
from headrace.identity.mutual_tls import thumbprint
from headrace.identity.on_behalf import OnBehalf
from headrace.identity.sessions import LoginSession
from headrace.identity.tokens import Verifier
from headrace.identity.users import Permission, Role, User
from headrace.kernel.caller import Caller
from headrace.kernel.errors import OrganisationNotAllowed, Unavailable
from tests.unit.identity.certificates_made import a_certificate
from tests.unit.identity.keys_made import FakeApiKeys
from tests.unit.identity.proofs_made import KEY, URL, Uses, a_proof, key_name
from tests.unit.identity.tokens_made import (
    AUDIENCE,
    ISSUER,
    NOW,
    SCOPE,
    StoppedClock,
    claims,
    key_set,
    token,
)
from tests.unit.identity.users_made import (
    MANAGE_SERVICES,
    READ_TEMPLATES,
    FakeRoles,
    FakeSessions,
    FakeUsers,
    a_role,
    a_session,
    a_user,
)

READ = "youforce-data-api:data:read"
PARTNER = Issuer(
    "https://login.partner.example",
    "urn:headrace",
    "https://login.partner.example/jwks",
    types=frozenset({"jwt"}),
    client_claim="azp",
    tenant_claim="org",
    scope_claim="scp",
)
ONE_TENANT = Issuer(
    "https://small.example", "urn:headrace", "https://small.example/jwks", tenant_claim=None
)


class Clients:
    """The ``Clients`` port over a mapping."""

    def __init__(self, *clients: Client) -> None:
        self.by_id = {client.client_id: client for client in clients}

    def find(self, client_id: str) -> Client | None:
        return self.by_id.get(client_id)


@dataclass(frozen=True)
class Members:
    """The ``Memberships`` port over a set of tenant, broker and organisation."""

    active: frozenset[tuple[str, str, str]]

    def is_member(self, tenant: str, broker: str, organisation: str) -> bool:
        return (tenant, broker, organisation) in self.active


@dataclass(frozen=True)
class FakeRevocations:
    """The ``Revocations`` port over a set of token ids."""

    revoked: frozenset[str]

    def revoke(self, token_id: str, until: datetime) -> None:
        raise AssertionError("the authorizer ends no token")

    def has(self, token_id: str) -> bool:
        return token_id in self.revoked


def a_client(client_id: str = "acme-hr", **changes: Any) -> Client:
    values: dict[str, Any] = {"tenants": frozenset({"acme"}), "scopes": frozenset({SCOPE, READ})}
    return Client(client_id, **(values | changes))


def authorize(
    authorization: str | tuple[str, ...] | None,
    *clients: Client,
    source_ip: str = "203.0.113.9",
    query: frozenset[str] = frozenset(),
    keys: KeySet | None = None,
    issuers: Mapping[str, Issuer] | None = None,
    proofs: tuple[str, ...] = (),
    users: tuple[User, ...] = (),
    roles: tuple[Role, ...] = (),
    sessions: tuple[LoginSession, ...] = (),
    certificate: str | None = None,
    members: frozenset[tuple[str, str, str]] = frozenset(),
    revoked: frozenset[str] = frozenset(),
) -> Allowed | Denied | Refused:
    headers = (authorization,) if isinstance(authorization, str) else authorization or ()
    known = {
        ISSUER: Issuer(ISSUER, AUDIENCE),
        PARTNER.issuer: PARTNER,
        ONE_TENANT.issuer: ONE_TENANT,
    }
    tokens = AccessTokens(
        Clients(*(clients or (a_client(),))),
        known if issuers is None else issuers,
        lambda _: keys or key_set(),
        Verifier(StoppedClock()),
        CheckProof(Uses(), StoppedClock()),
        LoggedIn(
            FakeSessions.of(*sessions),
            FakeUsers.of(*users),
            FakeRoles.of(*roles),
            "youforce-data-api",
            StoppedClock(),
        ),
        FakeApiKeys(),
        FakeRevocations(revoked),
    )
    called = Presented(headers, query, source_ip, proofs, "POST", URL, certificate)
    on_behalf = OnBehalf(Clients(*(clients or (a_client(),))), Members(members))
    return Authorize((tokens,), on_behalf)(called)


def allowed(decision: Allowed | Denied | Refused) -> tuple[str, str, frozenset[str]]:
    assert isinstance(decision, Allowed), decision
    return decision.caller.tenant, decision.caller.client_id, decision.caller.scopes


def denied(decision: Allowed | Denied | Refused) -> str:
    assert isinstance(decision, Denied), decision
    assert decision.detail is not None
    return decision.detail


def test_the_caller_is_the_client_and_tenant_of_the_token() -> None:
    assert allowed(authorize(f"Bearer {token()}")) == ("acme", "acme-hr", frozenset({SCOPE}))


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer ", "  Bearer"])
def test_the_scheme_is_read_without_case_and_blanks(scheme: str) -> None:
    assert allowed(authorize(f"{scheme} {token()} "))


@pytest.mark.abuse(19)
@pytest.mark.parametrize(
    "header", [None, "", "Digest username=a", "Negotiate", "eyJ.eyJ.x", "Bearerx abc", ()]
)
def test_a_call_without_bearer_credentials_is_denied_without_an_error(header: Any) -> None:
    assert authorize(header) == Denied(None)


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", 'Bearer "x"', "Bearer é", "Bearer ="],
)
def test_bearer_credentials_that_are_no_token_are_denied(header: str) -> None:
    denied(authorize(header))


@pytest.mark.abuse(20)
def test_a_token_in_the_query_is_denied_whatever_the_header_says() -> None:
    for header in (None, f"Bearer {token()}"):
        assert "header" in denied(authorize(header, query=frozenset({"access_token"})))


def test_two_authorization_headers_are_denied_even_if_both_are_good() -> None:
    good = f"Bearer {token()}"
    denied(authorize((good, good)))
    denied(authorize(f"{good}, {good}"))
    denied(authorize(f"{good},{good}"))


def test_a_client_that_is_no_longer_published_is_denied() -> None:
    denied(authorize(f"Bearer {token()}", a_client("another")))


def test_a_tenant_that_the_client_no_longer_serves_is_denied_as_an_unknown_one_is() -> None:
    lost = denied(authorize(f"Bearer {token()}", a_client(tenants=frozenset({"other"}))))
    never = denied(authorize(f"Bearer {token(body=claims(tenant_id='nobody'))}"))
    assert lost == never


@pytest.mark.parametrize("name", ["client_id", "tenant_id"])
@pytest.mark.parametrize("value", [None, "", 7, ["acme"], {"a": 1}, "acme\n", "a" * 300, "acme#x"])
def test_a_token_without_a_proper_client_and_tenant_is_denied(name: str, value: Any) -> None:
    denied(authorize(f"Bearer {token(body=claims(**{name: value}))}"))


def test_scopes_that_the_catalog_took_away_are_gone_at_once() -> None:
    both = token(body=claims(scope=f"{SCOPE} {READ}"))
    assert allowed(authorize(f"Bearer {both}"))[2] == {SCOPE, READ}
    assert allowed(authorize(f"Bearer {both}", a_client(scopes=frozenset({READ}))))[2] == {READ}


@pytest.mark.abuse(18)
@pytest.mark.parametrize(
    "scope",
    [
        SCOPE.upper(),
        SCOPE.title(),
        SCOPE + "2",
        "x" + SCOPE,
        SCOPE.removeprefix("youforce-data-api:"),
        "youforce-data-api:jobs",
        "youforce-data-api:*",
        SCOPE.replace(":", "："),
        SCOPE + "\t" + READ,
        SCOPE + "," + READ,
        "",
        {SCOPE: True},
        [[SCOPE]],
        None,
    ],
)
def test_a_scope_written_any_other_way_grants_nothing(scope: Any) -> None:
    assert allowed(authorize(f"Bearer {token(body=claims(scope=scope))}"))[2] == frozenset()


def test_a_call_from_another_network_is_refused_and_carries_no_caller() -> None:
    client = a_client(networks=Networks.of(["203.0.113.0/24"]))
    assert allowed(authorize(f"Bearer {token()}", client))
    refusal = Refused("network_not_allowed")
    assert authorize(f"Bearer {token()}", client, source_ip="198.51.100.1") == refusal
    assert authorize(f"Bearer {token()}", client, source_ip="") == refusal


def test_a_bad_token_from_another_network_learns_nothing_of_the_network() -> None:
    client = a_client(networks=Networks.of(["203.0.113.0/24"]))
    denied(authorize(f"Bearer {token()}x", client, source_ip="198.51.100.1"))


def test_while_keys_cannot_be_read_the_answer_is_unavailable() -> None:
    def down() -> tuple[()]:
        raise Unavailable("down")

    keys = KeySet(down, StoppedClock())
    assert authorize(f"Bearer {token()}", keys=keys) == Refused("unavailable")


def partner_token(**changes: Any) -> str:
    body = claims(
        iss=PARTNER.issuer,
        aud=PARTNER.audience,
        client_id=None,
        tenant_id=None,
        scope=None,
        azp="acme-hr",
        org="acme",
        scp=[SCOPE, "theirs:read", READ, 7],
    )
    return "Bearer " + token({**_partner_header()}, {**body, **changes})


def _partner_header() -> dict[str, str]:
    from tests.unit.identity.tokens_made import header

    return header(typ="JWT")


def test_a_foreign_issuers_token_speaks_for_a_client_that_trusts_it() -> None:
    client = a_client(trusted_issuers=frozenset({PARTNER.issuer}))
    assert allowed(authorize(partner_token(), client)) == (
        "acme",
        "acme-hr",
        frozenset({SCOPE, READ}),
    )


def test_a_foreign_issuers_token_speaks_for_nobody_else() -> None:
    trusting = a_client("partner-app", trusted_issuers=frozenset({PARTNER.issuer}))
    denied(authorize(partner_token(), a_client(), trusting))
    other = a_client(trusted_issuers=frozenset({ONE_TENANT.issuer}))
    denied(authorize(partner_token(), other))


def test_a_foreign_issuer_cannot_reach_a_tenant_that_the_client_does_not_serve() -> None:
    client = a_client(trusted_issuers=frozenset({PARTNER.issuer}))
    denied(authorize(partner_token(org="other"), client))
    denied(authorize(partner_token(org=None), client))


def test_a_foreign_issuers_token_passes_as_ours_in_no_way() -> None:
    client = a_client(trusted_issuers=frozenset({PARTNER.issuer}))
    # Its type, its audience and its claims are its own, and ours are ours.
    denied(authorize(partner_token(iss=ISSUER), client))
    denied(authorize(partner_token(aud=AUDIENCE), client))
    denied(authorize("Bearer " + token(body=claims(iss=PARTNER.issuer)), client))


def test_an_issuer_without_tenants_speaks_for_clients_of_one_tenant_only() -> None:
    trusts = frozenset({ONE_TENANT.issuer})
    body = claims(iss=ONE_TENANT.issuer, aud=ONE_TENANT.audience, tenant_id=None)
    text = f"Bearer {token(body=body)}"
    assert allowed(authorize(text, a_client(trusted_issuers=trusts)))[0] == "acme"
    several = a_client(trusted_issuers=trusts, tenants=frozenset({"acme", "beta"}))
    denied(authorize(text, several))


def test_an_issuer_that_nobody_configured_is_denied_without_a_fetch() -> None:
    def never() -> tuple[()]:
        raise AssertionError("fetched")

    keys = KeySet(never, StoppedClock())
    body = claims(iss="https://attacker.example")
    assert "not trusted" in denied(authorize(f"Bearer {token(body=body)}", keys=keys))


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithms": frozenset({"HS256"})},
        {"algorithms": frozenset({"none"})},
        {"algorithms": frozenset()},
        {"types": frozenset()},
        {"types": frozenset({"dpop+jwt"})},
        {"types": frozenset({"JWT"})},
        {"audience": ""},
        {"issuer": ""},
    ],
)
def test_an_issuer_cannot_be_configured_carelessly(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Issuer(
            **({"issuer": "https://x.example", "audience": "a", "jwks_uri": "https://x"} | wrong)
        )


# --- persons --------------------------------------------------------------------------------------


def login_token(session: LoginSession | None = None, **changes: Any) -> str:
    """What the login gave Ada."""
    known = session or a_session()
    body = claims(
        sub=known.user_id,
        client_id="user",
        scope=f"{MANAGE_SERVICES} {READ_TEMPLATES}",
        **known.claims(),
    )
    return "Bearer " + token(body={**body, **changes})


BOTH = frozenset({Permission.EXPORT_TEMPLATES, Permission.MANAGE_SERVICES})


def as_ada(
    authorization: str | None = None,
    user: User | None = None,
    role: Role | None = None,
    session: LoginSession | None = None,
) -> Allowed | Denied | Refused:
    """What becomes of a call of Ada's."""
    return authorize(
        authorization or login_token(),
        users=(user or a_user(),),
        roles=(role or a_role(),),
        sessions=(session or a_session(),),
    )


def test_a_person_who_logged_in_calls_as_a_user_with_the_scopes_of_the_role() -> None:
    decision = as_ada(role=a_role(permissions=BOTH))
    assert isinstance(decision, Allowed)
    caller = decision.caller
    assert (caller.tenant, caller.client_id) == ("acme", "user")
    assert (caller.user, caller.credential) == (a_user().user_id, a_session().session_id)
    assert caller.scopes == {MANAGE_SERVICES, READ_TEMPLATES}


def test_what_a_role_allows_no_more_is_gone_at_once_and_what_is_new_needs_a_login() -> None:
    def scopes(*permissions: Permission, scope: str) -> frozenset[str]:
        role = a_role(permissions=frozenset(permissions))
        return allowed(as_ada(login_token(scope=scope), role=role))[2]

    both = f"{MANAGE_SERVICES} {READ_TEMPLATES}"
    assert scopes(Permission.MANAGE_SERVICES, scope=both) == {MANAGE_SERVICES}
    assert scopes(scope=both) == frozenset()
    assert scopes(*BOTH, scope=READ_TEMPLATES) == {READ_TEMPLATES}


@pytest.mark.parametrize(
    ("user", "role"),
    [
        (a_user(is_active=False), a_role()),
        (a_user(generation=2), a_role()),
        (a_user(user_id="another"), a_role()),
        (a_user(tenant="beta"), a_role()),
        (a_user(role="gone"), a_role()),
        (a_user(), a_role(integrator=False)),
        (a_user(), a_role(tenant="beta")),
    ],
)
def test_a_login_ends_with_the_user_the_password_and_the_role(user: User, role: Role) -> None:
    assert isinstance(as_ada(), Allowed)
    assert "Log in again" in denied(as_ada(user=user, role=role))


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": NOW},
        {"revoked_at": NOW},
        {"generation": 2},
        {"key_id": "another"},
        {"tenant": "beta"},
        {"created_by": "another"},
    ],
)
def test_a_login_ends_with_its_session_and_an_access_token_with_the_next(
    changes: dict[str, Any],
) -> None:
    assert "Log in again" in denied(as_ada(session=a_session(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {name: value}
            for name in ("user_id", "tenant_id", "session_id")
            for value in ("", 7, ["x"], "x" * 9)
        ),
        *({"session_generation": value} for value in ("1", True, 0, 2)),
    ],
)
def test_a_login_token_of_odd_claims_is_denied(changes: dict[str, Any]) -> None:
    denied(as_ada(login_token(**changes)))


def test_a_clients_token_that_names_a_login_is_the_clients_all_the_same() -> None:
    decision = as_ada(f"Bearer {token(body=claims(**a_session().claims()))}")
    assert isinstance(decision, Allowed)
    assert (decision.caller.client_id, decision.caller.user) == ("acme-hr", None)


def test_a_foreign_issuer_speaks_for_no_user() -> None:
    said = {"org": "acme", "tenant_id": "acme", "client_id": "user", **a_session().claims()}
    denied(as_ada(partner_token(azp="user", **said)))


# --- possession ------------------------------------------------------------------------------


def bound(**changes: Any) -> str:
    """A token that is bound to the key of the proofs."""
    return token(body=claims(**{"cnf": {"jkt": key_name(KEY)}, **changes}))


def proof_of(text: str, **changes: Any) -> tuple[str, ...]:
    """The proof for a call with the token."""
    given = {"iat": StoppedClock().now().timestamp(), "ath": token_hash(text), **changes}
    return (a_proof(**given),)


def test_a_bound_token_is_taken_along_with_a_proof_of_its_key() -> None:
    text = bound()
    for scheme in ("DPoP", "dpop"):
        assert allowed(authorize(f"{scheme} {text}", proofs=proof_of(text)))


@pytest.mark.abuse(47)
def test_a_bound_token_that_is_sent_as_bearer_is_denied() -> None:
    text = bound()
    decision = authorize(f"Bearer {text}", proofs=proof_of(text))
    assert isinstance(decision, Denied)
    assert (decision.scheme, decision.code) == ("DPoP", "invalid_token")


@pytest.mark.abuse(46)
def test_a_proof_of_another_key_is_denied() -> None:
    text = bound(cnf={"jkt": "another"})
    decision = authorize(f"DPoP {text}", proofs=proof_of(text))
    assert isinstance(decision, Denied)
    assert (decision.scheme, decision.code) == ("DPoP", "invalid_token")


@pytest.mark.parametrize("proofs", [(), ("abc",), (a_proof(), a_proof())])
def test_a_bound_token_without_its_proof_is_denied(proofs: tuple[str, ...]) -> None:
    decision = authorize(f"DPoP {bound()}", proofs=proofs)
    assert isinstance(decision, Denied)
    assert (decision.scheme, decision.code) == ("DPoP", "invalid_dpop_proof")


def test_a_token_that_is_bound_to_no_key_is_not_taken_as_if_it_were() -> None:
    text = token()
    denied(authorize(f"DPoP {text}", proofs=proof_of(text)))


def test_a_client_that_needs_proofs_is_denied_with_a_token_that_has_none() -> None:
    text = token()
    decision = authorize(f"Bearer {text}", a_client(needs_proof=True))
    assert isinstance(decision, Denied)
    assert decision.scheme == "DPoP"
    assert allowed(
        authorize(f"DPoP {bound()}", a_client(needs_proof=True), proofs=proof_of(bound()))
    )


@pytest.mark.parametrize("cnf", [{"x5t#S256": "abc"}, {"jkt": "a", "x5t#S256": "b"}, "a", 7, []])
def test_a_token_that_is_bound_to_what_we_cannot_see_is_denied(cnf: Any) -> None:
    text = bound(cnf=cnf)
    for scheme in ("Bearer", "DPoP"):
        denied(authorize(f"{scheme} {text}", proofs=proof_of(text)))


# --- bound to a certificate (RFC 8705) --------------------------------------------------------

MINE = a_certificate(("CN", "exports"))
OTHERS = a_certificate(("CN", "exports"))


def bound_to(pem: str, **more: Any) -> str:
    return f"Bearer {token(body=claims(cnf={'x5t#S256': thumbprint(pem), **more}))}"


def test_a_token_bound_to_a_certificate_is_taken_over_its_connection() -> None:
    assert isinstance(authorize(bound_to(MINE), certificate=MINE), Allowed)


@pytest.mark.parametrize("certificate", [None, OTHERS, "nonsense"])
def test_it_is_taken_over_no_other_connection(certificate: str | None) -> None:
    answer = authorize(bound_to(MINE), certificate=certificate)
    assert isinstance(answer, Denied)
    assert (answer.scheme, answer.code) == ("Bearer", "invalid_token")


def test_a_token_bound_to_what_nobody_knows_is_denied() -> None:
    assert isinstance(authorize(bound_to(MINE, jku="x"), certificate=MINE), Denied)


def test_a_token_bound_twice_needs_both() -> None:
    text = bound_to(MINE, jkt=key_name(KEY))
    assert isinstance(authorize(text, certificate=MINE), Denied)


def test_a_client_whose_tokens_are_bound_has_no_other_tokens() -> None:
    client = a_client(needs_certificate=True)
    assert isinstance(authorize(f"Bearer {token()}", client, certificate=MINE), Denied)
    assert isinstance(authorize(bound_to(MINE), client, certificate=MINE), Allowed)


# --- data brokers ---------------------------------------------------------------------------------

HUB = a_client("hub", is_broker=True)
MEMBERS = frozenset({("acme", "hub", "clinic")})


def called(header: str, *clients: Client) -> Allowed | Denied | Refused:
    sent = header.replace("KEY", token(body=claims(client_id="hub")))
    return authorize(sent, *(clients or (HUB,)), members=MEMBERS)


@pytest.mark.parametrize("header", ["Bearer KEY; grp=clinic", "bearer  KEY;grp=clinic "])
def test_a_broker_calls_on_behalf_of_a_member(header: str) -> None:
    decision = called(header)
    assert isinstance(decision, Allowed)
    assert decision.caller.organisation == "clinic"


@pytest.mark.abuse(69)
def test_a_broker_that_names_nobody_calls_for_nobody() -> None:
    decision = called("Bearer KEY")
    assert isinstance(decision, Allowed)
    assert decision.caller.organisation is None


@pytest.mark.abuse(70)
@pytest.mark.parametrize(
    "organisation", ["lab", "Clinic", "clinic.", "'clinic", "*", "~", "x" * 128]
)
def test_an_organisation_that_is_no_member_is_refused_whatever_it_is(organisation: str) -> None:
    assert called(f"Bearer KEY; grp={organisation}") == Refused("organisation_not_allowed")


def test_a_member_of_another_broker_or_tenant_is_refused() -> None:
    for active in (("acme", "other", "clinic"), ("beta", "hub", "clinic")):
        decision = authorize(
            f"Bearer {token(body=claims(client_id='hub'))}; grp=clinic",
            HUB,
            members=frozenset({active}),
        )
        assert decision == Refused("organisation_not_allowed")


@pytest.mark.abuse(72)
def test_an_organisation_named_by_who_is_no_broker_is_refused() -> None:
    assert called("Bearer KEY; grp=clinic", a_client("hub")) == Refused("organisation_not_allowed")


@pytest.mark.parametrize(
    "parameters",
    [
        ";",
        "; ",
        "; grp",
        "; grp=",
        "; grp= clinic",
        "; grp =clinic",
        ";  grp=clinic",
        " ; grp=clinic",
        ";\tgrp=clinic",
        '; grp="clinic"',
        "; GRP=clinic",
        "; grp=clinic;",
        "; grp=clinic; grp=clinic",
        "; grp=clinic, grp=lab",
        "; org=clinic",
        "; grp=clinic; org=x",
        "; grp=cli nic",
        "; grp=clinic\n",
        "; grp=clin\u0131c",
        "; grp=" + "x" * 129,
        "grp=clinic",
    ],
)
def test_parameters_that_are_not_the_one_there_is_make_the_token_invalid(parameters: str) -> None:
    decision = called(f"Bearer KEY{parameters}")
    assert isinstance(decision, Denied)
    assert (decision.code, decision.scheme) == ("invalid_token", "Bearer")


def test_a_key_that_is_fixed_to_an_organisation_calls_for_that_one_only() -> None:
    on_behalf = OnBehalf(Clients(HUB), Members(MEMBERS | {("acme", "hub", "lab")}))
    fixed = Caller("acme", "hub", frozenset(), organisation="clinic", credential="k1")
    assert on_behalf(fixed, None) == on_behalf(fixed, "clinic") == fixed
    with pytest.raises(OrganisationNotAllowed):
        on_behalf(fixed, "lab")


def test_a_key_that_is_fixed_to_who_is_no_member_any_more_is_refused() -> None:
    fixed = Caller("acme", "hub", frozenset(), organisation="lab")
    with pytest.raises(OrganisationNotAllowed):
        OnBehalf(Clients(HUB), Members(MEMBERS))(fixed, None)
