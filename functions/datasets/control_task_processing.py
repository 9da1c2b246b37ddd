"""POST /taskprocessing?action=…: stops or starts the application's background processing."""

from headrace.audit.model import Action
from headrace.datasets.environment_views import TaskProcessingView
from headrace.datasets.task_processing import action_named
from headrace.kernel.errors import BodyTooLarge, NotFound, SourceUnavailable, ValidationFailed
from headrace.runtime import imports
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "POST",
    "/taskprocessing",
    "Stop or start background processing",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.CONFIGURE,
    query=(QueryParameter("action", "What to do", maximum=5, pattern="stop|start", needed=True),),
    replies={200: TaskProcessingView},
    errors=(BodyTooLarge, NotFound, SourceUnavailable, ValidationFailed),
)

prepare(imports.control_task_processing)


@route
def handler(call: Call) -> Reply:
    """Does it, and answers how it stands then. Tasks that were begun go on to their end."""
    action = action_named(call.query["action"])
    standing = imports.control_task_processing()(call.known_caller, action)
    view = TaskProcessingView.of(standing, f"{call.base_url}{route.path}")
    return Reply(200, view, concerns={"taskProcessing": action})
