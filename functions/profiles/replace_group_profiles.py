"""PUT /groups/profiles: says which profiles are in a group."""

from headrace.audit.model import Action
from headrace.profiles.group_views import GroupChange
from headrace.profiles.membership import How
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles import memberships
from profiles.group_bodies import GroupProfiles

route = Route(
    "PUT",
    "/groups/profiles",
    "Say which profiles are in a group",
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
    """Puts these profiles into the group, and all others out of it.

    Each profile is a write of its own: after a failure, the same call goes on.
    """
    return memberships.of_group(call, How.REPLACE)
