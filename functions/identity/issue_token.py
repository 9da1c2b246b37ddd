"""POST /connect/token: an access token for a client's credentials (RFC 6749 section 4.4)."""

from headrace.audit.model import Action
from headrace.identity.documents import TokenDocument, TokenErrorDocument, TokenForm
from headrace.identity.issuing import Asked
from headrace.identity.mutual_tls import certificate_of
from headrace.identity.oauth import SentRequest, TokenRefused
from headrace.kernel.errors import Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.settings import settings
from headrace.runtime.wiring import prepare

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
    reply_headers={401: {"WWW-Authenticate": "`Basic`, if that is how the client tried"}},
    errors=(Unavailable,),
)

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


prepare(identity.issue_token)


@route
def handler(call: Call) -> Reply:
    """Answers a token, or an error as RFC 6749 section 5.2 writes it."""
    sent = SentRequest(
        call.headers.get("content-type", ""),
        call.headers.get("authorization"),
        call.raw_body,
        call.every("dpop"),
        f"{call.base_url}{route.path}",
        certificate_of(call.context),
        issuer=call.base_url,
    )
    source_ip = str(call.context.get("identity", {}).get("sourceIp", ""))
    asked = Asked(
        sent, source_ip, call.base_url, settings().audience, idempotency_key=call.idempotency_key
    )
    answer = identity.issue_token()(asked)
    if not isinstance(answer, TokenRefused):
        action = None if answer.refresh_token is None else Action.REFRESH
        return Reply(200, answer.document(), NO_STORE, caller=answer.caller, action=action)
    challenge = {"WWW-Authenticate": 'Basic realm="headrace"'} if answer.by_header else {}
    status = 401 if answer.error == "invalid_client" else 400
    return Reply(status, answer.document(), NO_STORE | challenge)
