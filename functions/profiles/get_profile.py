"""GET /profiles/{profileId}: one profile of a tenant."""

from headrace.audit.model import Action
from headrace.kernel.errors import NotFound, TenantNotAllowed, WrongRegion
from headrace.profiles.tenancy import acting_for
from headrace.profiles.views import ProfileView
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import tenant_of

route = Route(
    "GET",
    "/profiles/{profileId}",
    "One profile",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    action=Action.DOWNLOAD,
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
    ),
    replies={200: ProfileView},
    errors=(NotFound, TenantNotAllowed, WrongRegion),
    names_in_any_case=True,
    told_by_field=True,
)

prepare(profiles.get_profile)


@route
def handler(call: Call) -> Reply:
    """Answers it; one that the caller does not see is the same 404 as one that is not there."""
    caller = call.known_caller
    found = profiles.get_profile()(caller, tenant_of(call.query), call.path["profileId"])
    [profile] = found.profiles
    view = ProfileView.of(profile, found.sight)
    return Reply(200, view, caller=acting_for(caller, found.tenant))
