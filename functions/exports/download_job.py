"""GET /data/v1/jobs/{jobId}: the document of a job."""

from headrace.audit.model import Action
from headrace.kernel.errors import (
    ConsentWithdrawn,
    FileExpired,
    FileUnavailable,
    JobUnfinished,
    NotFound,
)
from headrace.runtime import wiring
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/jobs/{jobId}",
    "Download the document of a job",
    scope=Scope.DATA_READ,
    action=Action.DOWNLOAD,
    replies={303: None},
    reply_headers={303: {"Location": "A link to the document, which works for some minutes"}},
    errors=(NotFound, JobUnfinished, FileExpired, FileUnavailable, ConsentWithdrawn),
)

prepare(wiring.download_job)


@route
def handler(call: Call) -> Reply:
    """Sends the caller to a short-lived link; ranges and resuming work there."""
    return Reply(
        303, headers={"Location": wiring.download_job()(call.known_caller, call.path["jobId"])}
    )
