"""Profiles that are looked for (seed 004, "VALD profile IDs for athletes / patients")."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from headrace.kernel.caller import Caller
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.kernel.paging import cursor_behind, place_of
from headrace.profiles.model import HubTenant, Profile, Sight
from headrace.profiles.ports import Profiles, Sights
from headrace.profiles.tenancy import FindTenant

MOST_LISTED = 10_000
"""Profiles that one answer holds at most."""
MOST_BYTES = 4_500_000
"""What they may take there: Lambda answers 6 MiB at most."""
MOST_IDS = 200
"""Profiles that a search names."""
_FRAME_BYTES = 700
"""What a profile takes in an answer beside what is told of the person."""


@dataclass(frozen=True)
class Search:
    """What is looked for: what fits all that is given."""

    profile_ids: tuple[str, ...] = ()
    sync_id: str | None = None
    external_id: str | None = None
    modified_from: datetime | None = None
    group_id: str | None = None

    def fits(self, profile: Profile) -> bool:
        """Whether a profile is one of those."""
        return (
            (not self.profile_ids or profile.profile_id in self.profile_ids)
            and self.sync_id in (None, profile.sync_id)
            and self.external_id in (None, profile.person.external_id)
            and (self.modified_from is None or profile.modified_at >= self.modified_from)
            and (self.group_id is None or self.group_id in profile.groups)
        )


@dataclass(frozen=True)
class Found:
    """Profiles of a tenant, with what the caller sees of them; ``cursor``: others follow."""

    tenant: HubTenant
    sight: Sight
    profiles: tuple[Profile, ...]
    cursor: str | None = None


@dataclass(frozen=True)
class SearchProfiles:
    """Finds the profiles of a tenant that the caller sees."""

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights

    def __call__(
        self,
        caller: Caller,
        organisation_id: str,
        search: Search,
        size: int | None,
        cursor: str | None,
    ) -> Found:
        """All of them, or a page of at most ``size``; one that would be too large is shorter.

        Raises TenantNotAllowed, WrongRegion, ValidationFailed: there are more than one answer
        holds, InvalidRequest: another's cursor.
        """
        tenant = self.find_tenant(caller, organisation_id)
        sight = self.sights.of(caller, tenant.tenant)
        if sight.groups is not None and search.group_id not in (None, *sight.groups):
            # Whom the caller sees is no secret; whether they are in that group, too, is.
            return Found(tenant, sight, ())
        bound = f"{caller.client_id} {caller.user} {tenant.tenant} {search}"
        after = None if cursor is None else place_of(cursor, bound)
        listed: dict[str, Profile] = {}
        room = MOST_BYTES
        for profile in self._candidates(tenant.tenant, search, sight, after):
            if not search.fits(profile) or not sight.shows(profile):
                continue
            room -= _bytes(profile)
            if len(listed) == (size or MOST_LISTED) or room < 0:
                if size is None and cursor is None:
                    raise _too_many()
                last = next(reversed(listed.values()))
                following = cursor_behind(_place(search, sight, last), bound)
                return Found(tenant, sight, tuple(listed.values()), following)
            # One that was changed since it was listed stands where it now belongs.
            listed.pop(profile.profile_id, None)
            listed[profile.profile_id] = profile
        return Found(tenant, sight, tuple(listed.values()))

    def _candidates(
        self, tenant: str, search: Search, sight: Sight, after: str | None
    ) -> Iterator[Profile]:
        """Those that may fit, by what narrows the search most."""
        if search.profile_ids:
            ids = sorted(one for one in set(search.profile_ids) if one > (after or ""))
            found = (self.profiles.find(tenant, one) for one in ids)
            return (one for one in found if one is not None)
        if search.sync_id is not None:
            one = None if after else self.profiles.by_sync_id(tenant, search.sync_id)
            return iter(() if one is None else (one,))
        if search.external_id is not None:
            return self.profiles.by_external_id(tenant, search.external_id, after)
        if search.group_id is not None:
            return self.profiles.of_group(tenant, search.group_id, after)
        if sight.groups is not None:
            return self._of_groups(tenant, sight.groups, after)
        if after is None:
            return self.profiles.modified_from(tenant, search.modified_from)
        at, _, profile_id = after.partition(" ")
        return self.profiles.modified_from(tenant, from_rfc3339(at), profile_id)

    def _of_groups(
        self, tenant: str, groups: frozenset[str], after: str | None
    ) -> Iterator[Profile]:
        """Those in any of the groups, by id, each once."""
        each = (self.profiles.of_group(tenant, one, after) for one in sorted(groups))
        merged = heapq.merge(*each, key=_id)
        return (next(same) for _, same in groupby(merged, key=_id))


@dataclass(frozen=True)
class GetProfile:
    """Finds one profile by its id."""

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights

    def __call__(self, caller: Caller, organisation_id: str, profile_id: str) -> Found:
        """It alone. Raises TenantNotAllowed, WrongRegion, NotFound: also of one that the caller
        does not see."""
        tenant = self.find_tenant(caller, organisation_id)
        sight = self.sights.of(caller, tenant.tenant)
        profile = self.profiles.find(tenant.tenant, profile_id.lower())
        if profile is None or not sight.shows(profile):
            raise NotFound("The tenant has no such profile.")
        return Found(tenant, sight, (profile,))


@dataclass(frozen=True)
class ProfileExists:
    """Says whether a sync id is a profile's that the caller sees."""

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights

    def __call__(
        self, caller: Caller, organisation_id: str, sync_id: str
    ) -> tuple[HubTenant, bool]:
        """The tenant, and whether. Raises TenantNotAllowed, WrongRegion."""
        tenant = self.find_tenant(caller, organisation_id)
        profile = self.profiles.by_sync_id(tenant.tenant, sync_id)
        sight = self.sights.of(caller, tenant.tenant)
        return tenant, profile is not None and sight.shows(profile)


def _id(profile: Profile) -> str:
    return profile.profile_id


def _place(search: Search, sight: Sight, last: Profile) -> str:
    """Where the list of the candidates is to go on."""
    narrowed = search.profile_ids or search.external_id or search.group_id
    if narrowed or sight.groups is not None:
        return last.profile_id
    return f"{rfc3339(last.modified_at)} {last.profile_id}"


def _bytes(profile: Profile) -> int:
    """What it takes in an answer, at most: a character of a text may be escaped."""
    person = profile.person
    texts = (
        person.given_name,
        person.family_name,
        person.email or "",
        person.external_id or "",
        profile.sync_id or "",
    )
    told = sum(len(text.encode()) + text.count('"') + text.count("\\") for text in texts)
    return _FRAME_BYTES + told + 40 * len(profile.groups)


def _too_many() -> ValidationFailed:
    return ValidationFailed(
        "There are more profiles than one answer holds. Give a pageSize, and then the cursor that "
        "each answer has, as next.",
        [{"field": "pageSize", "message": "is needed: there are more than one answer holds"}],
    )
