"""What callers are shown of profiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from headrace.kernel.view import View
from headrace.profiles.finding import Found
from headrace.profiles.importing import Done, Outcome
from headrace.profiles.model import Profile, Sex, Sight


@dataclass(frozen=True)
class ProfileView(View):
    """A profile of a tenant."""

    profile_id: str
    """Our id of it."""
    sync_id: str | None
    """What the system that pushes it knows it by; null where the link was removed."""
    given_name: str
    family_name: str
    date_of_birth: str
    """The day, at midnight UTC."""
    sex: Sex
    email: str | None
    external_id: str | None
    is_created_by_user_over_18_years_old: bool
    is_guardian_consent_given: bool
    is_photo_video_consent_given: bool
    group_ids: tuple[str, ...]
    """The groups that it is in, of those that you know."""
    modified_date_utc: datetime
    """When it was last changed."""

    @classmethod
    def of(cls, profile: Profile, sight: Sight) -> Self:
        """The profile, to who has this sight."""
        person, groups = profile.person, profile.groups
        if sight.groups is not None:
            groups &= sight.groups
        return cls(
            profile_id=profile.profile_id,
            sync_id=profile.sync_id,
            given_name=person.given_name,
            family_name=person.family_name,
            date_of_birth=f"{person.date_of_birth.isoformat()}T00:00:00Z",
            sex=person.sex,
            email=person.email,
            external_id=person.external_id,
            is_created_by_user_over_18_years_old=person.is_created_by_user_over_18_years_old,
            is_guardian_consent_given=person.is_guardian_consent_given,
            is_photo_video_consent_given=person.is_photo_video_consent_given,
            group_ids=tuple(sorted(groups)),
            modified_date_utc=profile.modified_at,
        )


@dataclass(frozen=True)
class ProfileList(View):
    """Profiles."""

    profiles: tuple[ProfileView, ...]
    next: str | None
    """Send it as `Cursor`, with the same search, to get those that follow; null if none do."""

    @classmethod
    def of(cls, found: Found) -> Self:
        """What was found."""
        shown = (ProfileView.of(one, found.sight) for one in found.profiles)
        return cls(tuple(shown), found.cursor)


@dataclass(frozen=True)
class ProfileExistsView(View):
    """Whether a sync id is a profile's."""

    is_existing_profile: bool


@dataclass(frozen=True)
class SyncIdsDeleted(View):
    """The links that were removed; the profiles are there still."""

    removed: int
    """So many profiles have no sync id any more."""
    left: int
    """So many still have one: call again. 0 unless there are more than a call has time for."""


@dataclass(frozen=True)
class ImportedLine(View):
    """What came of a line of a batch. An answer has one such line for each."""

    line: int
    """The number of the line, from 1."""
    outcome: Outcome
    """`unfinished`: there was no time for it; push it again."""
    sync_id: str | None
    profile_id: str | None
    errors: Mapping[str, Sequence[str]]
    """Of a refused line: what is wrong with each field."""

    @classmethod
    def of(cls, done: Done) -> Self:
        """What came of the line."""
        line = done.line
        wrong = {name[:1].upper() + name[1:]: list(said) for name, said in line.wrong.items()}
        sync_id = line.pushed.sync_id if line.pushed else None
        return cls(line.number, done.outcome, sync_id, done.profile_id, wrong)
