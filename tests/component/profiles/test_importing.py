"""What callers of the endpoints of profiles send and get, as seed 004's clients know it."""

import json
from typing import Any

import pytest

from profiles.import_profiles import NO_ROOM
from tests.component.profiles.hub import ACME, BETA, FAR, NOBODYS, Hub

BODY = {
    "DateOfBirth": "1970-03-31T00:00:00Z",
    "Email": "john.hancock@somedomain.com",
    "GivenName": "John",
    "FamilyName": "Hancock",
    "TenantId": ACME,
    "SyncId": "p-1",
    "Sex": "Male",
    "ExternalId": "x-1",
    "isCreatedByUserOver18YearsOld": True,
    "isGuardianConsentGiven": True,
    "isPhotoVideoConsentGiven": True,
}


def push(hub: Hub, who: str = "athletes", **members: Any) -> tuple[int, Any]:
    reply = hub.call("POST", "/profiles/import", who, body={**BODY, **members})
    return reply.status, reply.json if reply.body else None


def found(hub: Hub, who: str = "athletes", **query: str) -> list[dict[str, Any]]:
    reply = hub.call("GET", "/profiles", who, query={"TenantId": ACME, **query})
    assert reply.status in (200, 204), reply.body
    profiles: list[dict[str, Any]] = reply.json["profiles"] if reply.body else []
    return profiles


def test_all_of_a_profile_that_was_pushed_is_told(hub: Hub) -> None:
    assert push(hub) == (204, None)
    [profile] = found(hub)
    assert len(profile.pop("profileId")) == 36
    assert profile.pop("modifiedDateUtc").endswith("Z")
    assert profile == {
        "syncId": "p-1",
        "givenName": "John",
        "familyName": "Hancock",
        "dateOfBirth": "1970-03-31T00:00:00Z",
        "sex": "Male",
        "email": "john.hancock@somedomain.com",
        "externalId": "x-1",
        "isCreatedByUserOver18YearsOld": True,
        "isGuardianConsentGiven": True,
        "isPhotoVideoConsentGiven": True,
        "groupIds": [],
    }


def test_the_first_letter_of_a_member_may_be_small(hub: Hub) -> None:
    small = {name[:1].lower() + name[1:]: value for name, value in BODY.items()}
    assert hub.call("POST", "/profiles/import", body=small).status == 204
    large = {name[:1].upper() + name[1:]: value for name, value in BODY.items()}
    assert hub.call("POST", "/profiles/import", body=large).status == 204
    assert len(found(hub)) == 1


def test_what_may_be_left_out_is_taken_away(hub: Hub) -> None:
    push(hub)
    needed = ("TenantId", "SyncId", "GivenName", "FamilyName", "DateOfBirth")
    body = {name: BODY[name] for name in needed}
    assert hub.call("POST", "/profiles/import", body=body).status == 204
    [profile] = found(hub)
    assert (profile["email"], profile["externalId"], profile["sex"]) == (None, None, "Unknown")
    assert not profile["isCreatedByUserOver18YearsOld"]
    for empty in ("", "  ", None):
        assert push(hub, Email=empty, ExternalId=empty)[0] == 204
        assert (found(hub)[0]["email"], found(hub)[0]["externalId"]) == (None, None)


@pytest.mark.parametrize("sex", ["Male", "Female", "Unknown", "NotApplicable", "female"])
def test_each_sex_is_taken(hub: Hub, sex: str) -> None:
    assert push(hub, Sex=sex)[0] == 204
    assert found(hub)[0]["sex"].lower() == sex.lower()


@pytest.mark.parametrize(
    "born",
    ["1970-03-31", "1970-03-31T23:30:00-05:00", "1970-03-31T00:00:00.0000000Z"],
)
def test_of_a_birthday_the_date_counts_as_it_is_written(hub: Hub, born: str) -> None:
    assert push(hub, DateOfBirth=born)[0] == 204
    assert found(hub)[0]["dateOfBirth"] == "1970-03-31T00:00:00Z"


