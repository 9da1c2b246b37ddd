"""DELETE /groups/profiles: takes profiles out of a group."""

from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)
from headrace.profiles.group_views import GroupChange
from headrace.profiles.membership import How
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles, wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from profiles.group_bodies import GroupProfiles

route = Route(
    "DELETE",
    "/groups/profiles",
    "Remove profiles from a group",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.CONFIGURE,
    body=GroupProfiles,
    replies={200: GroupChange},
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        TenantNotAllowed,
        WrongRegion,
        NotFound,
    ),
    told_by_field=True,
)

wiring.prepare(profiles.change_group_profiles)


@route
def handler(call: Call) -> Reply:
    """Takes these profiles out of the group.

    Each profile is a write of its own: after a failure, the same call goes on.
    """
    asked: GroupProfiles = call.body
    caller, change = call.known_caller, profiles.change_group_profiles()
    tenant, done = change(caller, asked.tenant_id, asked.group, asked.profiles, How.REMOVE)
    view = GroupChange(done.group.group_id, len(done.added), len(done.removed))
    concerns = {"groupId": done.group.group_id}
    return Reply(200, view, caller=acting_for(caller, tenant), concerns=concerns)
