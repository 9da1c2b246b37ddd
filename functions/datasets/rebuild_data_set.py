"""PATCH …/createandexport/datasetdefinition/dataset/{dataSetId}: builds a full one anew."""

from datasets.bodies import RebuildDataSet
from headrace.audit.model import Action
from headrace.datasets.views import DataSetProcessView
from headrace.kernel.errors import (
    BodyTooLarge,
    BuildWhileBusy,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import datasets, wiring
from headrace.runtime.api import Call, Reply, Route, Scope

route = Route(
    "PATCH",
    "/dataexchange/createandexport/datasetdefinition/dataset/{dataSetId}",
    "Change a full data set and build it anew",
    scope=Scope.CREATE_AND_EXPORT,
    tag="datasets",
    action=Action.BUILD,
    body=RebuildDataSet,
    request_headers={
        "Idempotency-Key": "A key of your own: the same key and body start one build only"
    },
    replies={201: DataSetProcessView},
    reply_headers={201: {"Location": "The process, whose state is to be asked for"}},
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        NotFound,
        UnknownDefinition,
        BuildWhileBusy,
        IdempotencyKeyReused,
    ),
)

wiring.prepare(datasets.rebuild_data_set)


@route
def handler(call: Call) -> Reply:
    """Starts to build it with all top-level items that there are now.

    It is for data sets that were created and built in one call; its id is in the list of data sets.
    """
    asked: RebuildDataSet = call.body
    process = datasets.rebuild_data_set()(
        call.known_caller,
        call.path["dataSetId"],
        call.idempotency_key,
        asked.changes,
    )
    return Reply(
        201,
        DataSetProcessView.of(process, call.base_url),
        {"Location": f"{call.base_url}{process.path}"},
        concerns={"dataSetProcessId": process.process_id},
    )
