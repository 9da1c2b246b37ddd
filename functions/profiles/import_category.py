"""POST /categories/import: another system pushes a category."""

from headrace.audit.model import Action
from headrace.profiles.group_views import CategoryView
from headrace.profiles.tenancy import acting_for
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles import pushes
from profiles.group_bodies import ImportedCategory

route = Route(
    "POST",
    "/categories/import",
    "Import a category",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.IMPORT,
    body=ImportedCategory,
    replies={200: CategoryView},
    errors=pushes.ERRORS,
    told_by_field=True,
)

prepare(profiles.import_groups)


@route
def handler(call: Call) -> Reply:
    """Makes a category, or changes the one that has the id, the sync id, or the name.

    To import the same again changes nothing.
    """
    asked: ImportedCategory = call.body
    caller, put = call.known_caller, profiles.import_groups()
    tenant, category = put.category(caller, asked.tenant_id, asked.pushed())
    concerns = {"categoryId": category.id}
    return Reply(
        200, CategoryView.of(category), caller=acting_for(caller, tenant), concerns=concerns
    )
