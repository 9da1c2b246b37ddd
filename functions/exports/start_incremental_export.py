"""POST /data/v1/incrementals: starts an export of what changed since a version."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.exports.model import Compression, FileFormat
from headrace.exports.views import OperationView, status_url
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
from headrace.kernel.view import camel
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

Name = Annotated[str, Field(min_length=1, max_length=128)]


class StartIncrementalExport(BaseModel):
    """Since when, of what, and how. All but the version may be left out."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=camel,
        title="StartIncrementalExport",
    )

    sync_version: Annotated[str, Field(min_length=1, max_length=65_536)] = Field(
        description="The version that your data stands at"
    )
    configuration_id: Name | None = Field(
        None, description="The configuration; your default one if left out"
    )
    file_format: Annotated[FileFormat, Field(strict=False)] = Field(
        FileFormat.CSV, description="The format of every document"
    )
    compression: Annotated[Compression, Field(strict=False)] = Field(
        Compression.NONE, description="The compression; of Parquet, the codec of its pages"
    )
    entity: Name | None = Field(None, description="One table; all of them if left out")
    webhook: Name | None = Field(
        None, description="Your webhook that is told of the end; your default one if left out"
    )


route = Route(
    "POST",
    "/data/v1/incrementals",
    "Start an export of what changed",
    scope=Scope.JOBS_MANAGE,
    action=Action.EXPORT,
    body=StartIncrementalExport,
    request_headers={
        "Idempotency-Key": "A key of your own: the same key and body start one operation only"
    },
    replies={202: OperationView},
    reply_headers={202: {"Location": "The operation's status", "Retry-After": "When to ask there"}},
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
    view = OperationView.shown(standing.operation, standing.quota, call.base_url)
    location = status_url(standing.operation, call.base_url)
    return Reply(
        202,
        view,
        {"Location": location, "Retry-After": "1"},
        concerns={"operationId": standing.operation.operation_id},
    )
