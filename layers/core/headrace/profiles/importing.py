"""Profiles that another system pushes (seed 004, "Push data to VALD Hub")."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock, until
from headrace.kernel.errors import SomeGroupsOnly, ValidationFailed
from headrace.kernel.ids import Ids
from headrace.profiles.model import HubTenant, Person, Profile, Sight
from headrace.profiles.ports import Profiles, Sights
from headrace.profiles.tenancy import FindTenant

_OLDEST = date(1900, 1, 1)
_AHEAD = timedelta(hours=14)
"""How far the calendar is ahead of UTC where it is furthest."""


def checked_birth(born: date, now: datetime) -> date:
    """A date of birth. Raises ValidationFailed."""
    if not _OLDEST <= born <= (now + _AHEAD).date():
        raise ValidationFailed(
            "The body has values that are wrong; see errors.",
            [{"field": "dateOfBirth", "message": "must be from 1900 on, and not in the future"}],
        )
    return born


@dataclass(frozen=True)
class Pushed:
    """What a system says of somebody it knows by the sync id."""

    sync_id: str
    person: Person

    def onto(
        self, before: Profile | None, tenant: str, profile_id: str, moment: datetime
    ) -> Profile:
        """The profile as it then is: the one there is with all of it written anew, or a new one.

        What is not pushed stays: the groups, and the link.
        """
        if before is not None:
            return before.changed(moment, person=self.person)
        return Profile(tenant, profile_id, self.person, moment, moment, self.sync_id)


def check_whole(sight: Sight) -> None:
    """Raises SomeGroupsOnly: whoever does not see a profile must not overwrite it, nor learn from
    a refusal that its sync id is taken."""
    if not sight.is_whole:
        raise SomeGroupsOnly("You see the profiles of some groups only, so you cannot import any.")


@dataclass(frozen=True)
class ImportProfile:
    """Takes a profile: a sync id that the tenant knows changes its profile, another makes one."""

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights
    clock: Clock
    ids: Ids

    def __call__(
        self, caller: Caller, organisation_id: str, pushed: Pushed
    ) -> tuple[HubTenant, Profile]:
        """The tenant and the profile. To push the same again changes nothing.

        Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly, ValidationFailed, Unavailable.
        """
        tenant, now = self.find_tenant(caller, organisation_id), self.clock.now()
        check_whole(self.sights.of(caller, tenant.tenant))
        checked_birth(pushed.person.date_of_birth, now)
        profile_id = self.ids.new(now)
        profile = self.profiles.put_by_sync_id(
            tenant.tenant,
            pushed.sync_id,
            lambda before: pushed.onto(before, tenant.tenant, profile_id, now),
        )
        return tenant, profile


class Outcome(StrEnum):
    """What came of a line of a batch."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Line:
    """A line of a batch: what is pushed, or what is wrong with the line, by field."""

    number: int
    organisation_id: str | None = None
    pushed: Pushed | None = None
    wrong: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """A line, and what came of it."""

    line: Line
    outcome: Outcome
    profile_id: str | None = None


@dataclass(frozen=True)
class ImportProfiles:
    """Takes many profiles at once. Each is taken or refused by itself.

    ``longest``: for how long a call works at it. Lines that there was no time for are unfinished;
    to push them again is all that is to be done.
    """

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights
    clock: Clock
    ids: Ids
    longest: timedelta

    def __call__(self, caller: Caller, lines: Sequence[Line]) -> tuple[HubTenant, list[Done]]:
        """The tenant, and what came of each line, in their order. What a batch says of one sync id
        twice is taken in the order of its lines.

        Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly, ValidationFailed: no line names a
        tenant.
        """
        goes_on, now = until(self.clock, self.longest), self.clock.now()
        # Lines that are wrong in something else name it where no others do: they get their answers.
        telling = sorted(lines, key=lambda one: one.pushed is None)
        named = next((one.organisation_id for one in telling if one.organisation_id), None)
        if named is None:
            raise ValidationFailed(
                "No line can be read, or none names a tenant.",
                [{"field": "tenantId", "message": "is needed"}],
            )
        tenant = self.find_tenant(caller, named)
        check_whole(self.sights.of(caller, tenant.tenant))
        checked = [_checked(one, named, now) for one in lines]
        done: dict[int, Done] = {}
        for wave in _waves(one for one in checked if one.pushed is not None and not one.wrong):
            done |= self._import(tenant.tenant, wave, now, goes_on)
        return tenant, [done.get(one.number, Done(one, Outcome.REFUSED)) for one in checked]

    def _import(
        self,
        tenant: str,
        wave: Mapping[str, tuple[Line, Pushed]],
        now: datetime,
        goes_on: Callable[[], bool],
    ) -> dict[int, Done]:
        """What came of lines that are of different sync ids."""
        seen: dict[str, Profile | None] = {}

        def change(sync_id: str, profile_id: str) -> Callable[[Profile | None], Profile]:
            def onto(before: Profile | None) -> Profile:
                seen[sync_id] = before
                return wave[sync_id][1].onto(before, tenant, profile_id, now)

            return onto

        changes = {one: change(one, self.ids.new(now)) for one in wave}
        put = self.profiles.put_many(tenant, changes, goes_on)
        done = {}
        for sync_id, (line, _) in wave.items():
            profile = put.get(sync_id)
            outcome = _outcome(seen.get(sync_id), profile)
            done[line.number] = Done(line, outcome, profile.profile_id if profile else None)
        return done


def _checked(line: Line, organisation_id: str, now: datetime) -> Line:
    """The line, with what is wrong with it beyond its form."""
    if line.pushed is None or line.organisation_id is None:
        return line
    wrong: dict[str, Sequence[str]] = {}
    if line.organisation_id.lower() != organisation_id.lower():
        wrong["tenantId"] = ["must be the same in all lines"]
    try:
        checked_birth(line.pushed.person.date_of_birth, now)
    except ValidationFailed as error:
        wrong |= {one["field"]: [one["message"]] for one in error.members["errors"]}
    return Line(line.number, line.organisation_id, line.pushed, wrong)


def _waves(lines: Iterable[Line]) -> Iterable[Mapping[str, tuple[Line, Pushed]]]:
    """The lines in groups of different sync ids: the first ones of each, then the second ones."""
    waves: list[dict[str, tuple[Line, Pushed]]] = []
    count: dict[str, int] = {}
    for line in lines:
        if line.pushed is None:
            continue
        sync_id = line.pushed.sync_id
        number = count[sync_id] = count.get(sync_id, -1) + 1
        if number == len(waves):
            waves.append({})
        waves[number][sync_id] = (line, line.pushed)
    return waves


def _outcome(before: Profile | None, after: Profile | None) -> Outcome:
    if after is None:
        return Outcome.UNFINISHED
    if before is None:
        return Outcome.CREATED
    return Outcome.UNCHANGED if after == before else Outcome.CHANGED
