"""POST /connect/token: an access token for a client's credentials (RFC 6749 section 4.4)."""

from dataclasses import replace

from headrace.audit.model import Action
from headrace.identity.documents import TokenDocument, TokenErrorDocument, TokenForm
from headrace.identity.issuing import Asked
from headrace.identity.oauth import TokenRefused
from headrace.kernel.errors import InvalidRequest, Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.instance import prepare
from headrace.runtime.oauth import answered, sent_request
from headrace.runtime.settings import settings

route = Route(
    "POST",
    "/connect/token",
    "Get an access token",
    tag="identity",
    action=Action.TOKEN,
    form=TokenForm,
    request_headers={
        "DPoP": "A proof of a key of yours, to bind the token to it (RFC 9449)",
        "Idempotency-Key": "A random key of your own: with it, an exchange of a refresh token can "
        "be repeated",
    },
    replies={200: TokenDocument, 400: TokenErrorDocument, 401: TokenErrorDocument},
    reply_headers={
        400: {"DPoP-Nonce": "With `use_dpop_nonce`: the nonce that your next proof needs"},
        401: {"WWW-Authenticate": "`Basic`, if that is how the client tried"},
    },
    errors=(Unavailable,),
)

prepare(identity.issue_token)


@route
def handler(call: Call) -> Reply:
    """Answers a token, or an error as RFC 6749 section 5.2 writes it."""
    try:
        idempotency_key = call.idempotency_key
    except InvalidRequest as error:
        return answered(TokenRefused("invalid_request", error.detail))
    asked = Asked(
        sent_request(call, route.path),
        call.source_ip,
        call.base_url,
        settings().audience,
        idempotency_key=idempotency_key,
    )
    answer = identity.issue_token()(asked)
    if isinstance(answer, TokenRefused):
        return answered(answer)
    action = None if answer.refresh_token is None else Action.REFRESH
    return replace(answered(answer.document()), caller=answer.caller, action=action)
