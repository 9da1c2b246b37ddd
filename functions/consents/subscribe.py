"""POST /services/{serviceId}/subscriptions: an account holder subscribes to a service."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from headrace.audit.model import Action
from headrace.consents.views import ConsentView
from headrace.kernel.errors import (
    BodyTooLarge,
    Conflict,
    ConsentFixed,
    InvalidRequest,
    NotFound,
    ValidationFailed,
)
from headrace.kernel.view import camel
from headrace.runtime import consents, instance
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


def _text(value: Any) -> Any:
    # A number, or a text that is one, would be read as seconds since 1970.
    if not isinstance(value, str | datetime) or str(value).lstrip("+-").replace(".", "").isdigit():
        raise ValueError("must be a moment as RFC 3339 writes it, 2026-12-01T00:00:00Z for example")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a moment of the years 1 to 9999 in UTC") from None


Moment = Annotated[
    AwareDatetime, BeforeValidator(_text), AfterValidator(_in_utc), Field(strict=False)
]


class Subscription(BaseModel):
    """Who subscribes, from when and until when."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=camel, title="Subscription"
    )

    account: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="The account, by the id that the data has of it"
    )
    from_: Moment | None = Field(
        None, description="Shares from then on; from now, or as it does already, if left out"
    )
    to: Moment | None = Field(None, description="Shares until then; without an end if left out")


route = Route(
    "POST",
    "/services/{serviceId}/subscriptions",
    "Subscribe an account to your service",
    scope=Scope.CONSENTS_MANAGE,
    tag="consents",
    action=Action.GRANT,
    body=Subscription,
    replies={200: ConsentView, 201: ConsentView},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed, Conflict, ConsentFixed),
)

prepare(consents.subscribe)


@route
def handler(call: Call) -> Reply:
    """Answers 201 where a consent begins, and 200 where there is one, changed or not.

    To say the same again is harmless. The account is made known if it is not.
    """
    asked: Subscription = call.body
    consent, is_new = consents.subscribe()(
        call.known_caller, call.path["serviceId"], asked.account, asked.from_, asked.to
    )
    view = ConsentView.of(consent, instance.clock().now())
    return Reply(201 if is_new else 200, view, concerns={"account": asked.account})
