"""POST …/createandexport/datasetdefinition/{dataSetDefinitionCode}/dataset: a full data set."""

from datasets.bodies import CreateDataSet
from headrace.audit.model import Action
from headrace.datasets.views import DataSetProcessView
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
from headrace.runtime import datasets, wiring
from headrace.runtime.api import Call, Reply, Route, Scope

route = Route(
    "POST",
    "/dataexchange/createandexport/datasetdefinition/{dataSetDefinitionCode}/dataset",
    "Create and build a full data set",
    scope=Scope.CREATE_AND_EXPORT,
    tag="datasets",
    action=Action.BUILD,
    body=CreateDataSet,
    request_headers={
        "Idempotency-Key": "A key of your own: the same key and body start one build only"
    },
    replies={201: DataSetProcessView},
    reply_headers={201: {"Location": "The process, whose state is to be asked for"}},
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

wiring.prepare(datasets.create_and_build)


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
    return Reply(
        201,
        DataSetProcessView.of(process, call.base_url),
        {"Location": f"{call.base_url}{process.path}"},
        concerns={"dataSetProcessId": process.process_id},
    )
