"""GET /services/{serviceId}/errors: what came to nothing of a service that the caller manages."""

from headrace.audit.model import PLACE
from headrace.audit.views import ErrorPage
from headrace.kernel.errors import InvalidRequest, NotFound, ValidationFailed
from headrace.runtime import auditing
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/services/{serviceId}/errors",
    "The errors of a service that you manage",
    scope=Scope.STATISTICS_READ,
    tag="audit",
    query=(
        QueryParameter("pageSize", "Errors on a page", int, 20, 1, 100),
        QueryParameter("cursor", "`next` of the page before", pattern=PLACE.pattern),
    ),
    replies={200: ErrorPage},
    errors=(NotFound, InvalidRequest, ValidationFailed),
)

prepare(auditing.read_statistics)


@route
def handler(call: Call) -> Reply:
    """Answers one page, newest first."""
    service = auditing.managed_service(call.known_caller, call.path["serviceId"])
    cursor = call.query["cursor"]
    if cursor is not None and not PLACE.fullmatch(cursor):
        raise InvalidRequest("The cursor is not one that a page gave out; start without one.")
    found, following = auditing.read_statistics().failings(service, call.query["pageSize"], cursor)
    return Reply(200, ErrorPage.of(found, following))
