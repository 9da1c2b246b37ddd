"""GET /.well-known/jwks.json: the public keys of our access tokens."""

from headrace.identity.documents import JwksDocument
from headrace.identity.usecases import key_document
from headrace.kernel.errors import Unavailable
from headrace.runtime import identity
from headrace.runtime.api import Call, Reply, Route

route = Route(
    "GET",
    "/.well-known/jwks.json",
    "The public keys of access tokens",
    tag="identity",
    replies={200: JwksDocument},
    errors=(Unavailable,),
)


@route
def handler(call: Call) -> Reply:
    """Answers all keys that are accepted, the one that signs first."""
    keys = key_document(identity.published_keys())
    return Reply(200, keys, {"Cache-Control": "public, max-age=300"})
