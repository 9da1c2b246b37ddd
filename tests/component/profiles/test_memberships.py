"""Who is in which group: changed by profile and by group, within what the caller sees."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from headrace.adapters.dynamodb.profiles import DynamoProfiles
from headrace.adapters.dynamodb.table import Table
from headrace.profiles.model import Profile
from headrace.runtime import instance, profiles
from tests.component.identity.deployment import Response
from tests.component.keyed import keys_refused
from tests.component.profiles.hub import ACME, ADA, Hub


def change(
    hub: Hub, method: str, sync_id: str, *groups: str, who: str = "athletes"
) -> tuple[int, str]:
    body = {"TenantId": ACME, "SyncId": sync_id, "GroupIds": list(groups)}
    reply = hub.call(method, "/profiles/groups", who, body=body)
    return reply.status, reply.json["code"] if reply.body else ""


def listed(
    hub: Hub, group_id: str, who: str = "athletes", **query: str
) -> tuple[list[str], str | None]:
    asked = {"TenantId": ACME, "GroupId": group_id, **query}
    reply = hub.call("GET", "/groups/profiles", who, query=asked)
    assert reply.status == 200, reply.body
    return [one["syncId"] for one in reply.json["profiles"]], reply.json["next"]


def test_a_profile_is_put_into_groups_and_taken_out_again(hub: Hub) -> None:
    a, b, c = (hub.group(name) for name in "abc")
    hub.profile("p")
    assert change(hub, "POST", "p", a, b) == (204, "")
    assert change(hub, "POST", "p", b) == (204, "")
    assert hub.groups_of("p") == {a, b}
    assert change(hub, "PUT", "p", b, c) == (204, "")
    assert hub.groups_of("p") == {b, c}
    assert change(hub, "DELETE", "p", a, c) == (204, "")
    assert hub.groups_of("p") == {b}
    assert change(hub, "PUT", "p") == (204, "")
    assert hub.groups_of("p") == frozenset()


def test_profiles_and_groups_are_named_by_our_ids_or_by_theirs(hub: Hub) -> None:
    seniors = hub.group("Seniors", SyncId="s")
    profile_id = hub.profile("p")
    body = {"tenantId": ACME, "profileId": profile_id.upper(), "groupSyncIds": ["s"]}
    assert hub.call("POST", "/profiles/groups", body=body).status == 204
    assert hub.groups_of("p") == {seniors}


def test_what_is_not_there_is_not_found_and_nothing_changes(hub: Hub) -> None:
    group = hub.group("Seniors")
    hub.profile("p")
    assert change(hub, "POST", "p", group, "unknown") == (404, "not_found")
    assert change(hub, "POST", "unknown", group) == (404, "not_found")
    assert hub.groups_of("p") == frozenset()


def test_who_lists_a_group_says_which(hub: Hub) -> None:
    hub.profile("p", hub.group("Seniors"))
    for named in ({}, {"GroupId": ""}, {"GroupSyncId": ""}):
        reply = hub.call("GET", "/groups/profiles", query={"TenantId": ACME, **named})
        assert (reply.status, list(reply.json["errors"])) == (400, ["GroupId"]), reply.body
    asked = {"TenantId": ACME, "GroupSyncId": "never"}
    assert hub.call("GET", "/groups/profiles", query=asked).status == 404


def test_a_profile_is_named_in_one_way(hub: Hub) -> None:
    for named in ({}, {"ProfileId": "x", "SyncId": "y"}):
        reply = hub.call("POST", "/profiles/groups", body={"TenantId": ACME, **named})
        assert (reply.status, reply.json["code"]) == (400, "fields_invalid")


def test_a_profile_is_in_forty_groups_at_most(hub: Hub) -> None:
    groups = [hub.group(f"g{number}") for number in range(41)]
    hub.profile("p")
    assert change(hub, "POST", "p", *groups[:40]) == (204, "")
    assert change(hub, "POST", "p", groups[40]) == (400, "fields_invalid")
    assert hub.groups_of("p") == set(groups[:40])


def test_the_profiles_of_a_group_are_replaced_and_removed(hub: Hub) -> None:
    seniors, others = hub.group("Seniors"), hub.group("Others")
    a, b = hub.profile("a", seniors), hub.profile("b", seniors, others)
    c = hub.profile("c")
    body = {"TenantId": ACME, "GroupId": seniors, "ProfileIds": [b], "SyncIds": ["c"]}
    reply = hub.call("PUT", "/groups/profiles", body=body)
    assert (reply.status, reply.json) == (200, {"groupId": seniors, "added": 1, "removed": 1})
    assert hub.members(seniors) == {b, c}
    reply = hub.call("DELETE", "/groups/profiles", body=body | {"ProfileIds": [a, b]})
    assert reply.json == {"groupId": seniors, "added": 0, "removed": 2}
    assert hub.members(seniors) == set()
    assert hub.groups_of("b") == {others}


def test_a_group_is_read_page_by_page(hub: Hub) -> None:
    seniors = hub.group("Seniors", SyncId="s")
    for number in range(5):
        hub.profile(f"p{number}", seniors)
    first, cursor = listed(hub, seniors, PageSize="3")
    assert cursor is not None
    rest, end = listed(hub, seniors, PageSize="3", Cursor=cursor)
    assert (sorted(first + rest), end) == ([f"p{number}" for number in range(5)], None)
    reply = hub.call("GET", "/groups/profiles", query={"tenantId": ACME, "groupSyncId": "s"})
    assert len(reply.json["profiles"]) == 5


def test_the_last_page_of_a_group_reads_what_is_on_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    seniors = hub.group("Seniors")
    for number in range(5):
        hub.profile(f"p{number}", seniors)
    _, cursor = listed(hub, seniors, PageSize="4")
    read: list[tuple[str, str]] = []
    get_many = Table.get_many

    def counted(self: Table, keys: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        read.extend(wanted := list(keys))
        return get_many(self, wanted)

    monkeypatch.setattr(Table, "get_many", counted)
    assert len(listed(hub, seniors, PageSize="4", Cursor=str(cursor))[0]) == 1
    assert len(read) == 1
    for beyond in ("~", "\x7f", "é", "\U0001f600" * 64):
        assert listed(hub, seniors, Cursor=beyond) == ([], None)


# --- who sees some groups only --------------------------------------------------------------------


@pytest.fixture
def juniors(hub: Hub) -> str:
    return hub.group("Juniors")


def test_who_sees_some_groups_finds_no_profile_that_is_in_none_of_them(
    hub: Hub, juniors: str
) -> None:
    seniors = hub.group("Seniors")
    hub.profile("senior", seniors)
    hub.profile("nowhere")
    ada = hub.person("ada@example.com", juniors)
    for who in ("juniors", ada):
        for sync_id in ("senior", "nowhere", "never-was"):
            assert change(hub, "POST", sync_id, juniors, who=who) == (404, "not_found")
    assert hub.members(juniors) == set()


def test_who_sees_some_groups_does_not_know_others(hub: Hub, juniors: str) -> None:
    seniors = hub.group("Seniors")
    hub.profile("p", juniors)
    foreign = hub.call(
        "GET", "/groups/profiles", "juniors", query={"TenantId": ACME, "GroupId": seniors}
    )
    unknown = hub.call(
        "GET", "/groups/profiles", "juniors", query={"TenantId": ACME, "GroupId": "never-was"}
    )
    assert (foreign.status, foreign.body) == (404, unknown.body)
    assert change(hub, "POST", "p", seniors, who="juniors") == (404, "not_found")
    assert listed(hub, juniors, "juniors") == (["p"], None)


def test_who_sees_some_groups_overwrites_no_profile_and_learns_of_none(
    hub: Hub, juniors: str
) -> None:
    senior = hub.profile("senior")
    before = profiles.profiles().find("acme", senior)
    ada = hub.person("ada@example.com", juniors)
    for who in ("juniors", ada):
        for path in ("/profiles/import", "/profiles/import/batch"):
            answers = {
                hub.call("POST", path, who, body={**ADA, "SyncId": one, "GivenName": "Eve"}).body
                for one in ("senior", "never-was")
            }
            assert len(answers) == 1
            assert '"code":"some_groups_only"' in answers.pop()
    assert profiles.profiles().find("acme", senior) == before


def test_groups_that_the_caller_does_not_know_stay_as_they_are(hub: Hub, juniors: str) -> None:
    seniors = hub.group("Seniors")
    hub.profile("p", juniors, seniors)
    assert change(hub, "PUT", "p", who="juniors") == (204, "")
    assert hub.groups_of("p") == {seniors}
    # It is seen no more.
    assert change(hub, "PUT", "p", juniors, who="juniors") == (404, "not_found")


def test_a_role_counts_from_the_next_call_on(hub: Hub, juniors: str) -> None:
    hub.profile("nowhere")
    ada = hub.person("ada@example.com", juniors)
    assert change(hub, "POST", "nowhere", juniors, who=ada)[0] == 404
    hub.sees(ada)
    assert change(hub, "POST", "nowhere", juniors, who=ada)[0] == 204
    hub.sees(ada, "a group that is not there")
    assert change(hub, "POST", "nowhere", juniors, who=ada)[0] == 404


def test_who_sees_some_groups_does_not_learn_who_else_is_in_others(hub: Hub) -> None:
    juniors, injured = hub.group("Juniors"), hub.group("Injured")
    profile_id = hub.profile("p", juniors, injured)
    ada = hub.person("ada@example.com", juniors)
    for who in ("juniors", ada):
        for named in ({}, {"SyncId": "p"}, {"ProfileIds": profile_id}):
            asked = {"TenantId": ACME, **named}
            assert hub.call("GET", "/profiles", who, query=asked).status == 200
            for group_id, status in ((juniors, 200), (injured, 204), ("never-was", 204)):
                found = hub.call("GET", "/profiles", who, query={**asked, "GroupId": group_id})
                assert found.status == status, found.body
    everything = {"TenantId": ACME, "GroupId": injured}
    assert hub.call("GET", "/profiles", query=everything).status == 200


def test_what_can_be_no_id_is_the_id_of_no_profile(hub: Hub) -> None:
    hub.profile("p")
    with keys_refused(instance.client("dynamodb")):
        for profile_id in ("é", "x" * 1025, "x" * 9000):
            path, parameters = "/profiles/{profileId}", {"profileId": profile_id}
            reply = hub.call("GET", path, query={"TenantId": ACME}, parameters=parameters)
            assert (reply.status, reply.json["code"]) == (404, "not_found")
        for ids in (" ", "%00", " , x"):
            asked = {"TenantId": ACME, "ProfileIds": ids}
            assert hub.call("GET", "/profiles", query=asked).status == 204


# --- two at once ----------------------------------------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Somebody else does this right before the next profile is changed."""
    change = DynamoProfiles.change

    def late(self: DynamoProfiles, *asked: Any) -> Profile | None:
        monkeypatch.setattr(DynamoProfiles, "change", change)
        what()
        return self.change(*asked)

    monkeypatch.setattr(DynamoProfiles, "change", late)


