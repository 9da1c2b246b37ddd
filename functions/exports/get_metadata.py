"""GET /data/v1/metadata: the tables and fields that a configuration grants."""

from headrace.exports.views import MetadataView
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.kernel.paging import Page
from headrace.runtime import wiring
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare

route = Route(
    "GET",
    "/data/v1/metadata",
    "Tables and fields that you may export",
    scope=Scope.METADATA_READ,
    aliases=("/data/v1/Metadata",),
    query=(
        QueryParameter(
            "configurationId",
            "The configuration; your default one if left out",
            minimum=1,
            maximum=128,
        ),
        QueryParameter("pageSize", "Tables on a page", int, 10, 1, 1000),
        QueryParameter("currentPage", "The page, from 1", int, 1, 1, 1_000_000),
    ),
    replies={200: MetadataView},
    errors=(NotFound, ValidationFailed),
)

prepare(wiring.describe_tables)


@route
def handler(call: Call) -> Reply:
    """Answers one page of the configuration."""
    version, configuration = wiring.describe_tables()(
        call.known_caller, call.query["configurationId"]
    )
    page = Page.of(configuration.tables, call.query["pageSize"], call.query["currentPage"])
    return Reply(200, MetadataView.of(version, configuration, page))
