"""POST /profiles/groups: puts a profile into groups."""

from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)
from headrace.profiles.membership import How
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles, wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from profiles.group_bodies import ProfileGroups

route = Route(
    "POST",
    "/profiles/groups",
    "Add a profile to groups",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.CONFIGURE,
    body=ProfileGroups,
    replies={204: None},
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

wiring.prepare(profiles.change_profile_groups)


@route
def handler(call: Call) -> Reply:
    """Puts the profile into these groups too. Again is harmless."""
    asked: ProfileGroups = call.body
    caller, change = call.known_caller, profiles.change_profile_groups()
    tenant, found = change(caller, asked.tenant_id, asked.profile, asked.groups, How.ADD)
    concerns = {"profileId": found.profile_id}
    return Reply(204, caller=acting_for(caller, tenant), concerns=concerns)
