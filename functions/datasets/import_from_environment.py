"""POST …/import/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}: imports a data set
that another environment has built (seed 001)."""

from datasets.import_bodies import ImportFromEnvironment
from datasets.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    IdempotencyKeyReused,
    ImportWhileBusy,
    InvalidRequest,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "POST",
    "/dataexchange/import/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}",
    "Import a data set of another environment",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.IMPORT,
    body=ImportFromEnvironment,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        UnknownDefinition,
        ValidationFailed,
        ImportWhileBusy,
        IdempotencyKeyReused,
    ),
)

prepare(imports.import_from_environment)


@route
def handler(call: Call) -> Reply:
    """Starts fetching it, and then the import; says where both can be watched."""
    asked: ImportFromEnvironment = call.body
    process = imports.import_from_environment()(
        call.known_caller,
        call.path["dataSetDefinitionCode"],
        call.path["dataSetCode"],
        asked.source_environment,
        asked.options,
        call.idempotency_key,
    )
    return started(call, process)
