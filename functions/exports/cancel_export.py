"""POST /data/v1/fulldata/{operationId}/cancel: ends an active operation."""

from headrace.audit.model import Action
from headrace.exports.model import OperationKind
from headrace.exports.views import OperationView
from headrace.kernel.errors import NotFound
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "POST",
    "/data/v1/fulldata/{operationId}/cancel",
    "Cancel an operation",
    scope=Scope.JOBS_MANAGE,
    action=Action.CANCEL,
    others={"/data/v1/incrementals/{operationId}/cancel": "cancel_incremental"},
    replies={200: OperationView},
    errors=(NotFound,),
)

prepare(wiring.cancel_export)


@route
def handler(call: Call) -> Reply:
    """Cancels it; of an operation that has ended, nothing changes."""
    standing = wiring.cancel_export()(
        call.known_caller, call.path["operationId"], OperationKind.at(call.resource)
    )
    return Reply(200, OperationView.shown(standing.operation, standing.quota, call.base_url))
