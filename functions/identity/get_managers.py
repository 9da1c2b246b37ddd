"""GET /services/{serviceId}/managers: who manages a service that the caller manages."""

from headrace.identity.key_views import ManagersView
from headrace.kernel.errors import NotFound
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/services/{serviceId}/managers",
    "Who manages a service that you manage",
    scope=Scope.SERVICES_MANAGE,
    tag="identity",
    replies={200: ManagersView},
    errors=(NotFound,),
)

prepare(identity.hand_over)


@route
def handler(call: Call) -> Reply:
    """Answers users by their ids and teams by their names."""
    management = identity.hand_over().shown(call.known_caller, call.path["serviceId"])
    return Reply(200, ManagersView.of(management))
