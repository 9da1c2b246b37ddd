"""POST /api/generic/properties: sets a property of this environment (seed 001)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from headrace.audit.model import Action
from headrace.datasets.environment_views import PropertyView
from headrace.datasets.environments import MAX_VALUE
from headrace.kernel.errors import BodyTooLarge, InvalidRequest, NotFound, ValidationFailed
from headrace.runtime import environments
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class SetProperty(BaseModel):
    """A property and its value."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, title="SetProperty")

    name: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="`ohi.application.uri.CONF`, `ohi.application.uri.PRD`, "
        "`ohi.environment.identifier`, `ohi.datasetoperations.notification.endpoint.export` or "
        "`ohi.datasetoperations.notification.endpoint.import`"
    )
    value: Annotated[str, Field(max_length=MAX_VALUE)] = Field(
        description="Its value, in place of what it was; empty takes it away. URLs of several "
        "source environments are separated by semicolons"
    )


route = Route(
    "POST",
    "/api/generic/properties",
    "Set a property of this environment",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    action=Action.CONFIGURE,
    body=SetProperty,
    replies={200: PropertyView, 201: PropertyView},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed),
)

prepare(environments.set_property)


@route
def handler(call: Call) -> Reply:
    """Answers the property as it is kept: 201 if there was none of the name, else 200."""
    asked: SetProperty = call.body
    kept, is_new = environments.set_property()(call.known_caller, asked.name, asked.value)
    return Reply(201 if is_new else 200, PropertyView.of(kept), concerns={"property": kept.name})
