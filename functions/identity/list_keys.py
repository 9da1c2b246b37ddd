"""GET /services/{serviceId}/keys: the API keys of a service that the caller manages."""

from headrace.identity.key_views import KeyList
from headrace.kernel.errors import NotFound
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/services/{serviceId}/keys",
    "The API keys of a service that you manage",
    scope=Scope.SERVICES_MANAGE,
    tag="identity",
    replies={200: KeyList},
    errors=(NotFound,),
)

prepare(identity.manage_keys)


@route
def handler(call: Call) -> Reply:
    """Answers all of them; none can be shown again."""
    keys, now = identity.manage_keys().listed(call.known_caller, call.path["serviceId"])
    return Reply(200, KeyList.of(keys, now))
