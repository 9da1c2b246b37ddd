"""POST /data/v1/fulldata: starts a full export."""

from exports.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, Wanted, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    OperationActive,
    QuotaExhausted,
    ValidationFailed,
)
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class StartFullExport(Wanted):
    """What to export, and how. All of it may be left out."""


route = Route(
    "POST",
    "/data/v1/fulldata",
    "Start a full export",
    scope=Scope.JOBS_MANAGE,
    action=Action.EXPORT,
    body=StartFullExport,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        NotFound,
        ValidationFailed,
        IdempotencyKeyReused,
        OperationActive,
        QuotaExhausted,
    ),
)

prepare(wiring.start_export)


@route
def handler(call: Call) -> Reply:
    """Starts the operation and says where its status is."""
    asked: StartFullExport = call.body
    standing = wiring.start_export()(
        call.known_caller,
        asked.configuration_id,
        asked.file_format,
        asked.compression,
        asked.entity,
        call.idempotency_key,
        asked.webhook,
        call.base_url,
    )
    return started(call, standing)
