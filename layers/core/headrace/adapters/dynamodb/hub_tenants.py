"""The tenants of the published catalog, as profiles see them. Its table: see ``catalogs``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.kernel.caller import EVERY_TENANT, Caller
from headrace.kernel.errors import NotFound
from headrace.profiles.model import HubTenant


@dataclass(frozen=True)
class CatalogTenants:
    """The ``Tenants`` port of profiles."""

    table: Table
    _catalogs: DynamoCatalogs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_catalogs", DynamoCatalogs(self.table))

    def of_caller(self, caller: Caller) -> Sequence[HubTenant]:
        """See the port."""
        try:
            found = [self._tenant(name) for name in self._named(caller)]
        except NotFound:
            return ()
        return sorted((one for one in found if one), key=lambda one: (one.name, one.tenant))

    def _named(self, caller: Caller) -> Iterable[str]:
        if caller.tenant != EVERY_TENANT:
            return (caller.tenant,)
        client = self._catalogs.client(caller.client_id)
        return () if client is None else client.tenants

    def _tenant(self, name: str) -> HubTenant | None:
        found = self._catalogs.tenant(name)
        if found is None or found.organisation_id is None:
            return None
        return HubTenant(
            found.tenant_id, found.organisation_id, found.name, found.region, found.profile_url
        )

    def base_url(self, region: str) -> str | None:
        """See the port."""
        try:
            found = self._catalogs.region(region)
        except NotFound:
            return None
        return None if found is None else found.base_url
