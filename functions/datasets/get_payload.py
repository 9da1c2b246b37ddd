"""GET …/export/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}: the payload."""

from headrace.audit.model import Action
from headrace.kernel.errors import FileExpired, FileUnavailable, UnknownDataSet, UnknownDefinition
from headrace.runtime import datasets
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/dataexchange/export/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}",
    "Download the payload of a data set",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.DOWNLOAD,
    replies={200: bytes, 204: None, 303: None},
    reply_headers={
        200: {"Content-Disposition": "A name for the file"},
        303: {"Location": "A link to a payload of more than 4 MiB, which works for some minutes"},
    },
    content_types={200: "application/zip"},
    errors=(UnknownDefinition, UnknownDataSet, FileUnavailable, FileExpired),
)

prepare(datasets.get_payload)


@route
def handler(call: Call) -> Reply:
    """Answers the payload of the last build, a ZIP archive or XML as the definition says."""
    data_set, payload = datasets.get_payload()(
        call.known_caller, call.path["dataSetDefinitionCode"], call.path["dataSetCode"]
    )
    if payload is None:
        return Reply(204)
    if isinstance(payload, str):
        return Reply(303, headers={"Location": payload})
    disposition = f'attachment; filename="{data_set.file_name}"'
    return Reply(
        200, payload, {"Content-Disposition": disposition}, content_type=data_set.content_type
    )
