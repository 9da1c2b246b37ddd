"""GET /redirect/target: where the profile of a link is shown."""

from dataclasses import dataclass

from headrace.audit.model import Action
from headrace.kernel.errors import NoProfilePage, NotFound, TenantNotAllowed, WrongRegion
from headrace.kernel.view import View
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare


@dataclass(frozen=True)
class RedirectTarget(View):
    """Where to go."""

    profile_id: str
    """The profile, by our id."""
    url: str
    """Where the tenant's hub shows it."""


route = Route(
    "GET",
    "/redirect/target",
    "Where the tenant's hub shows a profile",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    action=Action.REDIRECT,
    query=(
        QueryParameter(
            "tenantId", "The tenant, by its organization id", minimum=1, maximum=64, needed=True
        ),
        QueryParameter(
            "syncId", "What your system knows the person by", minimum=1, maximum=256, needed=True
        ),
    ),
    only_named=True,
    replies={200: RedirectTarget},
    errors=(NotFound, NoProfilePage, TenantNotAllowed, WrongRegion),
)

prepare(profiles.find_target)


@route
def handler(call: Call) -> Reply:
    """Answers the address that the catalog has for the tenant, with the profile's id in it.

    A profile that the caller does not see is answered as one that there is not.
    """
    caller, wanted = call.known_caller, call.query
    tenant, found, url = profiles.find_target()(caller, wanted["tenantId"], wanted["syncId"])
    target = RedirectTarget(found.profile_id, url)
    concerns = {"profileId": found.profile_id}
    return Reply(200, target, caller=acting_for(caller, tenant), concerns=concerns)
