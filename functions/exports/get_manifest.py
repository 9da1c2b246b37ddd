"""GET /data/v1/operations/{operationId}/manifest: every document, with its digests."""

from headrace.exports.views import FileView, ManifestView
from headrace.kernel.errors import FileExpired, NotFound, OperationUnfinished
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope

route = Route(
    "GET",
    "/data/v1/operations/{operationId}/manifest",
    "The documents of an ended operation: rows, bytes, digests, parts",
    scope=Scope.DATA_READ,
    replies={200: ManifestView},
    errors=(NotFound, OperationUnfinished, FileExpired),
)

wiring.prepare(wiring.get_manifest)


@route
def handler(call: Call) -> Reply:
    """Answers the manifest."""
    operation, documents = wiring.get_manifest()(call.known_caller, call.path["operationId"])
    manifest = ManifestView(
        operation_id=operation.operation_id,
        configuration_id=operation.request.configuration_id,
        sync_version=operation.sync_version,
        file_format=operation.request.file_format,
        compression=operation.request.compression,
        created_at=operation.created_at,
        files=tuple(
            FileView.of(operation, document.job, document.slices, call.base_url)
            for document in documents
        ),
    )
    return Reply(200, manifest)
