"""GET /openapi.json: the description of this API."""

from headrace.runtime.api import Call, Reply, Route
from reference.document import document

route = Route("GET", "/openapi.json", "This description", tag="reference", replies={200: dict})


@route
def handler(call: Call) -> Reply:
    """Answers the description, with this deployment's URL as its server."""
    described = document()
    described["servers"] = [{"url": call.base_url}]
    return Reply(200, described, {"Cache-Control": "public, max-age=300"})
