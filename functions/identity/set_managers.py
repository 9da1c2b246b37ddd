"""PUT /services/{serviceId}/managers: hands the management of a service over."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.identity.key_views import ManagersView
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

Name = Annotated[str, Field(min_length=1, max_length=128)]


class SetManagers(BaseModel):
    """Who manages the service from now on; nobody else does."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, title="SetManagers")

    users: Annotated[list[Name], Field(max_length=50)] = Field(
        [], description="Ids of users of the service's tenant"
    )
    teams: Annotated[list[Name], Field(max_length=20)] = Field(
        [], description="Names of teams of the service's tenant"
    )


route = Route(
    "PUT",
    "/services/{serviceId}/managers",
    "Hand the management of a service over",
    scope=Scope.SERVICES_MANAGE,
    tag="identity",
    action=Action.GRANT,
    body=SetManagers,
    replies={200: ManagersView},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed, Conflict),
)

prepare(identity.hand_over)


@route
def handler(call: Call) -> Reply:
    """Names its managers anew: perhaps without the caller, but never nobody."""
    asked: SetManagers = call.body
    management = identity.hand_over()(
        call.known_caller, call.path["serviceId"], frozenset(asked.users), frozenset(asked.teams)
    )
    return Reply(200, ManagersView.of(management))
