"""PUT /api/credentials/credential/DataExchangeClient: what sources are called with (seed 001)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.datasets.environments import CREDENTIAL, Credential
from headrace.kernel.errors import BodyTooLarge, InvalidRequest, NotFound, ValidationFailed
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class SetCredential(BaseModel):
    """A user of the source environments, the same in all of them; or a client there."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, title="SetCredential", hide_input_in_errors=True
    )

    username: Annotated[str, Field(min_length=1, max_length=254, pattern="^[^:]+$")] = Field(
        description="The user's name, or the client's id"
    )
    password: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="The password, or the client's secret", repr=False
    )


route = Route(
    "PUT",
    f"/api/credentials/credential/{CREDENTIAL}",
    "Set what the source environments are called with",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.CONFIGURE,
    body=SetCredential,
    replies={204: None},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed),
)

prepare(environments.set_credential)


@route
def handler(call: Call) -> Reply:
    """Keeps it, sealed, in place of what there was. It is shown to nobody."""
    asked: SetCredential = call.body
    environments.set_credential()(call.known_caller, Credential(asked.username, asked.password))
    return Reply(204, concerns={"credential": CREDENTIAL})
