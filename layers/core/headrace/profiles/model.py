"""The values of profiles, of the groups that segregate them, and of the tenants they belong to.

Seed 004 is where they come from. A *tenant* is named by its organisation id, a UUID. A *profile* is
known to us by its id, and to the system that pushes it by its *sync id*, which no other profile
of the tenant has. A *link* is that a profile has a sync id: links can be removed, profiles stay.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from headrace.kernel.errors import InvalidRequest, NotFound

MOST_GROUPS = 40
"""That a profile may be in, so that it and all that leads to it are written at once."""
MOST_CHARACTERS = 256
"""Of a name, a sync id or an external id; an email address has 254 at most (RFC 5321)."""


def normal_name(text: str) -> str:
    """The form that names of groups and categories are compared in."""
    return unicodedata.normalize("NFC", text.strip()).casefold()


class Sex(StrEnum):
    """As the API names it."""

    MALE = "Male"
    FEMALE = "Female"
    UNKNOWN = "Unknown"
    NOT_APPLICABLE = "NotApplicable"


@dataclass(frozen=True)
class HubTenant:
    """A tenant with an organisation id. ``region``: the only one whose deployment serves it.

    ``profile_url``: where a profile is shown, with ``{profileId}`` in it; None where nothing does.
    """

    tenant: str
    organisation_id: str
    name: str
    region: str | None = None
    profile_url: str | None = None


@dataclass(frozen=True)
class Person:
    """What is told of somebody: all of it is personal data, and none of it goes into a log."""

    given_name: str
    family_name: str
    date_of_birth: date
    sex: Sex = Sex.UNKNOWN
    email: str | None = None
    external_id: str | None = None
    is_created_by_user_over_18_years_old: bool = False
    is_guardian_consent_given: bool = False
    is_photo_video_consent_given: bool = False


@dataclass(frozen=True)
class Profile:
    """A profile. ``sync_id``: None where it has no link any more. ``groups``: ids.

    ``revision`` counts the writes, so that of two at once one is done anew.
    """

    tenant: str
    profile_id: str
    person: Person
    created_at: datetime
    modified_at: datetime
    sync_id: str | None = None
    groups: frozenset[str] = frozenset()
    revision: int = 0

    def changed(self, moment: datetime, **changes: Any) -> "Profile":
        """With these changes, made at that moment; itself if they change nothing."""
        after = replace(self, **changes)
        # The clock of who wrote before may be ahead of ours: what is newer sorts as newer.
        at = max(moment, self.modified_at)
        return self if after == self else replace(after, modified_at=at)


@dataclass(frozen=True)
class Category:
    """What groups are sorted by. ``sync_id``: what the pushing system calls it.

    ``revision`` counts the writes, as it does of a group.
    """

    tenant: str
    category_id: str
    name: str
    sync_id: str | None = None
    revision: int = 0

    @property
    def id(self) -> str:
        """What the API calls it by."""
        return self.category_id


@dataclass(frozen=True)
class Group:
    """Profiles that are seen together. A profile may be in several groups, or in none.

    No other group of its category has its name.
    """

    tenant: str
    group_id: str
    name: str
    category_id: str | None = None
    sync_id: str | None = None
    revision: int = 0

    @property
    def id(self) -> str:
        """What the API calls it by."""
        return self.group_id


def group_named(groups: Iterable[Group], text: str) -> Group:
    """The group of this id, or of this name. Raises NotFound, or InvalidRequest: several
    categories have a group of the name."""
    listed = tuple(groups)
    found = [one for one in listed if one.group_id == text.strip()]
    found = found or [one for one in listed if normal_name(one.name) == normal_name(text)]
    if not found:
        raise NotFound(f"The tenant has no group {text}.")
    if len(found) > 1:
        ids = ", ".join(one.group_id for one in found)
        raise InvalidRequest(f"Several groups are called {text}; name one by its id: {ids}.")
    return found[0]


@dataclass(frozen=True)
class Sight:
    """Which profiles of a tenant a caller sees; ``groups`` None: all, as an administrator does."""

    groups: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        """Does the caller see all, and so may say what groups there are."""
        return self.groups is None

    def knows(self, group: Group) -> bool:
        """Whether the caller knows that there is this group."""
        return self.groups is None or group.group_id in self.groups

    def shows(self, profile: Profile) -> bool:
        """Whether the caller sees it: a restricted one sees none that is in no group."""
        return self.groups is None or not self.groups.isdisjoint(profile.groups)
