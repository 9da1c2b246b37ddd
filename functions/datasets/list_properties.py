"""GET /api/generic/properties: the properties of this environment. Ours."""

from headrace.datasets.environment_views import PropertyList, PropertyView
from headrace.kernel.errors import NotFound
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/api/generic/properties",
    "The properties of this environment",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    replies={200: PropertyList},
    errors=(NotFound,),
)

prepare(environments.set_property)


@route
def handler(call: Call) -> Reply:
    """Answers those that are set."""
    found = environments.set_property().listed(call.known_caller)
    return Reply(200, PropertyList(tuple(PropertyView.of(one) for one in found)))
