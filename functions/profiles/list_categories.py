"""GET /categories: the categories of a tenant."""

from headrace.kernel.errors import InvalidRequest, TenantNotAllowed, ValidationFailed, WrongRegion
from headrace.profiles.group_views import CategoryList, CategoryView
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import tenant_of

route = Route(
    "GET",
    "/categories",
    "A tenant's categories",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
    ),
    names_in_any_case=True,
    replies={200: CategoryList},
    errors=(InvalidRequest, ValidationFailed, TenantNotAllowed, WrongRegion),
    told_by_field=True,
)

prepare(profiles.see_groups)


@route
def handler(call: Call) -> Reply:
    """Answers them by name. Who sees some groups only sees their categories."""
    _, listed = profiles.see_groups().categories(call.known_caller, tenant_of(call.query))
    return Reply(200, CategoryList(tuple(CategoryView.of(one) for one in listed)))
