"""GET /docs/{asset}: a script or a style sheet of the docs page."""

from headrace.kernel.errors import NotFound
from headrace.runtime.api import Call, QueryParameter, Reply, Route
from reference.assets import asset
from reference.caching import REVALIDATED, unless_unchanged

route = Route(
    "GET",
    "/docs/{asset}",
    "A script or a style sheet of that page",
    tag="reference",
    query=(
        QueryParameter(
            "v", "The version that the page links to; it may be kept for good", maximum=64
        ),
    ),
    replies={200: str, 304: None},
    reply_headers={200: REVALIDATED, 304: REVALIDATED},
    content_types={200: "text/*"},
    errors=(NotFound,),
)


@route
def handler(call: Call) -> Reply:
    """Answers the file."""
    found = asset(call.path["asset"])
    current = call.query["v"] == found.version
    headers = {"Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache"}
    return unless_unchanged(call, Reply(200, found.text, headers, found.content_type))
