"""POST /profiles/merge: makes one profile of two."""

from headrace.audit.model import Action
from headrace.kernel.errors import Conflict, Fenced, NotFound, TenantNotAllowed, WrongRegion
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.bodies import BODY_TYPES, MergedProfiles

route = Route(
    "POST",
    "/profiles/merge",
    "Merge two profiles",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.DELETE,
    body=MergedProfiles,
    body_types=BODY_TYPES,
    replies={204: None},
    errors=(NotFound, TenantNotAllowed, WrongRegion, Conflict, Fenced),
    told_by_field=True,
)

prepare(profiles.merge_profiles)


@route
def handler(call: Call) -> Reply:
    """Deletes the profile that is merged; the one that stays is then in the groups of both.

    It gets the sync id of the other one, too, if it has none. Where both have one, `syncIdOf` says
    which one stays; without it that is a conflict.
    """
    asked: MergedProfiles = call.body
    caller, ids = call.known_caller, (asked.from_profile_id, asked.to_profile_id)
    tenant = profiles.merge_profiles()(caller, asked.tenant_id, *ids, asked.sync_id_of)
    concerns = {"fromProfileId": ids[0].lower(), "toProfileId": ids[1].lower()}
    return Reply(204, caller=acting_for(caller, tenant), concerns=concerns)
