"""Any other method or path: 405 with the methods that the path has, or 404.

API Gateway comes here with every pair of method and path that no function has: a path resource
without the method asked for does not stand in the way of ``{proxy+}``.
"""

from headrace.kernel.errors import MethodNotAllowed, NotFound
from headrace.runtime.api import Call, Reply, Route
from reference.document import methods_of

route = Route("ANY", "/{proxy+}", "What the API does not have", tag="reference", aliases=("/",))


@route
def handler(call: Call) -> Reply:
    """Refuses; OPTIONS asks for no more than the methods, and gets them."""
    asked = str(call.context.get("httpMethod", ""))
    methods = methods_of(call.path.get("proxy", ""))
    if not methods or asked in methods:
        raise NotFound("There is no such path; see /docs for those there are.")
    allowed = ", ".join((*methods, "OPTIONS"))
    if asked == "OPTIONS":
        return Reply(204, headers={"Allow": allowed})
    raise MethodNotAllowed(f"This path answers {allowed}; see /docs.", allow=allowed)
