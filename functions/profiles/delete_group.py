"""DELETE /groups/{groupId}: a group is no more."""

from headrace.audit.model import Action
from headrace.kernel.errors import (
    InvalidRequest,
    NotFound,
    SomeGroupsOnly,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)
from headrace.profiles.grouping import Ref
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import tenant_of

route = Route(
    "DELETE",
    "/groups/{groupId}",
    "Delete a group",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.DELETE,
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
    ),
    names_in_any_case=True,
    replies={204: None},
    errors=(
        InvalidRequest,
        ValidationFailed,
        TenantNotAllowed,
        WrongRegion,
        SomeGroupsOnly,
        NotFound,
    ),
    told_by_field=True,
)

prepare(profiles.delete_group)


@route
def handler(call: Call) -> Reply:
    """Takes all profiles out of it, which stay, and deletes it."""
    caller, group = call.known_caller, Ref(call.path["groupId"])
    tenant, _ = profiles.delete_group()(caller, tenant_of(call.query), group)
    return Reply(204, caller=acting_for(caller, tenant))
