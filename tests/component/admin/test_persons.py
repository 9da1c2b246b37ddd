"""``headrace-admin profile``, on a deployment in moto."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest

from headrace.audit.model import Action, Event, Span
from headrace.audit.usecases import RecordEvent
from headrace.kernel.clock import SystemClock
from headrace.profiles.model import Group, Person, Profile, Sex
from headrace_admin.deployment import Deployment
from tests.component.admin.test_commands import Run, run  # noqa: F401 - the fixture

ADA = Person("Ada", "Lovelace", date(1815, 12, 10), Sex.FEMALE, "Ada@example.org", "ext-77")
P1, P2 = "10000000-0000-4000-8000-000000000001", "20000000-0000-4000-8000-000000000002"
PRIVATE = ("Ada", "Lovelace", "1815", "ada@example.org", "ext-77", "sync-ada")


@pytest.fixture
def published(run: Run) -> Run:  # noqa: F811
    assert run("catalog", "publish").code == 0
    deployment().groups().put_group(Group("northwind", "g1", "Juniors"))
    return run


def deployment() -> Deployment:
    return Deployment.on_aws("headrace")


def keep(profile_id: str, sync_id: str, person: Person = ADA) -> Profile:
    """Pushes a profile, as the API does."""
    now = SystemClock().now()
    made = Profile(
        "northwind", profile_id, person, now, now, sync_id=sync_id, groups=frozenset({"g1"})
    )
    return deployment().profiles().put_by_sync_id("northwind", sync_id, lambda before: made)


def events(*actions: Action) -> Sequence[Event]:
    today = SystemClock().now().date()
    trail = deployment().audit_trail()
    span = Span.of(today, today, today)
    return [one for day in span.days() for one in trail.of(day) if one.action in actions]


def stored() -> list[dict[str, Any]]:
    name = deployment().outputs["ProfilesTableName"]
    return list(boto3.client("dynamodb").scan(TableName=name)["Items"])


@pytest.mark.parametrize(
    "named", [("--profile-id", P1), ("--sync-id", "sync-ada"), ("--email", "ada@EXAMPLE.org")]
)
def test_all_that_is_kept_of_a_person_is_written(published: Run, named: tuple[str, str]) -> None:
    keep(P1, "sync-ada")
    keep(P2, "sync-bob", replace(ADA, given_name="Bob", email="bob@example.org"))
    shown = published("profile", "export", "northwind", *named)
    assert shown.code == 0, shown.err
    [one] = shown.json["profiles"]
    assert one["person"]["givenName"] == "Ada"
    assert one["person"]["dateOfBirth"] == "1815-12-10"
    assert (one["profileId"], one["syncId"], one["groups"]) == (P1, "sync-ada", ["Juniors"])


def test_what_is_written_to_a_file_nobody_else_may_read(published: Run, tmp_path: Path) -> None:
    keep(P1, "sync-ada")
    file = tmp_path / "ada.json"
    words = ("profile", "export", "northwind", "--sync-id", "sync-ada", "--to-file", str(file))
    assert published(*words).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["profiles"][0]["profileId"] == P1
    assert published(*words).code == 2


def test_who_asked_for_the_profile_is_written_where_it_is_wanted(published: Run) -> None:
    keep(P1, "sync-ada")
    record = RecordEvent(deployment().audit_trail(), deployment().statistics())
    now = SystemClock().now()
    for profile_id in (P1, P2):
        ids = {"profileId": profile_id}
        record(Event(now, Action.IMPORT, "northwind", "athletes", profile_id, concerns=ids))
    words = ("profile", "export", "northwind", "--sync-id", "sync-ada")
    assert "events" not in published(*words).json
    told = published(*words, "--with-events").json["events"]
    assert [one["service"] for one in told if one["action"] == "import"] == ["athletes"]


def test_a_person_is_erased_with_the_link_and_the_places_in_groups(published: Run) -> None:
    before = {one["pk"]["S"] for one in stored()}
    keep(P1, "sync-ada")
    gone = published("profile", "erase", "northwind", "--email", "ada@example.org", "--json")
    assert gone.json == {"tenant": "northwind", "erasedProfileId": P1}
    profiles = deployment().profiles()
    assert profiles.find("northwind", P1) is None
    assert profiles.by_sync_id("northwind", "sync-ada") is None
    assert list(profiles.of_group("northwind", "g1")) == []
    left = {one["pk"]["S"] for one in stored()} - before
    assert left == {"key#northwind"}, "the key of the tenant, which is nobody's"
    again = ("profile", "erase", "northwind", "--sync-id", "sync-ada")
    assert published(*again).code == 3


def test_of_several_with_an_address_none_is_erased_by_it(published: Run) -> None:
    keep(P1, "sync-ada")
    keep(P2, "sync-eve", replace(ADA, given_name="Eve"))
    words = ("northwind", "--email", "ada@example.org")
    refused = published("profile", "erase", *words)
    assert refused.code == 4
    assert f"{P1}, {P2}" in refused.err
    assert len(published("profile", "export", *words).json["profiles"]) == 2
    assert published("profile", "erase", "northwind", "--profile-id", P2).code == 0
    assert deployment().profiles().find("northwind", P1) is not None


def test_the_trail_tells_what_was_done_and_nothing_of_the_person(published: Run) -> None:
    keep(P1, "sync-ada")
    assert published("profile", "export", "northwind", "--sync-id", "sync-ada").code == 0
    assert published("profile", "erase", "northwind", "--sync-id", "sync-ada").code == 0
    told = events(Action.PERSON_EXPORT, Action.ERASE)
    assert [one.concerns for one in told] == [{"profileId": P1}] * 2
    assert {one.tenant for one in told} == {"northwind"}
    assert not [value for value in PRIVATE if value in repr(told)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("northwind",), 2),
        (("northwind", "--sync-id", "a", "--email", "b"), 2),
        (("northwind", "--sync-id", "nobody"), 3),
        (("northwind", "--email", "nobody@example.org"), 3),
        (("nowhere", "--sync-id", "sync-ada"), 3),
    ],
)
def test_nobody_is_found_where_nobody_is_named(
    published: Run, words: tuple[str, ...], code: int
) -> None:
    keep(P1, "sync-ada")
    for command in ("export", "erase"):
        assert published("profile", command, *words).code == code
    assert deployment().profiles().find("northwind", P1) is not None
