"""POST /profiles/import: another system pushes a profile (seed 004)."""

from headrace.audit.model import Action
from headrace.kernel.errors import SomeGroupsOnly, TenantNotAllowed, WrongRegion
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.bodies import BODY_TYPES, ImportedProfile

route = Route(
    "POST",
    "/profiles/import",
    "Import a profile",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.IMPORT,
    body=ImportedProfile,
    body_types=BODY_TYPES,
    replies={204: None},
    errors=(TenantNotAllowed, WrongRegion, SomeGroupsOnly),
    told_by_field=True,
)

prepare(profiles.import_profile)


@route
def handler(call: Call) -> Reply:
    """Makes a profile, or changes the one of the tenant that has the sync id.

    To import the same again changes nothing, so a call whose answer was lost may be repeated.
    The body comes as ``application/json`` or ``application/json-patch+json``; the names of its
    members begin with a capital or a small letter.
    """
    asked: ImportedProfile = call.body
    caller = call.known_caller
    tenant, profile = profiles.import_profile()(caller, asked.tenant_id, asked.pushed())
    concerns = {"profileId": profile.profile_id}
    return Reply(204, caller=acting_for(caller, tenant), concerns=concerns)
