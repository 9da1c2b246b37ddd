"""GET /.well-known/openid-configuration: where the token endpoint and the keys are.

The same at the path of RFC 8414, for clients that know nothing of OpenID."""

from headrace.identity.documents import IssuerDocument
from headrace.identity.usecases import issuer_document
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.settings import settings

route = Route(
    "GET",
    "/.well-known/openid-configuration",
    "The metadata of the token issuer",
    tag="identity",
    others={"/.well-known/oauth-authorization-server": "get_authorization_server"},
    replies={200: IssuerDocument},
)


@route
def handler(call: Call) -> Reply:
    """Answers what RFC 8414 asks for and is true here."""
    scopes = tuple(scope.full for scope in Scope)
    document = issuer_document(call.base_url, scopes, settings().mutual_tls_url)
    return Reply(200, document, {"Cache-Control": "public, max-age=300"})
