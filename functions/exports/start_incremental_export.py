"""POST /data/v1/incrementals: starts an export of what changed since a version."""

from typing import Annotated

from pydantic import Field

from exports.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, Wanted, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    IdempotencyKeyReused,
    IncrementsUnavailable,
    InvalidRequest,
    NotFound,
    OperationActive,
    QuotaExhausted,
    ResyncRequired,
    SourceUnavailable,
    SyncVersionExpired,
    SyncVersionUnknown,
    ValidationFailed,
)
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class StartIncrementalExport(Wanted):
    """Since when, of what, and how. All but the version may be left out."""

    sync_version: Annotated[str, Field(min_length=1, max_length=65_536)] = Field(
        description="The version that your data stands at"
    )


route = Route(
    "POST",
    "/data/v1/incrementals",
    "Start an export of what changed",
    scope=Scope.JOBS_MANAGE,
    action=Action.EXPORT,
    body=StartIncrementalExport,
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        NotFound,
        ValidationFailed,
        SyncVersionUnknown,
        SyncVersionExpired,
        ResyncRequired,
        IncrementsUnavailable,
        IdempotencyKeyReused,
        OperationActive,
        QuotaExhausted,
        SourceUnavailable,
    ),
)

prepare(wiring.start_increment)


@route
def handler(call: Call) -> Reply:
    """Starts the operation and says where its status is."""
    asked: StartIncrementalExport = call.body
    standing = wiring.start_increment()(
        call.known_caller,
        asked.sync_version,
        asked.configuration_id,
        asked.file_format,
        asked.compression,
        asked.entity,
        call.idempotency_key,
        asked.webhook,
        call.base_url,
    )
    return started(call, standing)
