"""Profiles as they are kept: the same on a fake and in DynamoDB, and sealed there."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest
from cryptography.exceptions import InvalidTag

from headrace.adapters.kms.data_keys import DataKey, KmsDataKeys
from headrace.kernel.errors import Fenced, SyncIdTaken, Unavailable
from headrace.profiles.model import Profile
from headrace.profiles.ports import Profiles
from tests.component.profiles.storing import NOON, Storage, a_person, a_profile, storage
from tests.fakes import FakeProfiles


@pytest.fixture
def stored() -> Iterator[Storage]:
    with storage() as made:
        yield made


@pytest.fixture(params=["fake", "dynamodb"])
def profiles(request: pytest.FixtureRequest) -> Iterator[Profiles]:
    if request.param == "fake":
        yield FakeProfiles()
        return
    with storage() as made:
        yield made.profiles()


def put(profiles: Profiles, profile: Profile) -> Profile:
    """Puts it as an import does."""
    assert profile.sync_id is not None
    return profiles.put_by_sync_id(
        profile.tenant,
        profile.sync_id,
        lambda before: profile if before is None else replace(before, person=profile.person),
    )


def ids(found: Iterator[Profile]) -> list[str]:
    return [one.profile_id for one in found]


def test_what_was_put_is_found_by_its_id_and_by_its_sync_id(profiles: Profiles) -> None:
    one = put(profiles, a_profile(1, external_id="e-1", groups=frozenset({"g1", "g2"})))
    assert one == replace(
        a_profile(1, external_id="e-1", groups=frozenset({"g1", "g2"})), revision=1
    )
    assert profiles.find("acme", one.profile_id) == one
    assert profiles.by_sync_id("acme", "sync-1") == one


def test_nobody_finds_what_is_another_tenant_s(profiles: Profiles) -> None:
    one = put(profiles, a_profile(1, external_id="e-1", groups=frozenset({"g1"})))
    assert profiles.find("beta", one.profile_id) is None
    assert profiles.by_sync_id("beta", "sync-1") is None
    assert ids(profiles.by_external_id("beta", "e-1")) == []
    assert ids(profiles.of_group("beta", "g1")) == []
    assert ids(profiles.modified_from("beta", None)) == []
    assert ids(profiles.links("beta")) == []


def test_tenants_may_know_different_persons_by_the_same_sync_id(profiles: Profiles) -> None:
    ours = put(profiles, a_profile(1))
    theirs = put(profiles, a_profile(2, tenant="beta", sync_id="sync-1"))
    assert profiles.by_sync_id("acme", "sync-1") == ours
    assert profiles.by_sync_id("beta", "sync-1") == theirs


def test_a_known_sync_id_changes_its_profile(profiles: Profiles) -> None:
    put(profiles, a_profile(1))
    changed = put(profiles, a_profile(2, sync_id="sync-1", family_name="Smith"))
    assert changed.profile_id == a_profile(1).profile_id
    assert profiles.by_sync_id("acme", "sync-1") == changed
    assert changed.person.family_name == "Smith"
    assert profiles.find("acme", a_profile(2).profile_id) is None


def test_sync_ids_are_told_apart_by_every_character(profiles: Profiles) -> None:
    names = ["a", "A", "a ", "ä", "a\u0308", "sync#1", "/", '"', "'"]
    for number, name in enumerate(names):
        put(profiles, a_profile(number, sync_id=name))
    for number, name in enumerate(names):
        found = profiles.by_sync_id("acme", name)
        assert found is not None
        assert found.profile_id == a_profile(number).profile_id


def test_many_may_have_the_same_external_id(profiles: Profiles) -> None:
    for number in (3, 1, 2):
        put(profiles, a_profile(number, external_id="e" if number != 2 else "other"))
    wanted = [a_profile(1).profile_id, a_profile(3).profile_id]
    assert ids(profiles.by_external_id("acme", "e")) == wanted
    profiles.change("acme", wanted[0], lambda one: replace(one, person=a_person()))
    assert ids(profiles.by_external_id("acme", "e")) == wanted[1:]


def test_a_change_moves_memberships_along(profiles: Profiles) -> None:
    one = put(profiles, a_profile(1, groups=frozenset({"g1", "g2"})))
    profiles.change("acme", one.profile_id, lambda it: replace(it, groups=frozenset({"g2", "g3"})))
    found = {group: ids(profiles.of_group("acme", group)) for group in ("g1", "g2", "g3")}
    assert found == {"g1": [], "g2": [one.profile_id], "g3": [one.profile_id]}


def test_a_change_of_what_is_not_there_is_none(profiles: Profiles) -> None:
    assert profiles.change("acme", a_profile(1).profile_id, lambda one: one) is None


def test_what_changes_nothing_is_not_written(profiles: Profiles) -> None:
    one = put(profiles, a_profile(1))
    assert put(profiles, a_profile(1)) == one
    assert profiles.change("acme", one.profile_id, lambda it: it) == one
    assert profiles.find("acme", one.profile_id) == one


def test_a_sync_id_that_another_profile_has_is_refused(profiles: Profiles) -> None:
    one, other = put(profiles, a_profile(1)), put(profiles, a_profile(2))
    with pytest.raises(SyncIdTaken):
        profiles.change("acme", one.profile_id, lambda it: replace(it, sync_id="sync-2"))
    assert profiles.by_sync_id("acme", "sync-1") == one
    assert profiles.by_sync_id("acme", "sync-2") == other


def test_a_link_that_was_removed_may_be_another_s(profiles: Profiles) -> None:
    one = put(profiles, a_profile(1))
    profiles.change("acme", one.profile_id, lambda it: replace(it, sync_id=None))
    assert profiles.by_sync_id("acme", "sync-1") is None
    assert ids(profiles.links("acme")) == []
    assert ids(profiles.modified_from("acme", None)) == [one.profile_id]
    other = put(profiles, a_profile(2, sync_id="sync-1"))
    assert profiles.by_sync_id("acme", "sync-1") == other


def test_changes_are_listed_by_their_time_from_a_moment_on(profiles: Profiles) -> None:
    for number, minute in ((1, 3), (2, 1), (3, 2), (4, 2)):
        put(profiles, a_profile(number, modified_at=NOON + timedelta(minutes=minute)))
    wanted = [a_profile(number).profile_id for number in (2, 3, 4, 1)]
    assert ids(profiles.modified_from("acme", None)) == wanted
    assert ids(profiles.modified_from("acme", NOON + timedelta(minutes=2))) == wanted[1:]
    assert ids(profiles.modified_from("acme", NOON + timedelta(minutes=3, seconds=1))) == []
    later = NOON + timedelta(minutes=9)
    profiles.change("acme", wanted[0], lambda one: replace(one, modified_at=later))
    assert ids(profiles.modified_from("acme", None)) == [*wanted[1:], wanted[0]]


def test_a_deleted_profile_leaves_nothing(profiles: Profiles) -> None:
    one = put(profiles, a_profile(1, external_id="e", groups=frozenset({"g"})))
    assert profiles.delete("acme", one.profile_id)
    assert not profiles.delete("acme", one.profile_id)
    assert profiles.by_sync_id("acme", "sync-1") is None
    for found in (
        profiles.by_external_id("acme", "e"),
        profiles.of_group("acme", "g"),
        profiles.modified_from("acme", None),
        profiles.links("acme"),
    ):
        assert ids(found) == []


def test_a_merge_writes_one_and_deletes_the_other(profiles: Profiles) -> None:
    kept = put(profiles, a_profile(1, groups=frozenset({"g1"})))
    merged = put(profiles, a_profile(2, external_id="e", groups=frozenset({"g2"})))
    after = replace(kept, sync_id="sync-2", groups=frozenset({"g1", "g2"}))
    profiles.merge(after, merged)
    assert profiles.find("acme", merged.profile_id) is None
    assert profiles.by_sync_id("acme", "sync-1") is None
    found = profiles.by_sync_id("acme", "sync-2")
    assert found == replace(after, revision=after.revision + 1)
    assert ids(profiles.of_group("acme", "g2")) == [kept.profile_id]
    assert ids(profiles.by_external_id("acme", "e")) == []


def test_a_merge_of_what_was_changed_meanwhile_does_nothing(profiles: Profiles) -> None:
    kept, merged = put(profiles, a_profile(1)), put(profiles, a_profile(2))
    for changed in (kept, merged):
        profiles.change(
            "acme",
            changed.profile_id,
            lambda one: replace(one, person=replace(one.person, email="new@example.org")),
        )
        with pytest.raises(Fenced):
            profiles.merge(kept, merged)
        assert profiles.find("acme", merged.profile_id) is not None


def test_many_are_put_and_unlinked_at_once(profiles: Profiles) -> None:
    # All of them in one transaction: moto is no judge of several at a time.
    wanted = {f"sync-{number}": a_profile(number) for number in range(1, 16)}

    def onto(one: Profile) -> Callable[[Profile | None], Profile]:
        return lambda before: before or one

    changes = {name: onto(one) for name, one in wanted.items()}
    done = profiles.put_many("acme", changes, lambda: True)
    assert {name: one.profile_id for name, one in done.items()} == {
        name: one.profile_id for name, one in wanted.items()
    }
    assert profiles.put_many("acme", changes, lambda: True) == done
    assert profiles.put_many("acme", changes, lambda: False) == {}
    linked = list(profiles.links("acme"))
    assert profiles.unlink(linked, NOON, lambda: True) == 15
    assert list(profiles.links("acme")) == []
    assert len(ids(profiles.modified_from("acme", None))) == 15


# --- what lies in the table -------------------------------------------------------------------


def test_nothing_that_is_personal_can_be_read_in_the_table(stored: Storage) -> None:
    secret = a_profile(
        1,
        sync_id="canary-sync",
        given_name="canary-given",
        family_name="canary-family",
        email="canary@mail.example",
        external_id="canary-external",
    )
    put(stored.profiles(), secret)
    assert len(stored.items()) == 5
    lying = json.dumps(stored.items(), default=lambda one: bytes(one).decode("latin-1"))
    assert "canary" not in lying
    assert "1970-03-31" not in lying
    assert "Female" not in lying


def test_what_is_sealed_for_one_profile_does_not_open_as_another(stored: Storage) -> None:
    profiles = stored.profiles()
    one, other = put(profiles, a_profile(1)), put(profiles, a_profile(2))
    pk = f"profiles#acme#{one.profile_id[0]}"
    item = stored.table.get(pk, one.profile_id)
    assert item is not None
    stored.table.put({**item, "pk": f"profiles#acme#{other.profile_id[0]}", "sk": other.profile_id})
    with pytest.raises(InvalidTag):
        profiles.find("acme", other.profile_id)


def test_the_same_sync_id_is_marked_differently_for_each_tenant(stored: Storage) -> None:
    profiles = stored.profiles()
    put(profiles, a_profile(1, sync_id="same"))
    put(profiles, a_profile(2, tenant="beta", sync_id="same"))
    marks = {item["sk"]["S"] for item in stored.items() if item["pk"]["S"].startswith("links#")}
    assert len(marks) == 2


def test_one_that_somebody_else_changes_does_not_stop_those_that_are_written_with_it(
    stored: Storage,
) -> None:
    profiles = stored.profiles()
    raced: list[str] = []

    def change(number: int) -> Callable[[Profile | None], Profile]:
        def onto(before: Profile | None) -> Profile:
            if number == 2 and not raced:  # somebody else is faster, between reading and writing
                raced.append("sync-2")
                put(stored.profiles(), a_profile(2, family_name="Fast"))
            if before is None:
                return a_profile(number + 100, sync_id=f"sync-{number}")
            return before.changed(NOON, person=replace(before.person, email="late@example.org"))

        return onto

    done = profiles.put_many("acme", {f"sync-{n}": change(n) for n in (1, 2, 3)}, lambda: True)
    assert {name: one.profile_id for name, one in done.items()} == {
        "sync-1": a_profile(101).profile_id,
        "sync-2": a_profile(2).profile_id,
        "sync-3": a_profile(103).profile_id,
    }
    second = done["sync-2"].person
    assert (second.family_name, second.email) == ("Fast", "late@example.org")
    assert profiles.find("acme", a_profile(102).profile_id) is None


def test_one_that_others_change_all_the_time_is_left_out_and_no_other(stored: Storage) -> None:
    profiles = stored.profiles()
    mark = profiles.keys.of("acme").mark("sync", "sync-2")
    # As whoever looks sees it at each look: the link is there, and not what it leads to.
    link = {"pk": f"links#acme#{mark[0]}", "sk": mark, "profile_id": a_profile(9).profile_id}
    stored.table.put(link)

    def onto(number: int) -> Callable[[Profile | None], Profile]:
        return lambda before: before or a_profile(number)

    done = profiles.put_many("acme", {f"sync-{n}": onto(n) for n in (1, 2, 3)}, lambda: True)
    assert done.keys() == {"sync-1", "sync-3"}
    assert len(ids(profiles.modified_from("acme", None))) == 2


def test_another_process_reads_what_one_wrote(stored: Storage) -> None:
    one = put(stored.profiles(), a_profile(1))
    assert stored.profiles().by_sync_id("acme", "sync-1") == one


def test_who_only_reads_makes_no_key(stored: Storage) -> None:
    profiles = stored.profiles()
    assert profiles.by_sync_id("acme", "sync-1") is None
    assert ids(profiles.by_external_id("acme", "e")) == []
    assert ids(profiles.modified_from("acme", None)) == []
    assert stored.items() == []


def test_a_key_that_was_disabled_opens_nothing_after_five_minutes(
    stored: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = stored.profiles()
    one = put(profiles, a_profile(1))

    def refuse(*_: object) -> NoReturn:
        raise Unavailable("The key of the tenant's data cannot be used now.")

    monkeypatch.setattr(KmsDataKeys, "unwrap", refuse)
    stored.clock.tick(minutes=4)
    assert profiles.find("acme", one.profile_id) == one
    stored.clock.tick(minutes=1)
    with pytest.raises(Unavailable):
        profiles.find("acme", one.profile_id)


def test_a_tenant_s_key_is_wrapped_by_the_tenant_s_own(stored: Storage) -> None:
    stored.own_keys["beta"] = own = stored.new_key()
    put(stored.profiles(), a_profile(1))
    put(stored.profiles(), a_profile(2, tenant="beta"))
    used = {}
    for tenant in ("acme", "beta"):
        item = stored.table.get(f"key#{tenant}", "data")
        assert item is not None
        context = {"purpose": "profiles", "tenant": tenant}
        reply = stored.kms.decrypt(CiphertextBlob=item["wrapped"], EncryptionContext=context)
        used[tenant] = reply["KeyId"].rpartition("/")[2]
    assert used == {"acme": stored.stack_key, "beta": own}


def test_of_two_processes_that_make_a_tenant_s_key_at_once_both_use_the_first(
    stored: Storage,
) -> None:
    first, second = stored.profiles(), stored.profiles()

    class Racing(KmsDataKeys):
        """Somebody else's key is there between our look and our write."""

        def new(self, key_id: str, purpose: Mapping[str, str]) -> tuple[DataKey, bytes]:
            put(first, a_profile(1))
            return super().new(key_id, purpose)

    racing = replace(second.keys, keys=Racing(stored.kms))
    late = replace(second, keys=racing)
    put(late, a_profile(2))
    assert late.by_sync_id("acme", "sync-1") is not None
    assert stored.profiles().by_sync_id("acme", "sync-2") is not None


def test_a_profile_that_changes_while_all_are_read_is_read_once_as_it_then_is(
    stored: Storage,
) -> None:
    profiles = stored.profiles()
    for number in range(1, 121):
        put(profiles, a_profile(number))
    reading = profiles.modified_from("acme", None)
    seen = [next(reading)]
    last = a_profile(111).profile_id
    changed = profiles.change(
        "acme", last, lambda one: replace(one, modified_at=NOON + timedelta(hours=1))
    )
    seen += reading
    assert seen[-1] == changed
    assert sorted(one.profile_id for one in seen) == sorted(
        a_profile(number).profile_id for number in range(1, 121)
    )
