"""POST /groups/import: another system pushes a group."""

from headrace.audit.model import Action
from headrace.profiles.group_views import GroupView
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles import pushes
from profiles.group_bodies import ImportedGroup

route = Route(
    "POST",
    "/groups/import",
    "Import a group",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.IMPORT,
    body=ImportedGroup,
    replies={200: GroupView},
    errors=pushes.ERRORS,
    told_by_field=True,
)

prepare(profiles.import_groups)


@route
def handler(call: Call) -> Reply:
    """Makes a group, or changes the one that has the id, the sync id, or the name.

    To import the same again changes nothing.
    """
    asked: ImportedGroup = call.body
    caller, put = call.known_caller, profiles.import_groups()
    tenant, group = put.group(caller, asked.tenant_id, asked.pushed(), asked.category)
    concerns = {"groupId": group.id}
    return Reply(200, GroupView.of(group), caller=acting_for(caller, tenant), concerns=concerns)
