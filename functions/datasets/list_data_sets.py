"""GET /dataexchange/datasets/{dataSetDefinitionCode}/{dataSetVersion}: what was built here. Ours; a
target asks its sources by it."""

from headrace.datasets.environment_views import DataSetList
from headrace.kernel.errors import OtherVersion, UnknownDefinition, ValidationFailed
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/dataexchange/datasets/{dataSetDefinitionCode}/{dataSetVersion}",
    "The data sets that were built here",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    replies={200: DataSetList},
    errors=(UnknownDefinition, ValidationFailed, OtherVersion),
)

prepare(environments.list_data_sets)


@route
def handler(call: Call) -> Reply:
    """Answers the data sets of a definition whose payload can be fetched.

    The version is that of the application that is to take them; 409 if no data set of this
    environment can be for it, since the major versions differ.
    """
    environment, found = environments.list_data_sets()(
        call.known_caller, call.path["dataSetDefinitionCode"], call.path["dataSetVersion"]
    )
    return Reply(200, DataSetList.of(environment, found))
