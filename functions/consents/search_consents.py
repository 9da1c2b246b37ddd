"""GET /consents: who shares with whom."""

from collections.abc import Mapping
from typing import Any

from headrace.consents.model import State
from headrace.consents.usecases import Search
from headrace.consents.views import ConsentPage, ConsentView
from headrace.kernel.errors import InvalidRequest, NotFound, ValidationFailed
from headrace.runtime import consents, instance
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/consents",
    "Search consents",
    scope=Scope.CONSENTS_MANAGE,
    tag="consents",
    query=(
        QueryParameter(
            "service", "Those with this service, or members of this broker", maximum=128
        ),
        QueryParameter("organisation", "Those with this organisation", maximum=64),
        QueryParameter("account", "Those of this account", maximum=128),
        QueryParameter("state", "Those in this state now", pattern="|".join(State)),
        QueryParameter("pageSize", "Consents on a page", int, 50, 1, 200),
        QueryParameter("cursor", "`next` of the page before, of the same search", maximum=1024),
    ),
    replies={200: ConsentPage},
    errors=(InvalidRequest, ValidationFailed, NotFound),
)

prepare(consents.search_consents)


@route
def handler(call: Call) -> Reply:
    """Answers one page. A page may hold fewer than asked for and others follow all the same.

    A service finds what is shared with itself, and a broker what is shared with the organisation
    that it calls for; a person with the permission names a service, an organisation or an account.
    """
    asked = call.query
    search = Search(asked["service"], asked["organisation"], asked["account"], _state(asked))
    found, following = consents.search_consents()(
        call.known_caller, search, asked["pageSize"], asked["cursor"]
    )
    now = instance.clock().now()
    return Reply(200, ConsentPage(tuple(ConsentView.of(one, now) for one in found), following))


def _state(asked: Mapping[str, Any]) -> State | None:
    named = asked["state"]
    if named is not None and named not in list(State):
        raise ValidationFailed(
            "A query parameter is wrong.",
            [{"field": "state", "message": f"must be one of {', '.join(State)}"}],
        )
    return State(named) if named else None
