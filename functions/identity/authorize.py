"""Who calls: API Gateway asks before every route that needs a caller."""

from headrace.runtime import identity
from headrace.runtime.authorizer import Authorizer

handler = Authorizer(identity.authorize)
