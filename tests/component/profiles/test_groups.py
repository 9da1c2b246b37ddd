"""Groups and their categories: pushed by those who see all, and seen by those who may."""

import pytest

from headrace.kernel.errors import Conflict, Fenced
from headrace.profiles.model import Group, group_named
from tests.component.profiles.hub import ACME, BETA, Hub


def groups(hub: Hub, who: str = "athletes") -> list[str]:
    reply = hub.call("GET", "/groups", who, query={"tenantid": ACME})
    assert reply.status == 200, reply.body
    return [one["name"] for one in reply.json["groups"]]


def put(hub: Hub, who: str = "athletes", **body: object) -> tuple[int, dict[str, object]]:
    reply = hub.call("POST", "/groups/import", who, body={"TenantId": ACME, **body})
    return reply.status, reply.json


def test_a_group_is_imported_and_found_by_its_tenant_only(hub: Hub) -> None:
    status, group = put(hub, Name="Seniors", SyncId="s1")
    assert status == 200
    assert group == {"id": group["id"], "name": "Seniors", "categoryId": None, "syncId": "s1"}
    assert groups(hub) == ["Seniors"]
    reply = hub.call("GET", "/groups", "clinics", query={"TenantId": BETA})
    assert (reply.status, reply.json) == (200, {"groups": []})


def test_the_sync_id_finds_the_group_that_is_renamed(hub: Hub) -> None:
    _, first = put(hub, Name="Seniors", SyncId="s1")
    _, again = put(hub, Name="Elders", SyncId="s1")
    assert again == {**first, "name": "Elders"}
    assert groups(hub) == ["Elders"]
    # The name is free again.
    assert put(hub, Name="Seniors", SyncId="s2")[0] == 200


def test_a_name_is_one_groups_in_its_category(hub: Hub) -> None:
    team, squad = hub.category("Team"), hub.category("Squad")
    assert put(hub, Name="Men", SyncId="1", CategoryId=team)[0] == 200
    status, refused = put(hub, Name=" MEN ", SyncId="2", CategoryId=team)
    assert (status, refused["code"]) == (409, "conflict")
    assert put(hub, Name="Men", SyncId="2", CategoryId=squad)[0] == 200


def test_a_group_without_a_link_is_found_by_its_name_and_linked(hub: Hub) -> None:
    _, first = put(hub, Name="Seniors")
    _, linked = put(hub, Name="seniors", SyncId="s1")
    assert linked == {**first, "name": "seniors", "syncId": "s1"}


def test_a_sync_id_is_one_groups_and_one_categorys(hub: Hub) -> None:
    men, team = hub.group("Men", SyncId="m"), hub.category("Team", SyncId="t")
    hub.group("Women", SyncId="w")
    hub.category("Squad", SyncId="s")
    status, refused = put(hub, Id=men, Name="Men", SyncId="w")
    assert (status, refused["code"]) == (409, "conflict")
    body = {"TenantId": ACME, "Id": team, "Name": "Team", "SyncId": "s"}
    refusal = hub.call("POST", "/categories/import", body=body)
    assert (refusal.status, refusal.json["code"]) == (409, "conflict")
    assert [one.sync_id for one in hub.store.groups("acme")] == ["m", "w"]
    assert [one.sync_id for one in hub.store.categories("acme")] == ["s", "t"]
    # Once it is free it may be taken.
    assert put(hub, SyncId="other", Id=hub.group("Women", SyncId="w"), Name="Women")[0] == 200
    assert put(hub, Id=men, Name="Men", SyncId="w")[1]["syncId"] == "w"


def test_names_and_sync_ids_may_be_of_256_characters_of_any_kind(hub: Hub) -> None:
    team = hub.category("\U0001f600" * 256, SyncId="\U0001f600" * 256)
    # In the form that names are compared in, each of these is three characters.
    longest = "\u0390" * 256
    men = hub.group(longest, CategoryId=team, SyncId="\U0001f600" * 256)
    other = hub.group("\u0390" * 255, CategoryId=team, SyncId="\U0001f600" * 255)
    assert len({men, other}) == 2
    assert hub.group("Men", SyncId="\U0001f600" * 256, CategoryId=team) == men
    assert put(hub, Id=other, Name="Men", CategoryId=team)[0] == 409
    assert put(hub, Id=other, Name=longest, CategoryId=team)[0] == 200
    assert put(hub, Id=men, Name=longest, CategoryId=team)[0] == 409
    assert delete(hub, other) == (204, "")
    assert put(hub, Id=men, Name=longest, CategoryId=team)[0] == 200


def test_a_category_is_named_by_our_id_or_by_theirs(hub: Hub) -> None:
    team = hub.category("Team", SyncId="t")
    assert put(hub, Name="Men", CategorySyncId="t")[1]["categoryId"] == team
    assert put(hub, Name="Women", CategoryId=team)[1]["categoryId"] == team
    assert put(hub, Name="Nobody", CategorySyncId="unknown")[0] == 404
    listed = hub.call("GET", "/categories", query={"TENANTID": ACME}).json
    assert listed == {"categories": [{"id": team, "name": "Team", "syncId": "t"}]}


