"""What callers are shown of tenants."""

from dataclasses import dataclass
from typing import Self

from headrace.kernel.view import View
from headrace.profiles.model import HubTenant


@dataclass(frozen=True)
class TenantView(View):
    """A tenant that the caller may name."""

    id: str
    """The organisation id: what calls name it by, as `TenantId`."""
    name: str
    region: str | None
    """The region that serves it; null where every deployment does."""
    base_url: str | None
    """Where to call for it, if that is elsewhere; null where it is served here."""

    @classmethod
    def of(cls, tenant: HubTenant, elsewhere: str | None) -> Self:
        """The tenant; ``elsewhere``: where it is served, if not here."""
        return cls(tenant.organisation_id, tenant.name, tenant.region, elsewhere)


@dataclass(frozen=True)
class TenantList(View):
    """Tenants, by name."""

    tenants: tuple[TenantView, ...]
