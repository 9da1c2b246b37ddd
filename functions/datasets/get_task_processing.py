"""GET /taskprocessing: how the application's background processing stands."""

from headrace.datasets.environment_views import TaskProcessingView
from headrace.kernel.errors import NotFound, SourceUnavailable
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/taskprocessing",
    "How background processing stands",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    replies={200: TaskProcessingView},
    errors=(NotFound, SourceUnavailable),
)

prepare(imports.control_task_processing)


@route
def handler(call: Call) -> Reply:
    """Answers its status, and what can be done to it."""
    standing = imports.control_task_processing()(call.known_caller)
    return Reply(200, TaskProcessingView.of(standing, f"{call.base_url}{route.path}"))
