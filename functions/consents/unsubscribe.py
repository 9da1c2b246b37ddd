"""DELETE /services/{serviceId}/subscriptions/{account}: an account holder leaves a service."""

from urllib.parse import unquote

from headrace.audit.model import Action
from headrace.kernel.errors import Conflict, ConsentFixed, NotFound
from headrace.runtime import consents
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "DELETE",
    "/services/{serviceId}/subscriptions/{account}",
    "End an account's subscription to your service",
    scope=Scope.CONSENTS_MANAGE,
    tag="consents",
    action=Action.REVOKE,
    replies={204: None},
    errors=(NotFound, Conflict, ConsentFixed),
)

prepare(consents.unsubscribe)


@route
def handler(call: Call) -> Reply:
    """Ends it at once; one that has ended already stays so.

    The service's next increment carries the account's rows as deletions.
    """
    # No account's id holds a percent sign, so to decode what is decoded already changes nothing.
    account = unquote(call.path["account"])
    consents.unsubscribe()(call.known_caller, call.path["serviceId"], account)
    return Reply(204)
