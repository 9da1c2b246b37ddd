"""GET /data/v1/fulldata/{operationId}/status: how an operation stands."""

from headrace.exports.model import OperationKind
from headrace.exports.views import OperationView
from headrace.kernel.errors import NotFound
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/fulldata/{operationId}/status",
    "How an operation stands",
    scope=Scope.JOBS_MANAGE,
    others={"/data/v1/incrementals/{operationId}/status": "get_incremental_status"},
    replies={200: OperationView},
    reply_headers={200: {"Retry-After": "When to ask again, while it is active"}},
    errors=(NotFound,),
)

prepare(wiring.get_export)


@route
def handler(call: Call) -> Reply:
    """Answers the operation with its jobs."""
    standing = wiring.get_export()(
        call.known_caller, call.path["operationId"], OperationKind.at(call.resource)
    )
    headers = {"Retry-After": "1"} if standing.operation.status.active else {}
    view = OperationView.shown(standing.operation, standing.quota, call.base_url)
    return Reply(200, view, headers)
