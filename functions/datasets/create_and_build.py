"""POST …/createandexport/datasetdefinition/{dataSetDefinitionCode}/dataset: a full data set."""

from datasets.bodies import CreateDataSet
from datasets.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    BuildWhileBusy,
    DataSetExists,
    EmptyDataSet,
    IdempotencyKeyReused,
    InvalidRequest,
    SourceUnavailable,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import datasets
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "POST",
    "/dataexchange/createandexport/datasetdefinition/{dataSetDefinitionCode}/dataset",
    "Create and build a full data set",
    scope=Scope.CREATE_AND_EXPORT,
    tag="datasets",
    action=Action.BUILD,
    body=CreateDataSet,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        UnknownDefinition,
        DataSetExists,
        EmptyDataSet,
        SourceUnavailable,
        BuildWhileBusy,
        IdempotencyKeyReused,
    ),
)

prepare(datasets.create_and_build)


@route
def handler(call: Call) -> Reply:
    """Starts to find all top-level items, with all reference data, and to build a payload of them.

    Items that the body lists are read as those of a PUT are, and change nothing: it is all of them.
    """
    asked: CreateDataSet = call.body
    process = datasets.create_and_build()(
        call.known_caller,
        call.path["dataSetDefinitionCode"],
        asked.wanted,
        call.idempotency_key,
    )
    return started(call, process)
