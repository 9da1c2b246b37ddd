"""What callers are shown of groups, their categories, and who is in them."""

from dataclasses import dataclass
from typing import Self

from headrace.kernel.view import View
from headrace.profiles.grouping import RemovedSyncIds
from headrace.profiles.model import Category, Group, Profile


@dataclass(frozen=True)
class CategoryView(View):
    """What groups are sorted by."""

    id: str
    name: str
    sync_id: str | None
    """What the system that pushed it calls it."""

    @classmethod
    def of(cls, category: Category) -> Self:
        """The category."""
        return cls(category.category_id, category.name, category.sync_id)


@dataclass(frozen=True)
class CategoryList(View):
    """Categories, by name."""

    categories: tuple[CategoryView, ...]


@dataclass(frozen=True)
class GroupView(View):
    """Profiles that are seen together."""

    id: str
    name: str
    category_id: str | None
    sync_id: str | None
    """What the system that pushed it calls it."""

    @classmethod
    def of(cls, group: Group) -> Self:
        """The group."""
        return cls(group.group_id, group.name, group.category_id, group.sync_id)


@dataclass(frozen=True)
class GroupList(View):
    """Groups, by name."""

    groups: tuple[GroupView, ...]


@dataclass(frozen=True)
class MemberView(View):
    """A profile in a group, without what is told of the person."""

    profile_id: str
    sync_id: str | None

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """The profile."""
        return cls(profile.profile_id, profile.sync_id)


@dataclass(frozen=True)
class GroupMembers(View):
    """Profiles in a group, by their ids."""

    group_id: str
    profiles: tuple[MemberView, ...]
    next: str | None
    """Send it as `Cursor`, with the same group, to get those that follow; null on the last page."""


@dataclass(frozen=True)
class GroupChange(View):
    """What a call changed of who is in a group."""

    group_id: str
    added: int
    """How many profiles came into the group."""
    removed: int
    """How many left it."""


@dataclass(frozen=True)
class RemovedLinks(View):
    """How many of each lost their sync ids; they stay."""

    categories: int
    groups: int
    profiles: int
    left: int
    """Profiles that have theirs still, since there were more than one call takes: call again."""

    @classmethod
    def of(cls, removed: RemovedSyncIds) -> Self:
        """The counts."""
        return cls(removed.categories, removed.groups, removed.profiles, removed.left)
