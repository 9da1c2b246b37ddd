"""A data broker's calls through the authorizer: on whose behalf they are."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headrace.catalog.model import Client, Service
from headrace.identity.api_keys import KeyKind
from headrace.identity.certifying import CreateAuthority
from headrace.kernel.clock import SystemClock
from headrace.runtime import identity
from tests.component.consents.tables import Tables
from tests.component.identity.deployment import Deployment
from tests.component.identity.test_api_keys import given
from tests.component.identity.test_authorizer import assert_denied, effect, through_a_route
from tests.component.identity.test_key_certificates import Service as CertifiedService

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


# --- API keys -------------------------------------------------------------------------------------


def by_key(deployment: Deployment, text: str, parameter: str = "") -> dict[str, Any]:
    return deployment.authorize(f"Bearer {text}{parameter}")


def test_a_static_key_calls_for_the_member_that_the_call_names(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    key, text = given(deployment, service="hub")
    answer = by_key(deployment, text.text, "; grp=clinic")
    assert (answer["context"]["organisation"], answer["context"]["credential"]) == (
        "clinic",
        key.key_id,
    )
    assert "organisation" not in by_key(deployment, text.text)["context"]
    assert_refused(by_key(deployment, text.text, "; grp=lab"))


def test_a_key_that_is_fixed_to_an_organisation_calls_for_no_other(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    consents.begin("acme", "broker#hub", "lab")
    _, text = given(deployment, service="hub", organisation="clinic")
    for parameter in ("", "; grp=clinic"):
        context = by_key(deployment, text.text, parameter)["context"]
        assert context["organisation"] == "clinic"
    assert_refused(by_key(deployment, text.text, "; grp=lab"))
    consents.end("acme", "broker#hub", "clinic")
    for parameter in ("", "; grp=clinic"):
        assert_refused(by_key(deployment, text.text, parameter))


def test_an_access_token_of_a_refresh_key_calls_as_the_key_does(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    consents.begin("acme", "broker#hub", "lab")
    for fixed, parameter, expected in (
        (None, "; grp=lab", "lab"),
        ("clinic", "", "clinic"),
        ("clinic", "; grp=lab", None),
    ):
        _, text = given(deployment, KeyKind.REFRESH, service="hub", organisation=fixed)
        reply = deployment.post_token({"grant_type": "refresh_token", "refresh_token": text.text})
        assert reply.status == 200, reply.body
        answer = by_key(deployment, reply.json["access_token"], parameter)
        if expected is None:
            assert_refused(answer)
        else:
            assert answer["context"]["organisation"] == expected


def test_a_client_certificate_calls_for_the_member_that_the_header_names(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    wired = identity.certify()
    CreateAuthority(wired.certificates, wired.key, SystemClock())("Headrace test")
    service = CertifiedService(deployment)
    certificate = service.certificate(service.key(service="hub"))
    for header, expected in (
        ("Bearer client-certificate; grp=clinic", "clinic"),
        ("Bearer client-certificate", None),
    ):
        context = service.calls(certificate, header)
        assert context is not None and context.get("organisation") == expected
    refused = service.calls(certificate, "Bearer client-certificate; grp=lab")
    assert refused == {"refusal": "organisation_not_allowed"}
    assert service.calls(certificate, "Bearer client-certificate; grp=") is None


@pytest.mark.abuse(50)
def test_the_name_for_a_certificate_with_an_organisation_is_nothing_without_one(
    deployment: Deployment, consents: Tables
) -> None:
    consents.begin("acme", "broker#hub", "clinic")
    assert_denied(deployment.authorize("Bearer client-certificate; grp=clinic"))
