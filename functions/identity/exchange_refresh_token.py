"""POST /v1/auth: an API key's refresh token for an access token and the next one (seed 002)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.identity.documents import ExchangedDocument
from headrace.identity.issuing import Asked
from headrace.kernel.errors import (
    BodyTooLarge,
    InvalidRequest,
    RefreshRefused,
    Unavailable,
    ValidationFailed,
)
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.instance import prepare
from headrace.runtime.oauth import sent_request
from headrace.runtime.settings import settings


class ExchangeRefreshToken(BaseModel):
    """The refresh token that was given out last."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        title="ExchangeRefreshToken",
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    refresh_token: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        alias="refreshToken", description="It is of no use afterwards", repr=False
    )


route = Route(
    "POST",
    "/v1/auth",
    "Exchange a refresh token",
    tag="identity",
    action=Action.REFRESH,
    body=ExchangeRefreshToken,
    request_headers={
        "DPoP": "A proof of a key of yours, to bind the tokens to it (RFC 9449)",
        "Idempotency-Key": "A random key of your own: with it, the exchange can be repeated",
    },
    replies={200: ExchangedDocument},
    errors=(InvalidRequest, RefreshRefused, BodyTooLarge, ValidationFailed, Unavailable),
)

prepare(identity.exchange_refresh_token)


@route
def handler(call: Call) -> Reply:
    """Answers the tokens."""
    sent: ExchangeRefreshToken = call.body
    asked = Asked(
        sent_request(call, route.path),
        call.source_ip,
        call.base_url,
        settings().audience,
        {"refresh_token": sent.refresh_token},
        call.idempotency_key,
    )
    given = identity.exchange_refresh_token()(asked)
    document = ExchangedDocument(
        status="ACTIVE",
        authToken=given.access_token,
        refreshToken=str(given.refresh_token),
        expires_in=given.expires_in,
    )
    return Reply(200, document, caller=given.caller)
