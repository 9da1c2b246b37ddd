"""GET /data/v1/incrementals/syncversion: the version that the caller's data stands at."""

from headrace.exports.views import SyncVersionView
from headrace.kernel.errors import IncrementsUnavailable, NotFound, SourceUnavailable
from headrace.runtime import wiring
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/incrementals/syncversion",
    "The version that your data stands at",
    scope=Scope.JOBS_MANAGE,
    query=(
        QueryParameter(
            "configurationId",
            "The configuration; your default one if left out",
            minimum=1,
            maximum=128,
        ),
        QueryParameter("entity", "One table; all of them if left out", minimum=1, maximum=128),
    ),
    replies={200: SyncVersionView},
    errors=(NotFound, IncrementsUnavailable, SourceUnavailable),
)

prepare(wiring.get_sync_version)


@route
def handler(call: Call) -> Reply:
    """Answers the baseline, and between which versions the source can tell what changed."""
    standing = wiring.get_sync_version()(
        call.known_caller, call.query["configurationId"], call.query["entity"]
    )
    return Reply(200, SyncVersionView.of(standing))
