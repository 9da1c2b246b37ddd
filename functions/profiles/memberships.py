"""How calls that put profiles into groups, and take them out, are done and refused."""

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
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply
from profiles.group_bodies import GroupProfiles, ProfileGroups

ERRORS = (
    InvalidRequest,
    BodyTooLarge,
    ValidationFailed,
    TenantNotAllowed,
    WrongRegion,
    NotFound,
)


def of_profile(call: Call, how: How) -> Reply:
    """Changes which groups a profile is in."""
    asked: ProfileGroups = call.body
    caller, change = call.known_caller, profiles.change_profile_groups()
    tenant, found = change(caller, asked.tenant_id, asked.profile, asked.groups, how)
    concerns = {"profileId": found.profile_id}
    return Reply(204, caller=acting_for(caller, tenant), concerns=concerns)


def of_group(call: Call, how: How) -> Reply:
    """Changes which profiles are in a group."""
    asked: GroupProfiles = call.body
    caller, change = call.known_caller, profiles.change_group_profiles()
    tenant, done = change(caller, asked.tenant_id, asked.group, asked.profiles, how)
    view = GroupChange(done.group.group_id, len(done.added), len(done.removed))
    concerns = {"groupId": done.group.group_id}
    return Reply(200, view, caller=acting_for(caller, tenant), concerns=concerns)
