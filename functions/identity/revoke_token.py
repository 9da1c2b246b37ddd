"""POST /connect/revoke: the end of a token of the client's (RFC 7009)."""

from headrace.identity.documents import TokenErrorDocument, TokenQuestionForm
from headrace.kernel.errors import Conflict, Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.oauth import answered, sent_request

route = Route(
    "POST",
    "/connect/revoke",
    "End a token of yours",
    tag="identity",
    form=TokenQuestionForm,
    replies={200: None, 400: TokenErrorDocument, 401: TokenErrorDocument},
    reply_headers={401: {"WWW-Authenticate": "`Basic`, if that is how the client tried"}},
    errors=(Conflict, Unavailable),
)


@route
def handler(call: Call) -> Reply:
    """Answers nothing: after it there is no such token, whoever's it was."""
    use_case = identity.revoke_token(call.context)
    return answered(use_case(sent_request(call, route.path), call.source_ip))
