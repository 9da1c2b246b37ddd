"""GET /openapi.json: the description of this API."""

from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.settings import settings
from reference.caching import REVALIDATED, unless_unchanged
from reference.document import text_for

route = Route(
    "GET",
    "/openapi.json",
    "This description",
    tag="reference",
    replies={200: dict, 304: None},
    reply_headers={200: REVALIDATED, 304: REVALIDATED},
)


@route
def handler(call: Call) -> Reply:
    """Answers the OpenAPI 3.1 description, with this deployment's URL and scopes in it."""
    text = text_for(call.base_url, settings().scope_prefix)
    return unless_unchanged(call, Reply(200, text, {"Cache-Control": "no-cache"}))
