"""GET /generic/datasetprocesses/{dataSetProcessId}: how a process stands."""

from headrace.datasets.views import DataSetProcessView
from headrace.kernel.errors import NotFound
from headrace.runtime import datasets
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/generic/datasetprocesses/{dataSetProcessId}",
    "How a data set process stands",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    replies={200: DataSetProcessView},
    errors=(NotFound,),
)

prepare(datasets.get_data_set_process)


@route
def handler(call: Call) -> Reply:
    """Answers how far it is, and its end and result when it has them."""
    process = datasets.get_data_set_process()(call.known_caller, call.path["dataSetProcessId"])
    return Reply(200, DataSetProcessView.of(process, call.base_url))
