"""DELETE /groups/profiles: takes profiles out of a group."""

from headrace.audit.model import Action
from headrace.profiles.group_views import GroupChange
from headrace.profiles.membership import How
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles import memberships
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
    errors=memberships.ERRORS,
    told_by_field=True,
)

prepare(profiles.change_group_profiles)


@route
def handler(call: Call) -> Reply:
    """Takes these profiles out of the group.

    Each profile is a write of its own: after a failure, the same call goes on.
    """
    return memberships.of_group(call, How.REMOVE)
