"""DELETE /data/v1/fulldata/{operationId}: removes an operation and its files."""

from headrace.audit.model import Action
from headrace.exports.model import OperationKind
from headrace.kernel.errors import NotFound, OperationRunning
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "DELETE",
    "/data/v1/fulldata/{operationId}",
    "Delete an operation and its files",
    scope=Scope.JOBS_MANAGE,
    action=Action.DELETE,
    others={"/data/v1/incrementals/{operationId}": "delete_incremental"},
    replies={204: None},
    errors=(NotFound, OperationRunning),
)

prepare(wiring.delete_export)


@route
def handler(call: Call) -> Reply:
    """Deletes it; an active one has to be cancelled first."""
    wiring.delete_export()(
        call.known_caller, call.path["operationId"], OperationKind.at(call.resource)
    )
    return Reply(204)
