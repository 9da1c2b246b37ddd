"""POST /generic/audittraildetails/search: what processes did, to which records."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from headrace.datasets.audit_trail import DEEPEST, MOST, Search
from headrace.datasets.audit_views import AuditTrailPage
from headrace.kernel.errors import (
    BodyTooLarge,
    FileUnavailable,
    InvalidRequest,
    NotFound,
    ValidationFailed,
)
from headrace.kernel.view import camel
from headrace.runtime import imports
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare


class SearchedResource(BaseModel):
    """What is looked for, and which part of it is wanted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=camel)

    q: Annotated[str, Field(max_length=1000)] = Field(
        "",
        description="`process.eq('ID')` for the records of a process, perhaps narrowed by "
        "`.and.changeType.eq('added')` (or `changed`, `deleted`), `.and.table.eq('…')` and "
        "`.and.uuid.eq('…')`; empty for the processes themselves",
    )
    offset: Annotated[int, Field(ge=0, le=DEEPEST)] = Field(0, description="The first that counts")
    limit: Annotated[int, Field(ge=1, le=MOST)] = Field(50, description="How many, at most")
    total_results: bool = Field(False, description="Taken, and of no consequence")


class Representation(BaseModel):
    """How much is told of each."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    fields: Literal["all"] = Field("all", description="Everything, always")


class SearchAuditTrail(BaseModel):
    """A search, in the form of the generic API."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=camel, title="SearchAuditTrail"
    )

    resource: SearchedResource = Field(description="What is looked for")
    resource_representation: Representation | None = Field(None, description="How much is told")


route = Route(
    "POST",
    "/generic/audittraildetails/search",
    "Search the audit log of processes",
    scope=Scope.DATA_EXCHANGE,
    tag="datasets",
    body=SearchAuditTrail,
    replies={200: AuditTrailPage},
    errors=(InvalidRequest, BodyTooLarge, NotFound, ValidationFailed, FileUnavailable),
)

prepare(imports.search_audit_trail)


@route
def handler(call: Call) -> Reply:
    """Answers who started what, when, with which outcome, and what it did to which records."""
    asked: SearchedResource = call.body.resource
    search = Search.read(asked.q)
    found = imports.search_audit_trail()(call.known_caller, search, asked.offset, asked.limit)
    return Reply(200, AuditTrailPage.of(found, asked.offset, asked.limit))
