"""Where the button of another system leads, and whom it tells nothing."""

from dataclasses import replace

import pytest

from headrace.kernel.caller import Caller
from headrace.kernel.errors import NoProfilePage, NotFound, TenantNotAllowed, WrongRegion
from headrace.profiles.model import HubTenant, Profile, Sight
from headrace.profiles.redirecting import FindTarget
from headrace.profiles.tenancy import FindTenant
from tests.component.profiles.storing import NOON, a_person
from tests.fakes import FakeProfiles
from tests.unit.profiles.test_tenancy import CALLER, CARE, HEALTH, CallersTenants

URL = "https://hub.care.example/profiles/{profileId}?tab=tests"
SHOWN = replace(CARE, profile_url=URL)
EVERYTHING = Sight()
HERS = Profile("care", "p-1", a_person(), NOON, NOON, "A-1042", frozenset({"juniors"}))


class AsSeen:
    """The ``Sights`` port: everybody sees this."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight

    def of(self, caller: Caller, tenant: str) -> Sight:
        return self.sight


def find(
    *profiles: Profile, sight: Sight = EVERYTHING, tenants: tuple[HubTenant, ...] = (SHOWN, HEALTH)
) -> FindTarget:
    kept = FakeProfiles({(one.tenant, one.profile_id): one for one in profiles})
    return FindTarget(FindTenant(CallersTenants(tenants), "aue"), kept, AsSeen(sight))


def test_the_address_is_the_catalogs_with_the_id_of_the_profile_in_it() -> None:
    tenant, found, url = find(HERS)(CALLER, CARE.organisation_id.upper(), "A-1042")
    assert (tenant, found) == (SHOWN, HERS)
    assert url == "https://hub.care.example/profiles/p-1?tab=tests"


@pytest.mark.abuse(130)
@pytest.mark.parametrize("odd", ["//evil.example", "../../x", "?a=b#c", "@evil.example"])
def test_an_id_cannot_change_where_the_address_leads(odd: str) -> None:
    _, _, url = find(replace(HERS, profile_id=odd))(CALLER, CARE.organisation_id, "A-1042")
    host, path = url.removeprefix("https://").split("/profiles/")
    assert host == "hub.care.example"
    assert path.removesuffix("?tab=tests").isascii()
    assert not set("/?#@") & set(path.removesuffix("?tab=tests"))


def test_a_profile_that_is_not_seen_is_answered_as_one_that_there_is_not() -> None:
    def refused(target: FindTarget) -> str:
        with pytest.raises(NotFound) as error:
            target(CALLER, CARE.organisation_id, "A-1042")
        return error.value.detail

    assert refused(find()) == refused(find(HERS, sight=Sight(frozenset({"seniors"}))))
    assert find(HERS, sight=Sight(frozenset({"juniors"})))(CALLER, CARE.organisation_id, "A-1042")


def test_a_profile_in_no_group_is_shown_to_nobody_who_sees_groups_only() -> None:
    with pytest.raises(NotFound):
        find(replace(HERS, groups=frozenset()), sight=Sight(frozenset({"juniors"})))(
            CALLER, CARE.organisation_id, "A-1042"
        )


def test_a_tenant_without_a_page_for_profiles_is_told_apart() -> None:
    with pytest.raises(NoProfilePage):
        find(HERS, tenants=(CARE,))(CALLER, CARE.organisation_id, "A-1042")


def test_another_tenant_and_another_region_are_refused_before_anything_is_looked_for() -> None:
    with pytest.raises(TenantNotAllowed):
        find(HERS, tenants=(HEALTH,))(CALLER, CARE.organisation_id, "A-1042")
    with pytest.raises(WrongRegion):
        find(HERS)(CALLER, HEALTH.organisation_id, "A-1042")
