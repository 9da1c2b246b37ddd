"""Which tenant a call is about, and whether this deployment serves it."""

from dataclasses import dataclass

import pytest

from headrace.kernel.caller import Caller
from headrace.kernel.errors import TenantNotAllowed, WrongRegion
from headrace.profiles.model import HubTenant
from headrace.profiles.tenancy import FindTenant, acting_for

CARE = HubTenant("care", "6f2c2b1e-0000-4000-8000-000000000001", "Care", region="aue")
HEALTH = HubTenant("health", "6f2c2b1e-0000-4000-8000-000000000002", "Health", region="euw")
ANYWHERE = HubTenant("any", "6f2c2b1e-0000-4000-8000-000000000003", "Anywhere")
CALLER = Caller("*", "athletes", frozenset())


@dataclass(frozen=True)
class CallersTenants:
    """The ``Tenants`` port: every caller may name these."""

    listed: tuple[HubTenant, ...] = (CARE, HEALTH, ANYWHERE)

    def of_caller(self, caller: Caller) -> tuple[HubTenant, ...]:
        return self.listed

    def base_url(self, region: str) -> str | None:
        return {"euw": "https://euw.example.com/v1"}.get(region)


def find(region: str | None = "aue") -> FindTenant:
    return FindTenant(CallersTenants(), region)


def test_a_tenant_is_found_by_its_organisation_id_in_any_case() -> None:
    assert find()(CALLER, CARE.organisation_id.upper()) == CARE
    assert find()(CALLER, f" {CARE.organisation_id} ") == CARE


@pytest.mark.parametrize("named", ["", "care", "6f2c2b1e-0000-4000-8000-000000000009"])
def test_what_is_none_of_the_callers_tenants_is_not_allowed(named: str) -> None:
    with pytest.raises(TenantNotAllowed):
        find()(CALLER, named)


def test_a_tenant_of_another_region_is_refused_with_the_address_of_that_one() -> None:
    with pytest.raises(WrongRegion, match="euw") as refused:
        find()(CALLER, HEALTH.organisation_id)
    assert refused.value.members == {"region": "euw", "baseUrl": "https://euw.example.com/v1"}


def test_the_region_of_a_tenant_is_told_to_nobody_who_may_not_name_it() -> None:
    with pytest.raises(TenantNotAllowed):
        FindTenant(CallersTenants((CARE,)), "aue")(CALLER, HEALTH.organisation_id)


def test_a_tenant_without_a_region_is_served_everywhere() -> None:
    assert find()(CALLER, ANYWHERE.organisation_id) == ANYWHERE


def test_a_deployment_of_no_region_serves_them_all() -> None:
    for tenant in (CARE, HEALTH, ANYWHERE):
        assert find(None)(CALLER, tenant.organisation_id) == tenant


def test_a_call_counts_for_the_tenant_that_it_names() -> None:
    assert acting_for(CALLER, CARE).tenant == "care"
