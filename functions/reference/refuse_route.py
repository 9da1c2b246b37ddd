"""Any other method or path: 405 with the methods that the path has, or 404."""

from headrace.kernel.errors import MethodNotAllowed, NotFound
from headrace.runtime.api import Call, Reply, Route
from reference.document import methods_of

route = Route("ANY", "/{proxy+}", "What the API does not have", tag="reference")


@route
def handler(call: Call) -> Reply:
    """Refuses."""
    methods = methods_of(str(call.context.get("path", "")))
    if not methods:
        raise NotFound("There is no such path; see /docs for those there are.")
    raise MethodNotAllowed(
        f"This path answers {', '.join(methods)}; see /docs.", allow=", ".join(methods)
    )
