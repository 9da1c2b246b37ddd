"""DELETE /profiles/groups: takes a profile out of groups."""

from headrace.audit.model import Action
from headrace.profiles.membership import How
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles import memberships
from profiles.group_bodies import ProfileGroups

route = Route(
    "DELETE",
    "/profiles/groups",
    "Remove a profile from groups",
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
    """Takes the profile out of these groups; it stays in its others. Again is harmless."""
    return memberships.of_profile(call, How.REMOVE)
