"""PUT /dataexchange/datasetdefinition/{dataSetDefinitionCode}/dataset: creates a data set."""

from datasets.bodies import CreateDataSet
from headrace.audit.model import Action
from headrace.datasets.views import DataSetView
from headrace.kernel.errors import (
    BodyTooLarge,
    DataSetExists,
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
    "PUT",
    "/dataexchange/datasetdefinition/{dataSetDefinitionCode}/dataset",
    "Create a data set",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.DATA_SET,
    body=CreateDataSet,
    request_headers={
        "Idempotency-Key": "A key of your own: the same key and body create one data set only"
    },
    replies={201: DataSetView},
    reply_headers={201: {"Location": "Where its payload is, once it is built"}},
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        UnknownDefinition,
        DataSetExists,
        IdempotencyKeyReused,
        SourceUnavailable,
    ),
)

prepare(datasets.create_data_set)


@route
def handler(call: Call) -> Reply:
    """Finds the items that there are now, and keeps which they are."""
    asked: CreateDataSet = call.body
    data_set = datasets.create_data_set()(
        call.known_caller,
        call.path["dataSetDefinitionCode"],
        asked.wanted,
        call.idempotency_key,
    )
    location = (
        f"{call.base_url}/dataexchange/export/datasetdefinition/{data_set.definition}"
        f"/dataset/{data_set.code}"
    )
    return Reply(
        201,
        DataSetView.of(data_set),
        {"Location": location},
        concerns={"dataSetId": data_set.data_set_id},
    )
