"""The endpoints of OAuth over HTTP: their requests, and their replies as RFC 6749 writes them."""

from collections.abc import Mapping
from typing import Any

from headrace.identity.mutual_tls import certificate_of
from headrace.identity.oauth import SentRequest, TokenRefused
from headrace.runtime.api import Call, Reply

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def sent_request(call: Call, path: str) -> SentRequest:
    """The request, not read yet."""
    return SentRequest(
        call.headers.get("content-type", ""),
        call.headers.get("authorization"),
        call.raw_body,
        call.every("dpop"),
        f"{call.base_url}{path}",
        certificate_of(call.context),
        issuer=call.base_url,
    )


def answered(answer: Mapping[str, Any] | TokenRefused | None) -> Reply:
    """The reply: a document, nothing, or an error (RFC 6749 section 5.2)."""
    if not isinstance(answer, TokenRefused):
        return Reply(200, answer, NO_STORE)
    challenge = {"WWW-Authenticate": 'Basic realm="headrace"'} if answer.by_header else {}
    nonce = {} if answer.nonce is None else {"DPoP-Nonce": answer.nonce}
    status = 401 if answer.error == "invalid_client" else 400
    return Reply(status, answer.document(), NO_STORE | challenge | nonce)