def delete_group(hub: Hub, group_id: str) -> Response:
    query, parameters = {"TenantId": ACME}, {"groupId": group_id}
    return hub.call("DELETE", "/groups/{groupId}", query=query, parameters=parameters)


def test_who_comes_into_a_group_that_is_deleted_at_that_moment_is_in_none(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.profile("p")
    body: dict[str, object]
    for method, path in (
        ("POST", "/profiles/groups"),
        ("PUT", "/profiles/groups"),
        ("PUT", "/groups/profiles"),
    ):
        other, group = hub.group("Others"), hub.group("Men")
        if path == "/profiles/groups":
            body = {"TenantId": ACME, "SyncId": "p", "GroupIds": [group, other]}
        else:
            body = {"TenantId": ACME, "GroupId": group, "SyncIds": ["p"]}
        meanwhile(monkeypatch, partial(delete_group, hub, group))
        reply = hub.call(method, path, body=body)
        assert (reply.status, reply.json["code"]) == (404, "not_found"), (method, path)
        assert hub.groups_of("p") <= {other}
        assert hub.members(group) == set()


def test_a_group_is_emptied_also_of_who_is_gone_meanwhile(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace_by_nobody(group: str) -> Response:
        return hub.call("PUT", "/groups/profiles", body={"TenantId": ACME, "GroupId": group})

    for empty in (partial(delete_group, hub), replace_by_nobody):
        group = hub.group("Men")
        first, second = sorted((hub.profile("p", group), hub.profile("q", group)))
        meanwhile(monkeypatch, partial(profiles.profiles().delete, "acme", first))
        assert empty(group).status in (200, 204)
        assert hub.members(group) == set()
        assert profiles.profiles().find("acme", second) is not None
