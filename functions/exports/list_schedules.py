"""GET /data/v1/schedules: the exports that are started for the caller by themselves."""

from headrace.exports.schedule_views import ScheduleList
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/schedules",
    "Your recurring exports, and their last runs",
    scope=Scope.METADATA_READ,
    replies={200: ScheduleList},
)

prepare(wiring.list_schedules)


@route
def handler(call: Call) -> Reply:
    """Answers all of them."""
    caller = call.known_caller
    return Reply(200, ScheduleList.of(wiring.list_schedules()(caller.tenant, caller.client_id)))
