"""Which tenant a call is about: the one whose organisation id it names (seed 004)."""

from dataclasses import dataclass, replace

from headrace.kernel.caller import Caller
from headrace.kernel.errors import TenantNotAllowed, WrongRegion
from headrace.profiles.model import HubTenant
from headrace.profiles.ports import Tenants


@dataclass(frozen=True)
class FindTenant:
    """Finds the tenant of an organisation id, for who may name it.

    ``region``: the one that this deployment is of; None serves the tenants of all.
    """

    tenants: Tenants
    region: str | None

    def __call__(self, caller: Caller, organisation_id: str) -> HubTenant:
        """The tenant. Raises TenantNotAllowed, the same for one that does not exist, and
        WrongRegion, which says where the tenant is served."""
        wanted = organisation_id.strip().lower()
        for tenant in self.tenants.of_caller(caller):
            if tenant.organisation_id.lower() == wanted:
                self._check_region(tenant)
                return tenant
        raise TenantNotAllowed(
            "None of your tenants has this organisation id; GET /tenants lists those that you may "
            "name."
        )

    def elsewhere(self, tenant: HubTenant) -> str | None:
        """Where to call for a tenant that is not served here; None of one that is."""
        if self._is_served(tenant) or tenant.region is None:
            return None
        return self.tenants.base_url(tenant.region)

    def _is_served(self, tenant: HubTenant) -> bool:
        return self.region is None or tenant.region in (None, self.region)

    def _check_region(self, tenant: HubTenant) -> None:
        if not self._is_served(tenant):
            url = self.elsewhere(tenant)
            where = "" if url is None else f" Call {url} for it."
            raise WrongRegion(
                f"The tenant is served in the region {tenant.region}.{where}",
                region=tenant.region,
                baseUrl=url,
            )


def acting_for(caller: Caller, tenant: HubTenant) -> Caller:
    """The caller, acting for the tenant that the call named: for the audit trail."""
    return replace(caller, tenant=tenant.tenant)
