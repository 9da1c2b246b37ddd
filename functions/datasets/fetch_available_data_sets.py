"""GET /dataexchange/datasets/fetchavailabledatasets/…: what the registered sources have."""

from headrace.datasets.environment_views import AvailableDataSets, available_data_sets
from headrace.kernel.errors import UnknownDefinition, ValidationFailed
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/dataexchange/datasets/fetchavailabledatasets/{dataSetDefinitionCode}/{dataSetVersion}",
    "The data sets that the registered source environments have",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    replies={200: AvailableDataSets},
    errors=(UnknownDefinition, ValidationFailed),
)

prepare(environments.fetch_available)


@route
def handler(call: Call) -> Reply:
    """Asks all of them at the same time.

    Each is in the answer, with its data sets, or with what went wrong with it. The version is that
    of the application here; a source of another major version is `HTTP 409 Conflict`.
    """
    answers = environments.fetch_available()(
        call.known_caller, call.path["dataSetDefinitionCode"], call.path["dataSetVersion"]
    )
    return Reply(200, available_data_sets(answers))
