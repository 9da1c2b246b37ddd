"""GET /generic/datasetprocesses/{dataSetProcessId}/difference: what an import changed. Ours."""

from headrace.audit.model import Action
from headrace.kernel.errors import FileExpired, FileUnavailable, NotFound
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/generic/datasetprocesses/{dataSetProcessId}/difference",
    "What an import changed, or a dry run would",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.DOWNLOAD,
    replies={200: bytes, 204: None, 303: None},
    reply_headers={
        303: {"Location": "A link to a document of more than 4 MiB, which works for some minutes"},
    },
    content_types={200: "application/x-ndjson"},
    errors=(NotFound, FileUnavailable, FileExpired),
)

prepare(imports.get_difference)


@route
def handler(call: Call) -> Reply:
    """Answers a line of JSON for each record that was added, changed or deleted.

    204 where there is none: the process still runs, is no import, or was refused as a whole.
    """
    told = imports.get_difference()(call.known_caller, call.path["dataSetProcessId"])
    if told is None:
        return Reply(204)
    if isinstance(told, str):
        return Reply(303, headers={"Location": told})
    return Reply(200, told, content_type="application/x-ndjson")
