"""GET /docs: the description of this API as a page to read and to try it on."""

from headrace.runtime.api import Call, Reply, Route
from reference.assets import page
from reference.caching import REVALIDATED, unless_unchanged

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # its icons are in its style sheet
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

route = Route(
    "GET",
    "/docs",
    "The description as a page",
    tag="reference",
    replies={200: str, 304: None},
    reply_headers={200: REVALIDATED, 304: REVALIDATED},
    content_types={200: "text/html; charset=utf-8"},
)


@route
def handler(call: Call) -> Reply:
    """Answers the page; Swagger UI does the rest in the browser, from this host alone."""
    asked = str(call.context.get("path", ""))
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
    }
    # Links are relative, since the page does not know under which path the API is reached.
    text = page("" if asked.endswith("/") else "docs/")
    return unless_unchanged(call, Reply(200, text, headers, route.content_types[200]))
