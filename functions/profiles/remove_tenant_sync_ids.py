"""DELETE /tenants/{tenantId}/syncids: a tenant loses all links to another system."""

from headrace.audit.model import Action
from headrace.kernel.errors import SomeGroupsOnly, TenantNotAllowed, WrongRegion
from headrace.profiles.group_views import RemovedLinks
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "DELETE",
    "/tenants/{tenantId}/syncids",
    "Remove all sync ids of a tenant",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.DELETE,
    replies={200: RemovedLinks},
    errors=(TenantNotAllowed, WrongRegion, SomeGroupsOnly),
    told_by_field=True,
)

prepare(profiles.remove_sync_ids)


@route
def handler(call: Call) -> Reply:
    """Takes the sync ids of its categories, groups and profiles away, and says of how many.

    They stay as they are otherwise, so another system can be connected without meeting old links.
    """
    caller = call.known_caller
    tenant, removed = profiles.remove_sync_ids()(caller, call.path["tenantId"])
    return Reply(200, RemovedLinks.of(removed), caller=acting_for(caller, tenant))
