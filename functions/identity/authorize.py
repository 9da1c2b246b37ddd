"""Who calls: API Gateway asks before every route that needs a caller."""

from headrace.runtime import identity
from headrace.runtime.authorizer import Authorizer
from headrace.runtime.instance import prepare

prepare(identity.clients)
prepare(identity.signing_keys)

handler = Authorizer(identity.authorize)
