"""GET /dataexchange/environment: which environment this is. Ours; a target asks its sources."""

from headrace.datasets.environment_views import EnvironmentView
from headrace.kernel.errors import NotFound
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/dataexchange/environment",
    "Which environment this is",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    replies={200: EnvironmentView},
    errors=(NotFound,),
)

prepare(environments.know_environment)


@route
def handler(call: Call) -> Reply:
    """Answers how this environment is called, and the version of the application in it."""
    return Reply(200, EnvironmentView.of(environments.know_environment()(call.known_caller)))
