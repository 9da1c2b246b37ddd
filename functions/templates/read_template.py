"""GET /api/ver3/services/exporttemplate/{templateId}: a page of a template (seed 003)."""

import gzip
from urllib.parse import urlencode

from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    CursorExpired,
    FileUnavailable,
    InvalidCursor,
    InvalidRequest,
    NotAcceptable,
    NotFound,
    PageTooLarge,
    Unavailable,
    ValidationFailed,
)
from headrace.runtime import templates
from headrace.runtime.api import MOST_INLINE_BYTES, Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from headrace.runtime.negotiation import accepts_gzip, preferred
from headrace.templates.usecases import Page
from headrace.templates.views import FORMATS, TemplatePage, cursor_text, fitting, written
from templates.parameters import QUERY, ReadTemplate, asked_of

route = Route(
    "GET",
    "/api/ver3/services/exporttemplate/{templateId}",
    "Read a page of a template",
    scope=Scope.TEMPLATES_READ,
    tag="templates",
    action=Action.EXPORT,
    query=QUERY,
    body=ReadTemplate,
    replies={200: TemplatePage},
    other_types={200: FORMATS[1:]},
    reply_headers={
        200: {
            "Link": 'The next page, rel="next"; without it this is the last one',
            "X-Total-Count": "How many rows all pages have; only with `showTotal`",
        }
    },
    errors=(
        InvalidRequest,
        InvalidCursor,
        NotAcceptable,
        BodyTooLarge,
        ValidationFailed,
        PageTooLarge,
        NotFound,
        CursorExpired,
        Unavailable,
        FileUnavailable,
    ),
)

prepare(templates.read_template)


@route
def handler(call: Call) -> Reply:
    """Answers rows in the template's order, all pages of one snapshot.

    `offset` 0 reads the source anew; any other offset, and `next`, go on with what was read then.
    A page is JSON, or what `Accept` prefers of CSV and NDJSON; `Accept-Encoding: gzip` lets more
    rows fit into it. The parameters may also come as a JSON object in the body of the GET.
    """
    caller, template_id = call.known_caller, call.path["templateId"]
    media_type = preferred(call.headers.get("accept"), FORMATS)
    asked = asked_of(call, lambda: templates.time_zone(caller.tenant))
    page = templates.read_template()(caller, template_id, asked)
    next_url = _next(call, page, asked.count)
    headers = {"Vary": "Accept, Accept-Encoding"}
    if next_url is not None:
        headers["Link"] = f'<{next_url}>; rel="next"'
    if asked.with_total:
        headers["X-Total-Count"] = str(page.total)
    content = written(page, media_type, next_url, with_total=asked.with_total)
    if accepts_gzip(call.headers.get("accept-encoding")):
        content, headers["Content-Encoding"] = gzip.compress(content, 1, mtime=0), "gzip"
    if len(content) > MOST_INLINE_BYTES:
        fits = fitting(len(page.rows), len(content), MOST_INLINE_BYTES)
        raise PageTooLarge(
            f"An answer cannot hold so many of these rows; ask for a count of {fits}.", fits=fits
        )
    concerns = {"walkId": page.walk.walk_id}
    return Reply(200, content, headers, media_type, concerns=concerns)


def _next(call: Call, page: Page, count: int) -> str | None:
    if page.next is None:
        return None
    query = {"cursor": cursor_text(page.next), "count": count}
    path = f"/api/ver3/services/exporttemplate/{page.template.template_id}"
    return f"{call.base_url}{path}?{urlencode(query)}"