@pytest.mark.abuse(135)
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("TenantId", None),
        ("TenantId", 7),
        ("SyncId", ""),
        ("SyncId", " "),
        ("SyncId", "x" * 257),
        ("SyncId", "a\nb"),
        ("SyncId", 7),
        ("GivenName", None),
        ("FamilyName", "x" * 257),
        ("DateOfBirth", None),
        ("DateOfBirth", "yesterday"),
        ("DateOfBirth", "1970-02-30"),
        ("DateOfBirth", 7),
        ("DateOfBirth", "0001-01-01T00:00:00Z"),
        ("DateOfBirth", "2999-01-01"),
        ("Sex", "Neither"),
        ("Sex", 1),
        ("Email", "nobody"),
        ("Email", "a@b@c"),
        ("Email", "a b@c.d"),
        ("Email", f"{'x' * 250}@example.org"),
        ("ExternalId", "x" * 257),
        ("IsGuardianConsentGiven", "true"),
        ("IsGuardianConsentGiven", 1),
        ("Shoe", 44),
    ],
)
def test_what_is_wrong_is_told_by_its_field_and_nothing_is_written(
    hub: Hub, member: str, value: object
) -> None:
    body = {name: was for name, was in BODY.items() if name[:1].upper() + name[1:] != member}
    reply = hub.call("POST", "/profiles/import", body={**body, member: value})
    assert (reply.status, reply.json["code"]) == (400, "fields_invalid")
    assert reply.headers["Content-Type"] == "application/problem+json"
    [(field, said)] = reply.json["errors"].items()
    assert (field, all(isinstance(one, str) for one in said)) == (member, True)
    # What was sent may be somebody's, and is not told again.
    assert not (isinstance(value, str) and len(value) > 9 and value in reply.body)
    assert found(hub) == []


@pytest.mark.parametrize("body", ["", "[]", "{", '{"TenantId": "x", "tenantId": "x"}', "[" * 9999])
def test_what_is_no_profile_at_all_is_refused(hub: Hub, body: str) -> None:
    assert hub.call("POST", "/profiles/import", body=body).status == 400


@pytest.mark.abuse(74)
def test_a_tenant_of_others_is_refused_like_one_that_never_was(hub: Hub) -> None:
    foreign, unknown = push(hub, TenantId=BETA), push(hub, TenantId=NOBODYS)
    assert foreign == unknown
    assert (foreign[0], foreign[1]["code"]) == (403, "tenant_not_allowed")
    assert push(hub, "clinics", TenantId=BETA)[0] == 204
    assert push(hub, "clinics", TenantId=FAR)[0] == 421


@pytest.mark.abuse(17)
def test_who_may_only_read_pushes_nothing_and_who_may_neither_finds_nothing(hub: Hub) -> None:
    assert push(hub, "reader")[1]["code"] == "insufficient_scope"
    for who, status in (("reader", 204), ("other", 403)):
        assert hub.call("GET", "/profiles", who, query={"TenantId": ACME}).status == status


def test_a_batch_answers_each_line_in_its_order(hub: Hub) -> None:
    push(hub)
    lines = [
        json.dumps(BODY),
        "",
        json.dumps({**BODY, "SyncId": "p-2"}),
        "{",
        json.dumps({**BODY, "SyncId": "p-3", "Sex": "Neither", "Email": "nobody"}),
        json.dumps({**BODY, "SyncId": "p-4", "TenantId": BETA}),
        json.dumps({**BODY, "GivenName": "Jack"}),
    ]
    reply = hub.call("POST", "/profiles/import/batch", body="\r\n".join(lines))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-ndjson")
    told = [json.loads(line) for line in reply.body.splitlines()]
    assert [(one["line"], one["outcome"], one["syncId"]) for one in told] == [
        (1, "unchanged", "p-1"),
        (3, "created", "p-2"),
        (4, "refused", None),
        (5, "refused", None),
        (6, "refused", "p-4"),
        (7, "changed", "p-1"),
    ]
    assert [sorted(one["errors"]) for one in told] == [
        [],
        [],
        ["Line"],
        ["Email", "Sex"],
        ["TenantId"],
        [],
    ]
    assert {one["syncId"]: one["givenName"] for one in found(hub)} == {"p-1": "Jack", "p-2": "John"}


def test_a_batch_of_which_every_line_is_wrong_says_what_is_wrong_with_each(hub: Hub) -> None:
    lines = [{**BODY, "Email": "nobody"}, {**BODY, "DateOfBirth": "31.3.1970", "Shoe": 44}]
    reply = hub.call("POST", "/profiles/import/batch", body="\n".join(map(json.dumps, lines)))
    assert reply.status == 200, reply.body
    told = [json.loads(line) for line in reply.body.splitlines()]
    assert [one["outcome"] for one in told] == ["refused", "refused"]
    assert told[0]["errors"] == {"Email": ["must be an e-mail address"]}
    assert told[1]["errors"]["DateOfBirth"] == [
        "must be a date, as in 1970-03-31 or 1970-03-31T00:00:00Z"
    ]
    assert sorted(told[1]["errors"]) == ["DateOfBirth", "Shoe"]


