"""GET /generic/datasetprocesses/{dataSetProcessId}/messages: what a process has to say."""

from headrace.datasets.views import DataSetMessagePage
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.runtime import datasets
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/generic/datasetprocesses/{dataSetProcessId}/messages",
    "The messages of a data set process",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    query=(
        QueryParameter("pageSize", "Messages on a page", int, 50, 1, 1000),
        QueryParameter("currentPage", "The page, from 1", int, 1, 1, 1_000_000),
    ),
    replies={200: DataSetMessagePage},
    errors=(NotFound, ValidationFailed),
)

prepare(datasets.list_data_set_messages)


@route
def handler(call: Call) -> Reply:
    """Answers one page of them."""
    page = datasets.list_data_set_messages()(
        call.known_caller,
        call.path["dataSetProcessId"],
        call.query["currentPage"],
        call.query["pageSize"],
    )
    return Reply(200, DataSetMessagePage.of(page))
