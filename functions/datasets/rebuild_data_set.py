"""PATCH …/createandexport/datasetdefinition/dataset/{dataSetId}: builds a full one anew."""

from datasets.bodies import RebuildDataSet
from datasets.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    BuildWhileBusy,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import datasets
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "PATCH",
    "/dataexchange/createandexport/datasetdefinition/dataset/{dataSetId}",
    "Change a full data set and build it anew",
    scope=Scope.CREATE_AND_EXPORT,
    tag="datasets",
    action=Action.BUILD,
    body=RebuildDataSet,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
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

prepare(datasets.rebuild_data_set)


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
    return started(call, process)
