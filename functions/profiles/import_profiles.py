"""POST /profiles/import/batch: another system pushes many profiles at once."""

import json

from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    SomeGroupsOnly,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)
from headrace.kernel.view import as_json
from headrace.profiles.tenancy import acting_for
from headrace.profiles.views import ImportedLine
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.batches import MOST_LINES, lines_of
from profiles.bodies import ImportedProfile

route = Route(
    "POST",
    "/profiles/import/batch",
    "Import many profiles",
    scope=Scope.PROFILES_WRITE,
    tag="profiles",
    action=Action.IMPORT,
    lines=ImportedProfile,
    replies={200: ImportedLine},
    content_types={200: "application/x-ndjson"},
    errors=(BodyTooLarge, TenantNotAllowed, WrongRegion, SomeGroupsOnly, ValidationFailed),
    most_bytes=4 * 1024 * 1024,
    too_large=f"A batch may have 4 MiB and {MOST_LINES:,} profiles at most; send several.",
    told_by_field=True,
)

prepare(profiles.import_profiles)


@route
def handler(call: Call) -> Reply:
    """Takes one profile on each line (NDJSON), up to 10,000 of one tenant, and answers what came
    of each, in their order.

    Each line is taken or refused by itself, as `POST /profiles/import` would. Of a batch that is
    too long for one call, the lines behind are `unfinished`: push those again.
    """
    caller = call.known_caller
    tenant, done = profiles.import_profiles()(caller, lines_of(call.raw_body))
    told = (json.dumps(as_json(ImportedLine.of(one)), ensure_ascii=False) for one in done)
    body = "".join(f"{line}\n" for line in told)
    return Reply(200, body, content_type="application/x-ndjson", caller=acting_for(caller, tenant))
