"""PUT /profiles/groups: says which groups a profile is in."""

from headrace.audit.model import Action
from headrace.profiles.membership import How
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles import memberships
from profiles.group_bodies import ProfileGroups

route = Route(
    "PUT",
    "/profiles/groups",
    "Say which groups a profile is in",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.CONFIGURE,
    body=ProfileGroups,
    replies={204: None},
    errors=memberships.ERRORS,
    told_by_field=True,
)

prepare(profiles.change_profile_groups)


@route
def handler(call: Call) -> Reply:
    """Puts the profile into these groups, and out of all others that the caller knows.

    Again is harmless.
    """
    return memberships.of_profile(call, How.REPLACE)
