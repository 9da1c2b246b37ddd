"""POST /dataexchange/uploads: where a file goes that is too large for a call. Ours."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.datasets.environment_views import UploadView
from headrace.kernel.errors import (
    BodyTooLarge,
    InvalidRequest,
    NotAZip,
    NotFound,
    ValidationFailed,
)
from headrace.kernel.view import camel
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class PrepareUpload(BaseModel):
    """The file that is to come."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=camel, title="PrepareUpload"
    )

    file_name: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="Its name, which ends in `.zip`"
    )
    size: Annotated[int, Field(ge=1)] = Field(description="Its bytes, exactly")


route = Route(
    "POST",
    "/dataexchange/uploads",
    "Prepare the upload of a large file",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    body=PrepareUpload,
    replies={201: UploadView},
    errors=(InvalidRequest, BodyTooLarge, NotAZip, NotFound, ValidationFailed),
)

prepare(imports.prepare_upload)


@route
def handler(call: Call) -> Reply:
    """Answers where to send the file by PUT, with all of these headers, within an hour.

    An import names it by its `uploadId`, as often as it is needed.
    """
    asked: PrepareUpload = call.body
    upload = imports.prepare_upload()(call.known_caller, asked.file_name, asked.size)
    return Reply(201, UploadView.of(upload))
