"""POST /credentials/{token}: the secret behind the link, once."""

from headrace.kernel.errors import Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from identity.credential_page import HTML, gone, shown

route = Route(
    "POST",
    "/credentials/{token}",
    "Take the credential behind a link",
    tag="identity",
    replies={200: str, 410: str},
    errors=(Unavailable,),
    content_types={200: HTML, 410: HTML},
)


@route
def handler(call: Call) -> Reply:
    """Answers the secret, this once."""
    taken = identity.take_secret()(call.path["token"])
    return gone() if taken is None else shown(*taken, f"{call.base_url}/connect/token")
