"""GET /data/v1/operations/{operationId}/manifest: every document, with its digests."""

from headrace.exports.model import OperationKind
from headrace.exports.views import ManifestView
from headrace.kernel.errors import ConsentWithdrawn, FileExpired, NotFound, OperationUnfinished
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/operations/{operationId}/manifest",
    "The documents of an ended operation: rows, bytes, digests, parts",
    scope=Scope.DATA_READ,
    others={"/data/v1/incrementals/{operationId}/manifest": "get_incremental_manifest"},
    replies={200: ManifestView},
    errors=(NotFound, OperationUnfinished, FileExpired, ConsentWithdrawn),
)

prepare(wiring.get_manifest)


@route
def handler(call: Call) -> Reply:
    """Answers the manifest."""
    kind = OperationKind.at(call.resource)
    operation, documents = wiring.get_manifest()(call.known_caller, call.path["operationId"], kind)
    return Reply(200, ManifestView.of(operation, documents, call.base_url))
