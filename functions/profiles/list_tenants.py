"""GET /tenants: the tenants that the caller may name."""

from headrace.profiles.tenant_views import TenantList, TenantView
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/tenants",
    "The tenants that you may name",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    replies={200: TenantList},
)

prepare(profiles.find_tenant)


@route
def handler(call: Call) -> Reply:
    """Answers them by name, those of other regions too, with where to call for each."""
    find = profiles.find_tenant()
    listed = find.tenants.of_caller(call.known_caller)
    return Reply(200, TenantList(tuple(TenantView.of(one, find.elsewhere(one)) for one in listed)))
