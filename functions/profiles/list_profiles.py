"""GET /profiles: the profiles of a tenant that fit a search (seed 004)."""

from headrace.audit.model import Action
from headrace.kernel.errors import InvalidRequest, TenantNotAllowed, ValidationFailed, WrongRegion
from headrace.profiles.finding import MOST_IDS, MOST_LISTED
from headrace.profiles.tenancy import acting_for
from headrace.profiles.views import ProfileList
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import search_of, tenant_of

route = Route(
    "GET",
    "/profiles",
    "Find profiles",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    action=Action.DOWNLOAD,
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
        QueryParameter(
            "ProfileIds", f"Those of these ids, {MOST_IDS} at most", maximum=64, many=True
        ),
        QueryParameter("SyncId", "The one that you know by this id", maximum=256),
        QueryParameter("ExternalId", "Those of this external id", maximum=256),
        QueryParameter("ModifiedFromUtc", "Those changed then or later (RFC 3339)", maximum=40),
        QueryParameter("GroupId", "Those in this group", maximum=64),
        QueryParameter("PageSize", "So many at a time", int, None, 1, MOST_LISTED),
        QueryParameter("Cursor", "`next` of the answer before, of the same search", maximum=1024),
    ),
    replies={200: ProfileList, 204: None},
    errors=(InvalidRequest, ValidationFailed, TenantNotAllowed, WrongRegion),
    names_in_any_case=True,
    # A search whose name is misspelt would find everybody.
    only_named=True,
    told_by_field=True,
)

prepare(profiles.search_profiles)


@route
def handler(call: Call) -> Reply:
    """Answers the profiles that fit all that is given, and 204 where none does.

    Where there are more than one answer holds, a call without `PageSize` is refused; `Cursor`
    goes on behind a page. Restricted callers find the profiles of their groups only.
    """
    caller, asked = call.known_caller, call.query
    found = profiles.search_profiles()(
        caller, tenant_of(asked), search_of(asked), asked["PageSize"], asked["Cursor"] or None
    )
    body = ProfileList.of(found) if found.profiles else None
    return Reply(200 if body else 204, body, caller=acting_for(caller, found.tenant))
