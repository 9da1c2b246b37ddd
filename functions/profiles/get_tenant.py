"""GET /tenants/{tenantId}: one of the tenants that the caller may name."""

from headrace.kernel.errors import TenantNotAllowed, WrongRegion
from headrace.profiles.tenant_views import TenantView
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/tenants/{tenantId}",
    "One of your tenants",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    replies={200: TenantView},
    errors=(TenantNotAllowed, WrongRegion),
)

prepare(profiles.find_tenant)


@route
def handler(call: Call) -> Reply:
    """Answers it, if it is served here."""
    tenant = profiles.find_tenant()(call.known_caller, call.path["tenantId"])
    return Reply(200, TenantView.of(tenant, None))
