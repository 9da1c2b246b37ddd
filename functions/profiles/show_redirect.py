"""GET /redirect: the page that leads a user of another system to a profile (seed 004)."""

from headrace.kernel.errors import InvalidRequest
from headrace.runtime.api import Call, QueryParameter, Reply, Route
from profiles.redirect_page import page, policy

route = Route(
    "GET",
    "/redirect",
    "The page that leads a user to a profile in the tenant's hub",
    tag="profiles",
    query=(
        QueryParameter("tenantId", "The tenant, by its organization id", maximum=64),
        QueryParameter("syncId", "What your system knows the person by", maximum=256),
    ),
    only_named=True,
    replies={200: str},
    content_types={200: "text/html; charset=utf-8"},
    errors=(InvalidRequest,),
)


@route
def handler(call: Call) -> Reply:
    """Answers the page; it asks the user to sign in, then where the profile is, and goes there.

    The page is the same for every link, so it tells nothing of who is not signed in.
    """
    headers = {
        "Content-Security-Policy": policy(),
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex",
    }
    return Reply(200, page(), headers, route.content_types[200])
