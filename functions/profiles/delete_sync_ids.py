"""DELETE /profiles/syncids: no profile of the tenant is linked any more (seed 004)."""

from headrace.audit.model import Action
from headrace.kernel.errors import SomeGroupsOnly, TenantNotAllowed, WrongRegion
from headrace.profiles.tenancy import acting_for
from headrace.profiles.views import SyncIdsDeleted
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import tenant_of

route = Route(
    "DELETE",
    "/profiles/syncids",
    "Remove all links of a tenant",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.DELETE,
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
    ),
    replies={200: SyncIdsDeleted},
    errors=(TenantNotAllowed, SomeGroupsOnly, WrongRegion),
    names_in_any_case=True,
    told_by_field=True,
)

prepare(profiles.delete_sync_ids)


@route
def handler(call: Call) -> Reply:
    """Takes the sync ids away from the profiles, which stay, and answers how many had one.

    Do it before your system is the first to push: what another one linked is not in your way then.
    """
    caller = call.known_caller
    tenant, removed, left = profiles.delete_sync_ids()(caller, tenant_of(call.query))
    return Reply(200, SyncIdsDeleted(removed, left), caller=acting_for(caller, tenant))