def test_a_line_that_is_wrong_does_not_choose_the_tenant_of_a_batch(hub: Hub) -> None:
    lines = [{**BODY, "TenantId": BETA, "Sex": "Neither"}, BODY]
    reply = hub.call("POST", "/profiles/import/batch", body="\n".join(map(json.dumps, lines)))
    told = [json.loads(line)["outcome"] for line in reply.body.splitlines()]
    assert (reply.status, told) == (200, ["refused", "created"])


@pytest.mark.abuse(138)
def test_lines_that_are_all_wrong_are_told_what_is_wrong_with_each(hub: Hub) -> None:
    wrong: list[dict[str, object]] = [
        {"Colour": "red"},
        {"Sex": "Neither"},
        {"DateOfBirth": 7},
        {"SyncId": None},
    ]
    body = "\n".join(json.dumps({**BODY, **one}) for one in wrong)
    reply = hub.call("POST", "/profiles/import/batch", body=body)
    assert reply.status == 200, reply.body
    told = [json.loads(line) for line in reply.body.splitlines()]
    assert [(one["outcome"], list(one["errors"])) for one in told] == [
        ("refused", list(one)) for one in wrong
    ]
    # Those that are right say whom the batch is about.
    body = json.dumps({**BODY, "TenantId": BETA, "Sex": "Neither"}) + "\n" + json.dumps(BODY)
    reply = hub.call("POST", "/profiles/import/batch", body=body)
    outcomes = [json.loads(line)["outcome"] for line in reply.body.splitlines()]
    assert (reply.status, outcomes) == (200, ["refused", "created"])
    # And who may not name the tenant learns nothing else.
    body = json.dumps({**BODY, "TenantId": NOBODYS, "Sex": "Neither"})
    refused = hub.call("POST", "/profiles/import/batch", body=body)
    assert (refused.status, refused.json["code"]) == (403, "tenant_not_allowed")
    body = json.dumps({**BODY, "TenantId": 7})
    refused = hub.call("POST", "/profiles/import/batch", body=body)
    assert (refused.status, list(refused.json["errors"])) == (400, ["TenantId"])


def test_an_answer_to_a_batch_is_never_more_than_lambda_answers(hub: Hub) -> None:
    wrong = {"TenantId": ACME, **{f"u{number}": 0 for number in range(25)}}
    lines = [json.dumps(wrong, separators=(",", ":"))] * 9_999
    reply = hub.call("POST", "/profiles/import/batch", body="\n".join([*lines, json.dumps(BODY)]))
    assert reply.status == 200, reply.body
    # As Lambda counts it: the body is a text in JSON.
    assert len(json.dumps(reply.body).encode()) < 6 * 1024 * 1024
    told = [json.loads(line) for line in reply.body.splitlines()]
    assert [one["outcome"] for one in told] == ["refused"] * 9_999 + ["created"]
    assert len(told[0]["errors"]) == 29
    assert told[9_998]["errors"] == {"Line": [NO_ROOM]}


def test_a_body_in_which_all_is_wrong_is_told_some_of_it(hub: Hub) -> None:
    body = json.dumps(
        {**BODY, **{f"u{number}": 0 for number in range(80_000)}}, separators=(",", ":")
    )
    reply = hub.call("POST", "/profiles/import", body=body)
    assert (reply.status, len(reply.json["errors"])) == (400, 100)
    assert len(reply.body) < 6 * 1024 * 1024


def test_a_batch_of_too_many_profiles_is_refused(hub: Hub) -> None:
    reply = hub.call("POST", "/profiles/import/batch", body="{}\n" * 10_001)
    assert (reply.status, reply.json["code"]) == (413, "body_too_large")


