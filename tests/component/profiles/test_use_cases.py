"""What is done with profiles: pushed alone and in batches, found, merged, unlinked."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest

from headrace.kernel.caller import Caller
from headrace.kernel.errors import (
    Conflict,
    Fenced,
    InvalidRequest,
    NotFound,
    TenantNotAllowed,
    ValidationFailed,
)
from headrace.kernel.ids import RandomUuids
from headrace.profiles import finding
from headrace.profiles.finding import GetProfile, ProfileExists, Search, SearchProfiles
from headrace.profiles.importing import ImportProfile, ImportProfiles, Line, Pushed
from headrace.profiles.linking import DeleteSyncIds, MergeProfiles, Stays
from headrace.profiles.model import HubTenant, Profile, Sight
from headrace.profiles.tenancy import FindTenant
from tests.component.profiles.storing import NOON, HandClock, a_person
from tests.fakes import FakeProfiles

ACME, BETA = "6f2c2b1e-0000-4000-8000-00000000000a", "6f2c2b1e-0000-4000-8000-00000000000b"
CALLER = Caller("acme", "athletes", frozenset())
COACH = Caller("acme", "coach", frozenset())
SECONDS = timedelta(seconds=24)


class FakeTenants:
    """Two tenants, of which everybody may name the first one."""

    def of_caller(self, caller: Caller) -> Sequence[HubTenant]:
        return [HubTenant("acme", ACME, "Acme")]

    def base_url(self, region: str) -> str | None:
        return None


class FakeSights:
    """The coach sees the juniors; everybody else sees all."""

    def of(self, caller: Caller, tenant: str) -> Sight:
        return Sight(frozenset({"juniors"}) if caller is COACH else None)


@dataclass
class World:
    """The use cases over profiles in memory."""

    profiles: FakeProfiles = field(default_factory=FakeProfiles)
    clock: HandClock = field(default_factory=HandClock)
    sights: FakeSights = field(default_factory=FakeSights)
    find_tenant: FindTenant = field(default_factory=lambda: FindTenant(FakeTenants(), None))

    def push(self, sync_id: str, *groups: str, tenant: str = ACME, **traits: object) -> Profile:
        run = ImportProfile(self.find_tenant, self.profiles, self.sights, self.clock, RandomUuids())
        _, profile = run(CALLER, tenant, Pushed(sync_id, a_person(**traits)))
        if groups:
            self.profiles.change(
                "acme", profile.profile_id, lambda one: replace(one, groups=frozenset(groups))
            )
        return self.now(profile)

    def now(self, profile: Profile) -> Profile:
        found = self.profiles.find("acme", profile.profile_id)
        assert found is not None
        return found

    def push_lines(self, *lines: Line, seconds: float = 0) -> list[tuple[int, str]]:
        """What came of the lines, where each change takes so many seconds."""
        profiles = SlowProfiles(self.profiles.kept, self.clock, seconds)
        run = ImportProfiles(
            self.find_tenant, profiles, self.sights, self.clock, RandomUuids(), SECONDS
        )
        _, done = run(CALLER, lines)
        return [(one.line.number, str(one.outcome)) for one in done]

    def search(
        self,
        caller: Caller = CALLER,
        size: int | None = None,
        cursor: str | None = None,
        **wanted: object,
    ) -> tuple[list[str | None], str | None]:
        run = SearchProfiles(self.find_tenant, self.profiles, self.sights)
        found = run(caller, ACME, Search(**wanted), size, cursor)  # type: ignore[arg-type]
        return [one.sync_id for one in found.profiles], found.cursor

    def merge(
        self, goes: Profile, stays: Profile, which: Stays | None = None, who: Caller = CALLER
    ) -> None:
        run = MergeProfiles(self.find_tenant, self.profiles, self.sights, self.clock)
        run(who, ACME, goes.profile_id, stays.profile_id, which)


@dataclass
class SlowProfiles(FakeProfiles):
    """Each put takes its time."""

    clock: HandClock = field(default_factory=HandClock)
    seconds: float = 0

    def put_by_sync_id(self, tenant, sync_id, change):  # type: ignore[no-untyped-def]
        self.clock.tick(seconds=self.seconds)
        return super().put_by_sync_id(tenant, sync_id, change)


def line(number: int, sync_id: str, tenant: str = ACME, **traits: object) -> Line:
    return Line(number, tenant, Pushed(sync_id, a_person(**traits)))


@pytest.fixture
def world() -> World:
    return World()


# --- pushing --------------------------------------------------------------------------------------


def test_a_push_makes_a_profile_that_is_in_no_group(world: World) -> None:
    profile = world.push("p")
    assert (profile.sync_id, profile.groups, profile.person) == ("p", frozenset(), a_person())
    assert (profile.created_at, profile.modified_at) == (NOON, NOON)


def test_a_push_of_a_known_sync_id_leaves_groups_and_the_id_alone(world: World) -> None:
    before = world.push("p", "juniors")
    later = world.clock.tick()
    after = world.push("p", email=None)
    assert (after.profile_id, after.groups) == (before.profile_id, before.groups)
    assert (after.person.email, after.created_at, after.modified_at) == (None, NOON, later)


def test_to_push_the_same_again_changes_nothing(world: World) -> None:
    before = world.push("p")
    world.clock.tick()
    assert world.push("p") == before


def test_what_a_clock_that_is_behind_changes_is_not_older_than_before(world: World) -> None:
    world.push("p")
    world.clock.tick(seconds=-60)
    assert world.push("p", email=None).modified_at == NOON


@pytest.mark.parametrize("born", [date(1899, 12, 31), date(2026, 11, 28)])
def test_nobody_was_born_before_1900_or_is_born_tomorrow(world: World, born: date) -> None:
    with pytest.raises(ValidationFailed):
        world.push("p", date_of_birth=born)
    assert world.profiles.kept == {}


def test_where_it_is_tomorrow_already_somebody_may_be_born(world: World) -> None:
    assert world.push("p", date_of_birth=date(2026, 11, 27)).person.date_of_birth.day == 27


def test_a_tenant_that_the_caller_may_not_name_gets_nothing(world: World) -> None:
    with pytest.raises(TenantNotAllowed):
        world.push("p", tenant=BETA)


# --- batches --------------------------------------------------------------------------------------


def test_each_line_is_told_what_came_of_it(world: World) -> None:
    world.push("old")
    world.push("same", email="same@example.org")
    outcomes = world.push_lines(
        line(1, "new"),
        line(2, "old", email="new@example.org"),
        line(3, "same", email="same@example.org"),
        Line(4, wrong={"line": ["is not JSON"]}),
        line(5, "unborn", date_of_birth=date(2050, 1, 1)),
        line(6, "other", tenant=BETA),
    )
    wanted = ["created", "changed", "unchanged", "refused", "refused", "refused"]
    assert outcomes == list(enumerate(wanted, 1))
    assert len(world.profiles.kept) == 3


def test_what_a_batch_says_twice_of_one_person_is_taken_in_its_order(world: World) -> None:
    lines = [line(number, "p", given_name=f"Name {number}") for number in (1, 2, 3)]
    assert world.push_lines(*lines) == [(1, "created"), (2, "changed"), (3, "changed")]
    [profile] = world.profiles.kept.values()
    assert profile.person.given_name == "Name 3"


def test_lines_that_there_was_no_time_for_are_unfinished_and_can_be_pushed_again(
    world: World,
) -> None:
    lines = [line(number, f"p{number}") for number in range(1, 6)]
    first = [outcome for _, outcome in world.push_lines(*lines, seconds=10)]
    assert first == ["created"] * 3 + ["unfinished"] * 2
    again = [outcome for _, outcome in world.push_lines(*lines)]
    assert again == ["unchanged"] * 3 + ["created"] * 2


def test_a_batch_of_which_no_line_names_a_tenant_is_refused(world: World) -> None:
    with pytest.raises(ValidationFailed):
        world.push_lines(Line(1, wrong={"line": ["is not JSON"]}))


def test_a_batch_for_a_tenant_of_others_is_refused_whole(world: World) -> None:
    with pytest.raises(TenantNotAllowed):
        world.push_lines(line(1, "p", tenant=BETA))
    assert world.profiles.kept == {}


# --- finding --------------------------------------------------------------------------------------


def test_a_search_finds_what_fits_all_that_is_given(world: World) -> None:
    a = world.push("a", "juniors", external_id="x")
    world.clock.tick()
    b = world.push("b", "seniors", external_id="x")
    world.push("c", "juniors")
    assert sorted(map(str, world.search()[0])) == ["a", "b", "c"]
    assert world.search(sync_id="a")[0] == ["a"]
    assert sorted(map(str, world.search(external_id="x")[0])) == ["a", "b"]
    assert world.search(external_id="x", group_id="juniors")[0] == ["a"]
    assert world.search(profile_ids=(a.profile_id, b.profile_id), sync_id="b")[0] == ["b"]
    assert world.search(external_id="x", modified_from=world.clock.now())[0] == ["b"]
    assert world.search(sync_id="a", group_id="seniors")[0] == []


@pytest.mark.parametrize(
    "wanted",
    [{}, {"external_id": "x"}, {"group_id": "juniors"}, {"modified_from": NOON}],
    ids=["all", "external id", "group", "time"],
)
@pytest.mark.parametrize("who", [CALLER, COACH], ids=["all", "some"])
def test_pages_hold_each_profile_once(world: World, wanted: dict[str, object], who: Caller) -> None:
    for number in range(7):
        world.push(f"p{number}", "juniors", external_id="x")
        if number % 3 == 0:  # several of the same moment
            world.clock.tick()
    seen: list[str | None] = []
    cursor = None
    for _ in range(4):
        page, cursor = world.search(who, 2, cursor, **wanted)
        seen += page
    assert cursor is None
    assert sorted(map(str, seen)) == [f"p{number}" for number in range(7)]


def test_a_cursor_is_of_use_for_its_own_search_only(world: World) -> None:
    for number in range(3):
        world.push(f"p{number}", "juniors")
    _, cursor = world.search(size=1)
    for who, wanted in ((COACH, {}), (CALLER, {"group_id": "juniors"})):
        with pytest.raises(InvalidRequest):
            world.search(who, 1, cursor, **wanted)


def test_more_than_one_answer_holds_is_refused_without_a_page_size(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.push(f"p{number}", given_name="x" * 100)
    monkeypatch.setattr(finding, "MOST_LISTED", 2)
    with pytest.raises(ValidationFailed):
        world.search()
    monkeypatch.setattr(finding, "MOST_LISTED", 10_000)
    monkeypatch.setattr(finding, "MOST_BYTES", 2000)
    with pytest.raises(ValidationFailed):
        world.search()
    # A page that would be too large is a shorter one.
    page, cursor = world.search(size=3)
    assert len(page) == 2
    assert len(world.search(size=3, cursor=cursor)[0]) == 1


def test_who_sees_some_groups_finds_nobody_else(world: World) -> None:
    mine = world.push("a", "juniors", "seniors", external_id="x")
    other, nobody = world.push("b", "seniors", external_id="x"), world.push("c", external_id="x")
    for wanted in (
        {},
        {"external_id": "x"},
        {"profile_ids": (mine.profile_id, other.profile_id, nobody.profile_id)},
        {"modified_from": NOON},
    ):
        assert world.search(COACH, **wanted)[0] == ["a"]
    assert world.search(COACH, sync_id="b")[0] == []
    assert world.search(COACH, group_id="juniors")[0] == ["a"]
    # Nor that who is seen is in a group that is not known.
    assert world.search(COACH, group_id="seniors")[0] == []
    get = GetProfile(world.find_tenant, world.profiles, world.sights)
    assert get(COACH, ACME, mine.profile_id.upper()).profiles == (mine,)
    for hidden in (other.profile_id, nobody.profile_id, "never-was"):
        with pytest.raises(NotFound):
            get(COACH, ACME, hidden)
    exists = ProfileExists(world.find_tenant, world.profiles, world.sights)
    told = [exists(who, ACME, one)[1] for who in (CALLER, COACH) for one in "abx"]
    assert told == [True, True, False, True, False, False]


# --- merging and unlinking ------------------------------------------------------------------------


def test_a_merge_keeps_one_of_two_with_the_groups_of_both(world: World) -> None:
    goes, stays = world.push("a", "juniors", email="a@example.org"), world.push("b", "seniors")
    world.merge(goes, stays, Stays.TO)
    assert world.profiles.find("acme", goes.profile_id) is None
    kept = world.now(stays)
    assert (kept.person, kept.sync_id) == (stays.person, "b")
    assert kept.groups == {"juniors", "seniors"}


@pytest.mark.parametrize(("which", "left"), [(Stays.FROM, "a"), (Stays.TO, "b")])
def test_of_two_sync_ids_the_one_that_is_said_stays(world: World, which: Stays, left: str) -> None:
    goes, stays = world.push("a"), world.push("b")
    with pytest.raises(Conflict):
        world.merge(goes, stays)
    world.merge(goes, stays, which)
    assert world.search()[0] == [left]


@pytest.mark.parametrize("unlinked", ["a", "b"])
def test_the_only_sync_id_of_two_stays(world: World, unlinked: str) -> None:
    goes, stays = world.push("a"), world.push("b")
    one = goes if unlinked == "a" else stays
    world.profiles.change("acme", one.profile_id, lambda it: replace(it, sync_id=None))
    world.merge(goes, stays)
    assert world.search()[0] == ["b" if unlinked == "a" else "a"]


def test_nobody_merges_what_is_not_seen_or_one_with_itself(world: World) -> None:
    seen, hidden = world.push("a", "juniors"), world.push("b", "seniors")
    for pair in ((seen, hidden), (hidden, seen)):
        with pytest.raises(NotFound):
            world.merge(*pair, Stays.TO, who=COACH)
    with pytest.raises(ValidationFailed):
        world.merge(seen, seen)
    assert len(world.profiles.kept) == 2


def test_a_merge_into_too_many_groups_is_refused(world: World) -> None:
    goes = world.push("a", *(f"a{number}" for number in range(21)))
    stays = world.push("b", *(f"b{number}" for number in range(20)))
    with pytest.raises(Conflict):
        world.merge(goes, stays, Stays.TO)


def test_a_merge_begins_anew_where_somebody_else_changed_one_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes, stays = world.push("a"), world.push("b")
    real, tried = world.profiles.merge, []

    def racing(kept: Profile, merged: Profile) -> None:
        tried.append(kept)
        if len(tried) < 3:
            raise Fenced("Somebody else changed one of the profiles just now; try again.")
        real(kept, merged)

    monkeypatch.setattr(world.profiles, "merge", racing)
    world.merge(goes, stays, Stays.TO)
    assert len(world.profiles.kept) == 1


def test_unlinking_says_how_many_there_were_and_how_many_are_left(world: World) -> None:
    for number in range(4):
        world.push(f"p{number}")

    def unlink(seconds: float) -> tuple[int, int]:
        run = DeleteSyncIds(
            world.find_tenant,
            world.profiles,
            world.sights,
            world.clock,
            timedelta(seconds=seconds),
        )
        _, removed, left = run(CALLER, ACME)
        return removed, left

    assert unlink(0) == (0, 4)
    assert unlink(24) == (4, 0)
    assert unlink(24) == (0, 0)
    assert world.search()[0] == [None] * 4
