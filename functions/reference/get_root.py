"""GET /: where to go from here."""

from dataclasses import dataclass

from headrace.kernel.view import View
from headrace.runtime.api import Call, Reply, Route


@dataclass(frozen=True)
class Directory(View):
    """Where to begin."""

    docs: str
    """The description as a page."""
    openapi: str
    """The description as OpenAPI 3.1."""
    token: str
    """Where a client gets its access token."""
    metadata: str
    """What the client may export."""
    operations: str
    """What it has exported."""

    @classmethod
    def at(cls, base_url: str) -> "Directory":
        """The directory of the API at this URL."""
        return cls(
            docs=f"{base_url}/docs",
            openapi=f"{base_url}/openapi.json",
            token=f"{base_url}/connect/token",
            metadata=f"{base_url}/data/v1/metadata",
            operations=f"{base_url}/data/v1/operations",
        )


route = Route("GET", "/", "Where to begin", tag="reference", replies={200: Directory})


@route
def handler(call: Call) -> Reply:
    """Answers the URLs to begin with."""
    return Reply(200, Directory.at(call.base_url), {"Cache-Control": "public, max-age=300"})
