"""GET /credentials/{token}: is there a secret behind the link."""

from headrace.kernel.errors import Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from identity.credential_page import HTML, gone, waiting

route = Route(
    "GET",
    "/credentials/{token}",
    "See whether a credential waits behind a link",
    tag="identity",
    replies={200: str, 410: str},
    errors=(Unavailable,),
    content_types={200: HTML, 410: HTML},
)


@route
def handler(call: Call) -> Reply:
    """Answers a page with a button, and takes nothing: what only follows links sees no secret."""
    found = identity.find_handover()(call.path["token"])
    return gone() if found is None else waiting(found.client_id)