def test_what_is_wrong_is_told_by_its_field(hub: Hub) -> None:
    status, document = put(hub, Name="", Colour="red")
    assert (status, document["code"]) == (400, "fields_invalid")
    assert document["errors"].keys() == {"Name", "Colour"}  # type: ignore[attr-defined]
    reply = hub.call("GET", "/groups")
    assert (reply.status, list(reply.json["errors"])) == (400, ["TenantId"])


def test_a_reader_imports_nothing(hub: Hub) -> None:
    assert put(hub, "reader", Name="Seniors")[0] == 403
    assert groups(hub, "reader") == []


def test_to_import_the_same_again_changes_nothing(hub: Hub) -> None:
    assert put(hub, Name="Seniors", SyncId="s1") == put(hub, Name="Seniors", SyncId="s1")
    [group] = hub.store.groups("acme")
    assert group.revision == 1


def test_of_two_writers_the_later_one_is_told(hub: Hub) -> None:
    hub.group("Seniors", SyncId="s1")
    [seen] = hub.store.groups("acme")
    hub.store.put_group(seen)
    with pytest.raises(Fenced):
        hub.store.put_group(seen)
    with pytest.raises(Fenced):
        hub.store.put_group(Group("acme", "other", "Others", sync_id="s1"))
    with pytest.raises(Conflict):
        hub.store.put_group(Group("acme", "other", "SENIORS"))


def test_a_group_is_named_by_its_id_where_its_name_is_not_enough(hub: Hub) -> None:
    team, squad = hub.category("Team"), hub.category("Squad")
    men = hub.group("Men", CategoryId=team)
    hub.group("Men", CategoryId=squad)
    listed = hub.store.groups("acme")
    assert group_named(listed, men).group_id == men
    with pytest.raises(Exception, match="Several"):
        group_named(listed, "Men")
    with pytest.raises(Exception, match="no group"):
        group_named(listed, "Women")


# --- who sees some groups only --------------------------------------------------------------------


def test_who_sees_some_groups_sees_no_others(hub: Hub) -> None:
    ages, teams = hub.category("Ages"), hub.category("Teams")
    juniors = hub.group("Juniors", CategoryId=ages)
    hub.group("Seniors", CategoryId=teams)
    ada = hub.person("ada@example.com", juniors)
    for who in ("juniors", ada):
        assert groups(hub, who) == ["Juniors"]
        listed = hub.call("GET", "/categories", who, query={"TenantId": ACME}).json["categories"]
        assert [one["name"] for one in listed] == ["Ages"]


def test_who_sees_some_groups_cannot_say_what_groups_there_are(hub: Hub) -> None:
    hub.group("Seniors", SyncId="s1")
    for reply in (
        put(hub, "juniors", Name="Juniors"),
        put(hub, "juniors", Name="Juniors", SyncId="s1"),
    ):
        assert (reply[0], reply[1]["code"]) == (403, "some_groups_only")
    parameters = {"tenantId": ACME}
    reset = hub.call("DELETE", "/tenants/{tenantId}/syncids", "juniors", parameters=parameters)
    assert (reset.status, reset.json["code"]) == (403, "some_groups_only")
    assert groups(hub) == ["Seniors"]


def delete(hub: Hub, group_id: str, who: str = "athletes") -> tuple[int, str]:
    reply = hub.call(
        "DELETE",
        "/groups/{groupId}",
        who,
        query={"TenantId": ACME},
        parameters={"groupId": group_id},
    )
    return reply.status, reply.json["code"] if reply.body else ""


def test_a_deleted_group_leaves_its_profiles_and_its_name_and_sync_id(hub: Hub) -> None:
    men, women = hub.group("Men", SyncId="m"), hub.group("Women")
    hub.profile("p", men, women)
    assert delete(hub, men) == (204, "")
    assert groups(hub) == ["Women"]
    assert hub.groups_of("p") == {women}
    assert delete(hub, men) == (404, "not_found")
    assert hub.group("Men", SyncId="m") != men


def test_who_sees_some_groups_deletes_none(hub: Hub) -> None:
    juniors = hub.group("Juniors")
    assert delete(hub, juniors, "juniors") == (403, "some_groups_only")
    assert delete(hub, juniors, "reader") == (403, "insufficient_scope")
    assert groups(hub) == ["Juniors"]


# --- links ----------------------------------------------------------------------------------------


def test_a_tenant_loses_its_links_and_keeps_all_else(hub: Hub) -> None:
    team = hub.category("Team", SyncId="t")
    men = hub.group("Men", CategoryId=team, SyncId="m")
    hub.group("Women")
    profile_id = hub.profile("p1", men)
    parameters = {"tenantId": ACME}
    removed = hub.call("DELETE", "/tenants/{tenantId}/syncids", parameters=parameters)
    assert (removed.status, removed.json) == (
        200,
        {"categories": 1, "groups": 1, "profiles": 1, "left": 0},
    )
    assert [one.sync_id for one in hub.store.groups("acme")] == [None, None]
    assert hub.members(men) == {profile_id}
    again = hub.call("DELETE", "/tenants/{tenantId}/syncids", parameters=parameters)
    assert again.json == {"categories": 0, "groups": 0, "profiles": 0, "left": 0}
    # By its name the group is found again, whatever the other system calls it.
    assert hub.group("Men", CategoryId=team, SyncId="new") == men
