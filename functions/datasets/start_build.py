"""POST …/export/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}: builds it."""

from datasets.bodies import StartBuild
from datasets.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    BuildWhileBusy,
    EmptyDataSet,
    IdempotencyKeyReused,
    InvalidRequest,
    UnknownDataSet,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import datasets
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "POST",
    "/dataexchange/export/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}",
    "Build a data set",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.BUILD,
    body=StartBuild,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        UnknownDefinition,
        UnknownDataSet,
        EmptyDataSet,
        BuildWhileBusy,
        IdempotencyKeyReused,
    ),
)

prepare(datasets.start_build)


@route
def handler(call: Call) -> Reply:
    """Starts the build, and says where it can be watched."""
    asked: StartBuild = call.body
    process = datasets.start_build()(
        call.known_caller,
        call.path["dataSetDefinitionCode"],
        call.path["dataSetCode"],
        call.idempotency_key,
        asked.changes,
    )
    return started(call, process)
