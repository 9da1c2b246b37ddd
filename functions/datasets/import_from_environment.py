"""POST …/import/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}: imports a data set
that another environment has built (seed 001)."""

from datasets.import_bodies import ImportFromEnvironment
from headrace.audit.model import Action
from headrace.datasets.views import DataSetProcessView
from headrace.kernel.errors import (
    BodyTooLarge,
    IdempotencyKeyReused,
    ImportWhileBusy,
    InvalidRequest,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.wiring import prepare

route = Route(
    "POST",
    "/dataexchange/import/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}",
    "Import a data set of another environment",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.IMPORT,
    body=ImportFromEnvironment,
    request_headers={
        "Idempotency-Key": "A key of your own: the same key and body start one import only"
    },
    replies={201: DataSetProcessView},
    reply_headers={201: {"Location": "The process, whose state is to be asked for"}},
    errors=(
        InvalidRequest,
        BodyTooLarge,
        UnknownDefinition,
        ValidationFailed,
        ImportWhileBusy,
        IdempotencyKeyReused,
    ),
)

prepare(environments.import_from_environment)


@route
def handler(call: Call) -> Reply:
    """Starts fetching it, and then the import; says where both can be watched."""
    asked: ImportFromEnvironment = call.body
    process = environments.import_from_environment()(
        call.known_caller,
        call.path["dataSetDefinitionCode"],
        call.path["dataSetCode"],
        asked.source_environment,
        asked.options,
        call.idempotency_key,
    )
    return Reply(
        201,
        DataSetProcessView.of(process, call.base_url),
        {"Location": f"{call.base_url}{process.path}"},
        concerns={"dataSetProcessId": process.process_id},
    )
