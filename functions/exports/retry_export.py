"""PUT /data/v1/fulldata/{operationId}/retry: runs what did not succeed again."""

from headrace.audit.model import Action
from headrace.exports.model import OperationKind
from headrace.exports.views import OperationView, status_url
from headrace.kernel.errors import NotFound, OperationActive, OperationNotRetryable
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "PUT",
    "/data/v1/fulldata/{operationId}/retry",
    "Run the jobs that did not succeed again",
    scope=Scope.JOBS_MANAGE,
    action=Action.RETRY,
    others={"/data/v1/incrementals/{operationId}/retry": "retry_incremental"},
    replies={202: OperationView},
    reply_headers={202: {"Location": "The operation's status", "Retry-After": "When to ask there"}},
    errors=(NotFound, OperationNotRetryable, OperationActive),
)

prepare(wiring.retry_export)


@route
def handler(call: Call) -> Reply:
    """Schedules a new attempt of a failed or cancelled operation."""
    standing = wiring.retry_export()(
        call.known_caller, call.path["operationId"], OperationKind.at(call.resource)
    )
    view = OperationView.shown(standing.operation, standing.quota, call.base_url)
    location = status_url(standing.operation, call.base_url)
    return Reply(202, view, {"Location": location, "Retry-After": "1"})
