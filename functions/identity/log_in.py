"""POST /api/ver3/auth/login: an access token for a person's user name and password (seed 003)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.identity.documents import LoginDocument
from headrace.identity.logging_in import Place
from headrace.kernel.errors import (
    BodyTooLarge,
    InvalidProof,
    InvalidRequest,
    LoginFailed,
    NonceNeeded,
    NotAnIntegrator,
    TooManyTries,
    Unavailable,
    ValidationFailed,
)
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route
from headrace.runtime.instance import prepare
from headrace.runtime.settings import settings


class LoginRequest(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, title="LoginRequest", hide_input_in_errors=True
    )

    username: Annotated[str, Field(min_length=1, max_length=254)] = Field(
        description="Your e-mail address, as your operator entered it"
    )
    password: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Your password", repr=False
    )


route = Route(
    "POST",
    "/api/ver3/auth/login",
    "Log in with a user name and a password",
    tag="identity",
    action=Action.LOGIN,
    body=LoginRequest,
    request_headers={"DPoP": "A proof of a key of yours, to bind the tokens to it (RFC 9449)"},
    replies={200: LoginDocument},
    errors=(
        InvalidRequest,
        BodyTooLarge,
        ValidationFailed,
        LoginFailed,
        InvalidProof,
        NonceNeeded,
        NotAnIntegrator,
        TooManyTries,
        Unavailable,
    ),
)

prepare(identity.log_in)


@route
def handler(call: Call) -> Reply:
    """Answers a token for the person.

    It does what the person's role allows, until the password is changed, or the user disabled or
    given another role.
    """
    sent: LoginRequest = call.body
    place = Place(
        issuer=call.base_url,
        audience=settings().audience,
        source_ip=call.source_ip,
        url=f"{call.base_url}{route.path}",
        proofs=call.every("dpop"),
    )
    given = identity.log_in()(sent.username, sent.password, place)
    return Reply(200, given.document(), caller=given.caller)
