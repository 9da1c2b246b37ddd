"""GET /services/{serviceId}/statistics: what a service that the caller manages did per day."""

from datetime import date

from headrace.audit.model import Span
from headrace.audit.views import StatisticsView
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.runtime import auditing
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

route = Route(
    "GET",
    "/services/{serviceId}/statistics",
    "What a service that you manage did, day by day",
    scope=Scope.STATISTICS_READ,
    tag="audit",
    query=(
        QueryParameter("from", "The first day, UTC; 30 days back if left out", pattern=DAY),
        QueryParameter("to", "The last day, UTC; today if left out", pattern=DAY),
    ),
    replies={200: StatisticsView},
    errors=(NotFound, ValidationFailed),
)

prepare(auditing.read_statistics)


def day(text: str | None) -> date | None:
    """Raises ValueError."""
    return None if text is None else date.fromisoformat(text)


@route
def handler(call: Call) -> Reply:
    """Answers a count per action and day."""
    service = auditing.managed_service(call.known_caller, call.path["serviceId"])
    try:
        span = Span.of(day(call.query["from"]), day(call.query["to"]), auditing.now().date())
    except ValueError as error:
        raise ValidationFailed(
            "The days cannot be read.", [{"field": "from", "message": str(error)}]
        ) from None
    return Reply(200, StatisticsView.of(service, auditing.read_statistics().days(service, span)))
