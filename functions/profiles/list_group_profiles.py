"""GET /groups/profiles: who is in a group."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from headrace.kernel.errors import (
    InvalidRequest,
    NotFound,
    TenantNotAllowed,
    ValidationFailed,
    WrongRegion,
)
from headrace.profiles.group_views import GroupMembers, MemberView
from headrace.profiles.grouping import Ref
from headrace.profiles.model import MOST_CHARACTERS
from headrace.runtime import profiles
from headrace.runtime.api import Call, QueryParameter, Reply, Route, Scope
from headrace.runtime.instance import prepare
from profiles.searches import tenant_of

route = Route(
    "GET",
    "/groups/profiles",
    "The profiles in a group",
    scope=Scope.PROFILES_READ,
    tag="profiles",
    query=(
        QueryParameter("TenantId", "The tenant, by its organization id", maximum=64, needed=True),
        QueryParameter("GroupId", "The group, by our id", maximum=64),
        QueryParameter("GroupSyncId", "The group, by yours", maximum=MOST_CHARACTERS),
        QueryParameter("PageSize", "Profiles on a page", int, 1000, 1, 10_000),
        QueryParameter("Cursor", "`next` of the page before, of the same group", maximum=64),
    ),
    names_in_any_case=True,
    replies={200: GroupMembers},
    errors=(InvalidRequest, ValidationFailed, TenantNotAllowed, WrongRegion, NotFound),
    told_by_field=True,
)

prepare(profiles.memberships)


@route
def handler(call: Call) -> Reply:
    """Answers a page of them, by their ids; GET /profiles tells what is known of them."""
    asked = call.query
    memberships = profiles.memberships()
    scene = memberships.scene(call.known_caller, tenant_of(call.query))
    group = scene.group(_group_of(asked))
    listed = memberships.of_group(scene, group, asked["Cursor"] or None)
    page = [MemberView.of(one) for one in islice(listed, asked["PageSize"] + 1)]
    shown = page[: asked["PageSize"]]
    following = shown[-1].profile_id if len(page) > len(shown) else None
    return Reply(200, GroupMembers(group.group_id, tuple(shown), following))


def _group_of(asked: Mapping[str, Any]) -> Ref:
    group_id, sync_id = asked["GroupId"] or None, asked["GroupSyncId"] or None
    if group_id is None and sync_id is None:
        raise ValidationFailed(
            "A query parameter is wrong.",
            [{"field": "GroupId", "message": "is needed, or GroupSyncId"}],
        )
    return Ref(group_id, sync_id)
