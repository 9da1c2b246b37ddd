"""Where a profile is shown: the target of the button in another system (seed 004, "Setting up a
redirect to VALD Hub")."""

from dataclasses import dataclass
from urllib.parse import quote

from headrace.kernel.caller import Caller
from headrace.kernel.errors import NoProfilePage, NotFound
from headrace.profiles.model import HubTenant, Profile
from headrace.profiles.ports import Profiles, Sights
from headrace.profiles.tenancy import FindTenant

PLACEHOLDER = "{profileId}"


@dataclass(frozen=True)
class FindTarget:
    """Finds where the tenant's hub shows the profile that another system names by its sync id."""

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights

    def __call__(
        self, caller: Caller, organisation_id: str, sync_id: str
    ) -> tuple[HubTenant, Profile, str]:
        """The tenant, the profile and its address, which is of the catalog's making alone.

        Raises TenantNotAllowed, WrongRegion, NoProfilePage, and NotFound: the same whether there is
        no such profile, or one that the caller does not see.
        """
        tenant = self.find_tenant(caller, organisation_id)
        if tenant.profile_url is None:
            raise NoProfilePage(
                "The catalog has no address that the tenant's profiles are shown at."
            )
        found = self.profiles.by_sync_id(tenant.tenant, sync_id)
        if found is None or not self.sights.of(caller, tenant.tenant).shows(found):
            raise NotFound("You see no profile with this sync id in the tenant.")
        return tenant, found, tenant.profile_url.replace(PLACEHOLDER, quote(found.profile_id, ""))