def test_parameters_are_read_in_any_case_and_what_is_empty_is_not_asked_for(hub: Hub) -> None:
    push(hub)
    [profile] = found(hub)
    query = {"TENANTID": ACME.upper(), "syncid": "p-1", "externalId": "", "profileIds": ""}
    assert hub.call("GET", "/profiles", query=query).json["profiles"] == [profile]
    ids = f"{profile['profileId'].upper()},{NOBODYS}"
    assert found(hub, ProfileIds=ids) == [profile]
    assert found(hub, ModifiedFromUtc=profile["modifiedDateUtc"]) == [profile]
    assert found(hub, ModifiedFromUtc="2999-01-01") == []
    twice = hub.call("GET", "/profiles", query={"TenantId": ACME, "tenantid": ACME})
    assert twice.status == 400


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "TenantId"),
        ({"TenantId": ""}, "TenantId"),
        ({"TenantId": ACME, "ModifiedFromUtc": "yesterday"}, "ModifiedFromUtc"),
        ({"TenantId": ACME, "PageSize": "0"}, "PageSize"),
        ({"TenantId": ACME, "PageSize": "many"}, "PageSize"),
        ({"TenantId": ACME, "ProfileIds": ",".join(["x"] * 201)}, "ProfileIds"),
    ],
)
def test_a_wrong_parameter_is_told_by_its_name(hub: Hub, query: dict[str, str], field: str) -> None:
    reply = hub.call("GET", "/profiles", query=query)
    assert (reply.status, list(reply.json["errors"])) == (400, [field])


def test_a_search_whose_name_is_misspelt_does_not_find_everybody(hub: Hub) -> None:
    push(hub)
    reply = hub.call("GET", "/profiles", query={"TenantId": ACME, "SycnId": "p-2"})
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    assert "it has TenantId, ProfileIds, SyncId, " in reply.json["detail"]
    assert "SycnId" not in reply.body


def test_a_person_of_some_groups_sees_no_other_profile(hub: Hub) -> None:
    juniors, seniors = hub.group("Juniors"), hub.group("Seniors")
    mine = hub.profile("a", juniors, seniors)
    hidden = hub.profile("b", seniors)
    ada = hub.person("ada@example.com", juniors)
    [profile] = found(hub, ada)
    assert (profile["profileId"], profile["groupIds"]) == (mine, [juniors])
    query = {"TenantId": ACME}
    one = hub.call("GET", "/profiles/{profileId}", ada, query=query, parameters={"profileId": mine})
    assert one.json == profile
    replies = [
        hub.call("GET", "/profiles/{profileId}", ada, query=query, parameters={"profileId": other})
        for other in (hidden, NOBODYS)
    ]
    assert [reply.status for reply in replies] == [404, 404]
    assert replies[0].body == replies[1].body
    for sync_id, exists in (("a", True), ("b", False)):
        asked = {**query, "SyncId": sync_id}
        reply = hub.call("GET", "/profiles/exists", ada, query=asked)
        assert reply.json == {"isExistingProfile": exists}
    merged = {"TenantId": ACME, "FromProfileId": hidden, "ToProfileId": mine}
    assert hub.call("POST", "/profiles/merge", ada, body=merged).status == 404
    # To take links away would change what others see.
    refused = hub.call("DELETE", "/profiles/syncids", ada, query=query)
    assert (refused.status, refused.json["code"]) == (403, "some_groups_only")


def test_links_are_removed_and_counted(hub: Hub) -> None:
    hub.profile("a")
    hub.profile("b")
    replies = [hub.call("DELETE", "/profiles/syncids", query={"tenantid": ACME}) for _ in range(2)]
    assert [reply.json for reply in replies] == [
        {"removed": 2, "left": 0},
        {"removed": 0, "left": 0},
    ]
    assert [one["syncId"] for one in found(hub)] == [None, None]


@pytest.mark.abuse(140)
def test_no_log_and_no_trail_has_a_word_of_what_was_pushed(
    hub: Hub, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = ("canary-sync", "Canarygiven", "Canaryfamily", "canary@mail.example", "canary-ext")
    sync_id, given, family, email, external = secrets
    members = {
        "SyncId": sync_id,
        "GivenName": given,
        "FamilyName": family,
        "Email": email,
        "ExternalId": external,
    }
    assert push(hub, **members)[0] == 204
    assert push(hub, **members, Sex="Neither")[0] == 400
    hub.call("POST", "/profiles/import/batch", body=json.dumps({**BODY, **members}))
    found(hub, SyncId=sync_id)
    [profile] = found(hub, ExternalId=external)
    hub.call("DELETE", "/profiles/syncids", query={"TenantId": ACME})
    logs = capfd.readouterr()
    table = hub.deployment.tables["audit"]
    trail = str(table.client.scan(TableName=table.name)["Items"])
    assert profile["profileId"] in trail
    for secret in secrets:
        assert secret not in logs.out + logs.err
        assert secret not in trail
