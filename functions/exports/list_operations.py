"""GET /data/v1/operations: the caller's operations, newest first."""

from headrace.exports.views import OperationPage, OperationSummary, QuotaView
from headrace.kernel.errors import InvalidRequest, ValidationFailed
from headrace.kernel.ids import OPERATION_ID
from headrace.runtime import wiring
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/operations",
    "Your operations, newest first",
    scope=Scope.JOBS_MANAGE,
    query=(
        QueryParameter("pageSize", "Operations on a page", int, 20, 1, 100),
        QueryParameter("cursor", "`next` of the page before", pattern=OPERATION_ID.pattern),
    ),
    replies={200: OperationPage},
    errors=(InvalidRequest, ValidationFailed),
)

prepare(wiring.list_exports)


@route
def handler(call: Call) -> Reply:
    """Answers one page."""
    cursor = call.query["cursor"]
    if cursor is not None and not OPERATION_ID.fullmatch(cursor):
        raise InvalidRequest("The cursor is not one that a page gave out; start without one.")
    found, more, quota = wiring.list_exports()(call.known_caller, call.query["pageSize"], cursor)
    page = OperationPage(
        operations=tuple(OperationSummary.of(operation, call.base_url) for operation in found),
        next=found[-1].operation_id if more else None,
        quota=QuotaView.of(quota),
    )
    return Reply(200, page)
