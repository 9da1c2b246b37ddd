"""GET /groups: the groups of a tenant."""

from headrace.kernel.errors import InvalidRequest, TenantNotAllowed, ValidationFailed, WrongRegion
from headrace.profiles.group_views import GroupList, GroupView
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import tenant_of

route = Route(
    "GET",
    "/groups",
    "A tenant's groups",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
    ),
    names_in_any_case=True,
    replies={200: GroupList},
    errors=(InvalidRequest, ValidationFailed, TenantNotAllowed, WrongRegion),
    told_by_field=True,
)

prepare(profiles.see_groups)


@route
def handler(call: Call) -> Reply:
    """Answers them by name. Who sees the profiles of some groups only sees no others."""
    _, listed = profiles.see_groups().groups(call.known_caller, tenant_of(call.query))
    return Reply(200, GroupList(tuple(GroupView.of(one) for one in listed)))
