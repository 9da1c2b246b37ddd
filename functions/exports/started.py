"""What both kinds of exports are asked for, and how the calls that start one answer."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.exports.model import Compression, FileFormat
from headrace.exports.usecases import Standing
from headrace.exports.views import OperationView, status_url
from headrace.kernel.view import camel
from headrace.runtime.api import Call, Reply

Name = Annotated[str, Field(min_length=1, max_length=128)]

REPLIES = {202: OperationView}
REPLY_HEADERS = {202: {"Location": "The operation's status", "Retry-After": "When to ask there"}}
REQUEST_HEADERS = {
    "Idempotency-Key": "A key of your own: the same key and body start one operation only"
}


class Wanted(BaseModel):
    """What to export, and how. All of it may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=camel)

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


def started(call: Call, standing: Standing) -> Reply:
    """The operation, where its status is, and when to ask there."""
    operation = standing.operation
    return Reply(
        202,
        OperationView.shown(operation, standing.quota, call.base_url),
        {"Location": status_url(operation, call.base_url), "Retry-After": "1"},
        concerns={"operationId": operation.operation_id},
    )
