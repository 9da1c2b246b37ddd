"""POST /generic/datasetprocesses/{dataSetProcessId}/undo: undoes an import. Ours."""

from datasets.import_bodies import StartUndo
from datasets.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    FileUnavailable,
    IdempotencyKeyReused,
    ImportWhileBusy,
    InvalidRequest,
    NotFound,
    NotUndoable,
    ValidationFailed,
)
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "POST",
    "/generic/datasetprocesses/{dataSetProcessId}/undo",
    "Undo an import",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.UNDO,
    body=StartUndo,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        NotFound,
        NotUndoable,
        ImportWhileBusy,
        IdempotencyKeyReused,
        FileUnavailable,
    ),
)

prepare(imports.start_undo)


@route
def handler(call: Call) -> Reply:
    """Starts to put back what the import changed, and says where that can be watched."""
    asked: StartUndo = call.body
    process = imports.start_undo()(
        call.known_caller,
        call.path["dataSetProcessId"],
        call.idempotency_key,
        force=asked.force,
        stop_task_processing=asked.stop_task_processing,
    )
    return started(call, process)
