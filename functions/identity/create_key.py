"""POST /services/{serviceId}/keys: makes an API key of a service that the caller manages."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.identity.api_keys import KeyKind
from headrace.identity.key_views import CreatedKeyDocument, created_key
from headrace.kernel.errors import (
    BodyTooLarge,
    Conflict,
    InvalidRequest,
    NotFound,
    ValidationFailed,
)
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class CreateApiKey(BaseModel):
    """What kind of key to make."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, title="CreateApiKey")

    kind: Annotated[KeyKind, Field(strict=False)] = Field(
        description="How the service will prove itself"
    )
    name: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="What you will know it by in the list"
    )
    organisation: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="Of a data broker's key: the one organisation that it is for"
    )


route = Route(
    "POST",
    "/services/{serviceId}/keys",
    "Make an API key of a service that you manage",
    scope=Scope.SERVICES_MANAGE,
    tag="identity",
    action=Action.GRANT,
    body=CreateApiKey,
    replies={201: CreatedKeyDocument},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed, Conflict),
)

prepare(identity.create_key)


@route
def handler(call: Call) -> Reply:
    """Makes it, and shows it this once."""
    asked: CreateApiKey = call.body
    created = identity.create_key()(
        call.known_caller, call.path["serviceId"], asked.kind, asked.name, asked.organisation
    )
    return Reply(201, created_key(created), concerns={"keyId": created.key.key_id})
