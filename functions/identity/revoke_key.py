"""DELETE /services/{serviceId}/keys/{keyId}: ends an API key with the next call."""

from headrace.audit.model import Action
from headrace.kernel.errors import Conflict, NotFound
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "DELETE",
    "/services/{serviceId}/keys/{keyId}",
    "Revoke an API key of a service that you manage",
    scope=Scope.SERVICES_MANAGE,
    tag="identity",
    action=Action.REVOKE,
    replies={204: None},
    errors=(NotFound, Conflict),
)

prepare(identity.manage_keys)


@route
def handler(call: Call) -> Reply:
    """Ends it, its access tokens and its certificate; one that has ended stays so."""
    identity.manage_keys().revoke(call.known_caller, call.path["serviceId"], call.path["keyId"])
    return Reply(204)
