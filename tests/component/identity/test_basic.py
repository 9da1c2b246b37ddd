"""Name and password with each call, for the calls between environments (seed 001)."""

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from headrace.adapters.argon2id import Argon2idPasswords
from headrace.catalog.model import Client
from headrace.identity.lockout import FREE_TRIES
from headrace.identity.users import Permission
from headrace.runtime import identity
from tests.component.identity.deployment import CLIENTS, Deployment
from tests.component.identity.test_authorizer import effect, through_a_route

ADA = "ada@acme.example"
CARRIER = Client("carrier", "Carrier", ("acme",), ("metadata:read", "dataexchange"))
EXCHANGE = "youforce-data-api:dataexchange"
BOTH = f"{EXCHANGE} youforce-data-api:datasetoperation:createandexport"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def assert_refused(answer: dict[str, Any]) -> None:
    assert effect(answer) == "Deny"
    assert answer["context"] == {
        "challenge": 'Basic realm="headrace", charset="UTF-8"',
        "code": "invalid_token",
        "detail": "The user name or client id and the password or secret do not fit.",
    }


def test_a_user_calls_with_what_the_access_restrictions_give_and_nothing_else(
    deployment: Deployment,
) -> None:
    password = deployment.add_user(ADA, *Permission)
    answer = deployment.authorize(basic(ADA, password))
    assert effect(answer) == "Allow"
    assert (answer["context"]["tenant"], answer["context"]["client_id"]) == ("acme", "user")
    assert answer["context"]["scopes"] == BOTH


def test_a_user_without_the_grants_reaches_no_route(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, Permission.EXPORT_TEMPLATES)
    answer = deployment.authorize(basic(ADA, password))
    assert answer["context"]["scopes"] == ""
    assert through_a_route(answer["context"])[0] == 403


def test_a_user_whose_role_may_not_log_in_reaches_no_route(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, Permission.DATA_EXCHANGE, integrator=False)
    answer = deployment.authorize(basic(ADA, password))
    assert answer["context"]["scopes"] == ""


def test_a_name_is_compared_as_at_a_login(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, Permission.DATA_EXCHANGE)
    assert effect(deployment.authorize(basic("ADA@Acme.example", password))) == "Allow"


def test_a_client_calls_with_its_id_and_secret(deployment: Deployment) -> None:
    deployment.publish(CARRIER)
    answer = deployment.authorize(basic("carrier", deployment.give_secret("carrier")))
    assert answer["context"] == {"tenant": "acme", "client_id": "carrier", "scopes": EXCHANGE}


def test_a_client_is_held_to_its_networks(deployment: Deployment) -> None:
    deployment.publish(
        Client("carrier", "C", ("acme",), ("dataexchange",), allowed_networks=("203.0.113.0/24",))
    )
    secret = basic("carrier", deployment.give_secret("carrier"))
    assert "scopes" in deployment.authorize(secret, source_ip="203.0.113.9")["context"]
    outside = deployment.authorize(secret, source_ip="198.51.100.9")
    assert outside["context"] == {"refusal": "network_not_allowed"}


@pytest.mark.parametrize(
    "more",
    [{"dpop_required": True}, {"certificate_bound": True}, {"tenants": ("acme", "beta")}],
    ids=["by proof only", "by certificate only", "of two tenants"],
)
def test_a_client_that_has_to_show_more_does_not_call_with_its_secret(
    deployment: Deployment, more: dict[str, Any]
) -> None:
    values = {"tenants": ("acme",), "scopes": ("dataexchange",), **more}
    deployment.publish(Client("carrier", "Carrier", **values))
    answer = deployment.authorize(basic("carrier", deployment.give_secret("carrier")))
    assert effect(answer) == "Deny"
    assert "access token" in answer["context"]["detail"]


def test_whatever_does_not_fit_has_one_answer(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, Permission.DATA_EXCHANGE)
    secret = deployment.secrets["acme-hr"]
    for authorization in (
        basic(ADA, password + "x"),
        basic("nobody@acme.example", password),
        basic("acme-hr", secret + "x"),
        basic("nobody", secret),
        basic("acme-hr", ""),
        basic("", secret),
        basic("no/client", secret),
        basic("x" * 300 + "@acme.example", password),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic YTpi=",
    ):
        assert_refused(deployment.authorize(authorization))


def test_a_user_that_is_disabled_or_has_another_password_is_refused_at_once(
    deployment: Deployment,
) -> None:
    password = deployment.add_user(ADA, Permission.DATA_EXCHANGE)
    assert effect(deployment.authorize(basic(ADA, password))) == "Allow"
    users = deployment.directory.users
    [user] = users.listed("acme")
    users.save(user.disabled())
    assert_refused(deployment.authorize(basic(ADA, password)))


@dataclass(frozen=True)
class Counted(Argon2idPasswords):
    """Counts the hashes that are worked out."""

    verified: list[bool] = field(default_factory=list)

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.verified.append(password_hash is not None)
        return super().verify(password_hash, password)


@pytest.mark.abuse(26)
def test_the_password_of_a_user_there_is_not_costs_the_same_work(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.add_user(ADA, Permission.DATA_EXCHANGE)
    counted = Counted()
    monkeypatch.setattr(identity, "_passwords", lambda: counted)
    for name in (ADA, "nobody@acme.example"):
        assert_refused(deployment.authorize(basic(name, "wrong all the same")))
    assert counted.verified == [True, False]


@pytest.mark.abuse(27)
def test_guesses_are_held_up_as_at_a_login_and_a_login_counts_with_them(
    deployment: Deployment,
) -> None:
    password = deployment.add_user(ADA, Permission.DATA_EXCHANGE)
    for _ in range(FREE_TRIES):
        assert_refused(deployment.authorize(basic(ADA, "wrong all the same")))
    held = deployment.authorize(basic(ADA, password))
    assert held["context"]["refusal"] == "too_many_tries"
    status, body = through_a_route(held["context"])
    assert (status, body["code"]) == (429, "too_many_tries")
    assert deployment.post_login(ADA, password).status == 429


def test_right_passwords_cost_an_address_nothing_however_many_come(deployment: Deployment) -> None:
    password = deployment.add_user(ADA, Permission.DATA_EXCHANGE)
    deployment.configure(LOGIN_TRIES_PER_ADDRESS="3")
    for _ in range(5):
        assert effect(deployment.authorize(basic(ADA, password))) == "Allow"
    for _ in range(3):
        assert_refused(deployment.authorize(basic("nobody@acme.example", "wrong")))
    held = deployment.authorize(basic(ADA, password))
    assert held["context"]["refusal"] == "too_many_tries"


def test_two_headers_of_one_call_are_denied(deployment: Deployment) -> None:
    first = basic("acme-hr", deployment.secrets["acme-hr"])
    assert effect(deployment.authorize(first, headers={"authorization": first})) == "Deny"


def test_a_client_without_the_grants_reaches_no_route(deployment: Deployment) -> None:
    deployment.publish(*CLIENTS)
    answer = deployment.authorize(basic("acme-hr", deployment.secrets["acme-hr"]))
    assert answer["context"]["scopes"] == ""
    assert through_a_route(answer["context"])[0] == 403
