"""POST /connect/introspect: how a token of the client's stands (RFC 7662)."""

from headrace.identity.documents import IntrospectionDocument, TokenErrorDocument, TokenQuestionForm
from headrace.kernel.errors import Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.oauth import answered, sent_request

route = Route(
    "POST",
    "/connect/introspect",
    "See how a token of yours stands",
    tag="identity",
    form=TokenQuestionForm,
    replies={200: IntrospectionDocument, 400: TokenErrorDocument, 401: TokenErrorDocument},
    reply_headers={401: {"WWW-Authenticate": "`Basic`, if that is how the client tried"}},
    errors=(Unavailable,),
)


@route
def handler(call: Call) -> Reply:
    """Answers how it stands, or that it is not active: for one that is not yours too."""
    use_case = identity.introspect_token(call.context)
    return answered(use_case(sent_request(call, route.path), call.source_ip))
