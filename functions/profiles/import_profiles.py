"""POST /profiles/import/batch: another system pushes many profiles at once."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from headrace.audit.model import Action
from headrace.kernel.errors import (
    BodyTooLarge,
    SomeGroupsOnly,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)
from headrace.kernel.view import as_json
from headrace.profiles.importing import Done
from headrace.profiles.tenancy import acting_for
from headrace.profiles.views import ImportedLine
from headrace.runtime import profiles
from headrace.runtime.api import Call, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.batches import MOST_LINES, lines_of
from profiles.bodies import ImportedProfile

MOST_BYTES_OF_ERRORS = 2_000_000
"""Lambda answers 6 MiB at most, and all else that is told of 10,000 lines takes half of it."""
NO_ROOM = "is refused, and there is no room to say why: push it by itself"

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
    body = "".join(f"{line}\n" for line in _told(done))
    return Reply(200, body, content_type="application/x-ndjson", caller=acting_for(caller, tenant))


def _told(done: Iterable[Done]) -> Iterator[str]:
    """The lines of the answer. What is wrong is told as long as the answer has room for it."""
    room = MOST_BYTES_OF_ERRORS
    for one in done:
        view = ImportedLine.of(one)
        if view.errors:
            size = len(_json(view.errors).encode())
            if size > room:
                view = replace(view, errors={"Line": [NO_ROOM]})
            else:
                room -= size
        yield _json(as_json(view))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
