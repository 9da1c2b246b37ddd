"""A data broker's calls through the authorizer: on whose behalf they are."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headrace.catalog.model import Client, Service
from headrace.kernel.clock import SystemClock
from tests.component.consents.tables import Tables
from tests.component.identity.deployment import Deployment
from tests.component.identity.test_authorizer import assert_denied, effect, through_a_route

HUB = Client("hub", "Hub", ("acme", "beta"), ("metadata:read",), service=Service("broker"))
WELLNESS = replace(HUB, client_id="wellness", name="Wellness", service=Service("external"))


@pytest.fixture
def consents(deployment: Deployment) -> Tables:
    deployment.publish(HUB, WELLNESS)
    deployment.give_secret("hub")
    deployment.give_secret("wellness")
    return Tables(deployment.tables["consents"], deployment.tables["catalog"], SystemClock())


def called(deployment: Deployment, parameter: str, client_id: str = "hub") -> dict[str, Any]:
    token = deployment.token(client_id, tenant_id="acme")
    return deployment.authorize(f"Bearer {token}{parameter}")


def assert_refused(answer: dict[str, Any]) -> str:
    assert effect(answer) == "Allow"
    assert answer["context"] == {"refusal": "organisation_not_allowed"}
    status, body = through_a_route(answer["context"])
    assert (status, body["code"]) == (403, "organisation_not_allowed")
    return str(body["detail"])


def test_a_member_is_called_for(deployment: Deployment, consents: Tables) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    answer = called(deployment, "; grp=clinic")
    assert effect(answer) == "Allow"
    assert answer["context"]["organisation"] == "clinic"
    assert answer["context"]["client_id"] == "hub"


@pytest.mark.abuse(69)
def test_without_an_organisation_the_broker_calls_for_nobody(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    assert "organisation" not in called(deployment, "")["context"]


@pytest.mark.abuse(70)
def test_whoever_is_no_member_now_is_refused_alike(
    deployment: Deployment, consents: Tables
) -> None:
    now = SystemClock().now()
    consents.begin("beta", "broker#hub", "foreign")
    consents.begin("acme", "broker#other", "others")
    consents.begin("acme", "broker#hub", "left")
    consents.end("acme", "broker#hub", "left")
    consents.begin("acme", "broker#hub", "coming", now + timedelta(hours=1))
    consents.begin("acme", "broker#hub", "past", now - timedelta(2), now - timedelta(1))
    names = ("foreign", "others", "left", "coming", "past", "unknown", "~", "x" * 128)
    told = {assert_refused(called(deployment, f"; grp={name}")) for name in names}
    assert told == {"The caller may not act on behalf of this organisation."}


@pytest.mark.abuse(72)
def test_a_service_that_is_no_broker_is_refused(deployment: Deployment, consents: Tables) -> None:
    consents.begin("acme", "broker#wellness", "clinic")
    assert_refused(called(deployment, "; grp=clinic", "wellness"))


@pytest.mark.parametrize("parameter", ['; grp="clinic"', "; grp=clinic; grp=clinic", "; grp="])
def test_a_malformed_parameter_makes_the_token_invalid(
    deployment: Deployment, consents: Tables, parameter: str
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    assert_denied(called(deployment, parameter))


def test_a_membership_that_ends_is_seen_on_the_next_call(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    token = f"Bearer {deployment.token('hub', tenant_id='acme')}; grp=clinic"
    assert deployment.authorize(token)["context"]["organisation"] == "clinic"
    consents.end("acme", "broker#hub", "clinic")
    assert_refused(deployment.authorize(token))
