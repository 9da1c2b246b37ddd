"""POST /dataexchange/import/datasetdefinition/…: imports a file (seed 001)."""

from datasets.import_bodies import ImportForm, ImportUpload
from datasets.started import REPLIES, REPLY_HEADERS, REQUEST_HEADERS, started
from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    FileUnavailable,
    IdempotencyKeyReused,
    ImportWhileBusy,
    InvalidRequest,
    NotAZip,
    NotFound,
    UnknownDefinition,
    ValidationFailed,
)
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope, checked
from headrace.runtime.instance import prepare
from headrace.runtime.multipart import MULTIPART, is_multipart, multipart_form

route = Route(
    "POST",
    "/dataexchange/import/datasetdefinition/{dataSetDefinitionCode}",
    "Import a file",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.IMPORT,
    body=ImportUpload,
    form=ImportForm,
    form_type=MULTIPART,
    most_bytes=4 * 1024 * 1024,
    too_large="A file in the call itself may have 4 MiB at most. Upload a larger one first, at "
    "POST /dataexchange/uploads, and name its uploadId here.",
    request_headers=REQUEST_HEADERS,
    replies=REPLIES,
    reply_headers=REPLY_HEADERS,
    errors=(
        InvalidRequest,
        BodyTooLarge,
        NotAZip,
        NotFound,
        UnknownDefinition,
        ValidationFailed,
        ImportWhileBusy,
        IdempotencyKeyReused,
        FileUnavailable,
    ),
)

prepare(imports.import_file)


@route
def handler(call: Call) -> Reply:
    """Starts the import, and says where it can be watched.

    The file comes as multipart/form-data; a larger one is uploaded before, and named by its id.
    """
    definition, key = call.path["dataSetDefinitionCode"], call.idempotency_key
    if is_multipart(call):
        form = multipart_form(call)
        file = form.files.get("file")
        asked = checked(ImportForm, form.fields if file is None else {**form.fields, "file": ""})
        name, content = (file.name, file.content) if file else ("", b"")
        process = imports.import_file()(
            call.known_caller, definition, name, content, asked.options, key
        )
    else:
        upload: ImportUpload = call.body
        process = imports.import_upload()(
            call.known_caller, definition, upload.upload_id, upload.options, key
        )
    return started(call, process)
