"""GET /profiles/exists: whether a sync id is a profile's (seed 004)."""

from headrace.kernel.errors import TenantNotAllowed, WrongRegion
from headrace.profiles.tenancy import acting_for
from headrace.profiles.views import ProfileExistsView
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import needed, tenant_of

route = Route(
    "GET",
    "/profiles/exists",
    "Is there a profile",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
        QueryParameter("SyncId", "What you know the profile by", maximum=256, needed=True),
    ),
    replies={200: ProfileExistsView},
    errors=(TenantNotAllowed, WrongRegion),
    names_in_any_case=True,
    told_by_field=True,
)

prepare(profiles.profile_exists)


@route
def handler(call: Call) -> Reply:
    """Answers whether a profile that the caller sees has this sync id."""
    caller, sync_id = call.known_caller, needed(call.query, "SyncId")
    tenant, exists = profiles.profile_exists()(caller, tenant_of(call.query), sync_id)
    return Reply(200, ProfileExistsView(exists), caller=acting_for(caller, tenant))
