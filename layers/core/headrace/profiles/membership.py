"""Which profiles are in which groups: seen, and changed, within what the caller sees."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.profiles.grouping import Ref, again, whole_tenant
from headrace.profiles.model import MOST_GROUPS, Group, HubTenant, Profile, Sight
from headrace.profiles.ports import Groups, Profiles, Sights
from headrace.profiles.tenancy import FindTenant

MOST_AT_ONCE = 500
"""Memberships that one call changes, a write each, within API Gateway's 29 seconds."""
NO_PROFILE = "The tenant has no such profile for you."
NO_GROUP = "The tenant has no such group for you."


class How(Enum):
    """What is done with the groups that a call names."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True)
class Scene:
    """A tenant as one caller sees it."""

    tenant: HubTenant
    sight: Sight
    known: tuple[Group, ...]

    def group(self, ref: Ref) -> Group:
        """The group. Raises NotFound: there is none, or none that the caller knows."""
        for one in self.known:
            if ref.names(one):
                return one
        raise NotFound(NO_GROUP)

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids of the groups that the caller knows."""
        return frozenset(one.group_id for one in self.known)


@dataclass(frozen=True)
class Memberships:
    """Who is in which group."""

    find_tenant: FindTenant
    store: Groups
    profiles: Profiles
    sights: Sights
    clock: Clock

    def scene(self, caller: Caller, organisation_id: str) -> Scene:
        """What the caller sees of the tenant. Raises TenantNotAllowed, WrongRegion."""
        tenant = self.find_tenant(caller, organisation_id)
        sight = self.sights.of(caller, tenant.tenant)
        known = tuple(one for one in self.store.groups(tenant.tenant) if sight.knows(one))
        return Scene(tenant, sight, known)

    def of_group(self, scene: Scene, group: Group, after: str | None = None) -> Iterable[Profile]:
        """The profiles in a group that the caller knows, by id; ``after``: those behind this id."""
        return self.profiles.of_group(scene.tenant.tenant, group.group_id, after)

    def find(self, scene: Scene, ref: Ref) -> Profile:
        """The profile. Raises NotFound: there is none, or none that the caller sees."""
        tenant = scene.tenant.tenant
        if ref.id is not None:
            found = self.profiles.find(tenant, ref.id.lower())
        else:
            found = None if ref.sync_id is None else self.profiles.by_sync_id(tenant, ref.sync_id)
        if found is None or not scene.sight.shows(found):
            raise NotFound(NO_PROFILE)
        return found

    def change(self, scene: Scene, profile_id: str, named: frozenset[str], how: How) -> Profile:
        """The profile as it then is. Groups that the caller does not know stay as they are.

        Raises NotFound, ValidationFailed (it would be in too many groups), Unavailable.
        """

        def changed(now: Profile) -> Profile:
            if not scene.sight.shows(now):
                raise NotFound(NO_PROFILE)
            groups = _after(how, now.groups, named, scene.known_ids)
            if len(groups) > MOST_GROUPS:
                raise ValidationFailed(
                    f"A profile is in {MOST_GROUPS} groups at most.",
                    [{"field": "groupIds", "message": f"lead to {len(groups)} groups"}],
                )
            return now.changed(self.clock.now(), groups=groups)

        after = self.profiles.change(scene.tenant.tenant, profile_id, changed)
        if after is None:
            raise NotFound(NO_PROFILE)
        return after

    def settle(self, scene: Scene, profile_ids: Iterable[str], named: frozenset[str]) -> None:
        """Takes profiles that came into groups out of those again that were deleted meanwhile.

        Who deletes a group takes out whoever is in it after it is gone; whoever comes later finds
        here that it is. Raises NotFound if so.
        """
        there = {one.group_id for one in self.store.groups(scene.tenant.tenant)}
        if gone := named - there:
            for profile_id in profile_ids:
                self.change(scene, profile_id, gone, How.REMOVE)
            raise NotFound(NO_GROUP)


def _after(
    how: How, before: frozenset[str], named: frozenset[str], known: frozenset[str]
) -> frozenset[str]:
    if how is How.ADD:
        return before | named
    if how is How.REMOVE:
        return before - named
    return (before - known) | named


@dataclass(frozen=True)
class ChangeProfileGroups:
    """Puts a profile into groups, or takes it out of some."""

    memberships: Memberships

    def __call__(
        self,
        caller: Caller,
        organisation_id: str,
        profile: Ref,
        groups: Iterable[Ref],
        how: How,
    ) -> tuple[HubTenant, Profile]:
        """The tenant and the profile. To do it again changes nothing.

        Raises TenantNotAllowed, WrongRegion, NotFound, ValidationFailed, Unavailable.
        """
        scene = self.memberships.scene(caller, organisation_id)
        named = frozenset(scene.group(one).group_id for one in groups)
        found = self.memberships.find(scene, profile)
        changed = self.memberships.change(scene, found.profile_id, named, how)
        if named and how is not How.REMOVE:
            self.memberships.settle(scene, (found.profile_id,), named)
        return scene.tenant, changed


@dataclass(frozen=True)
class ChangedGroup:
    """A group, and the ids of the profiles that came into it and left it."""

    group: Group
    added: frozenset[str]
    removed: frozenset[str]


@dataclass(frozen=True)
class ChangeGroupProfiles:
    """Says which profiles are in a group, or takes some out of it."""

    memberships: Memberships

    def __call__(
        self,
        caller: Caller,
        organisation_id: str,
        group: Ref,
        profiles: Iterable[Ref],
        how: How,
    ) -> tuple[HubTenant, ChangedGroup]:
        """The tenant and what changed. A failure may leave part of it done: to do it again goes on.

        Raises TenantNotAllowed, WrongRegion, NotFound, ValidationFailed, Unavailable.
        """
        scene = self.memberships.scene(caller, organisation_id)
        found = scene.group(group)
        named = frozenset(self.memberships.find(scene, one).profile_id for one in profiles)
        there = frozenset(one.profile_id for one in self.memberships.of_group(scene, found))
        added = frozenset() if how is How.REMOVE else named - there
        removed = {How.ADD: frozenset(), How.REPLACE: there - named, How.REMOVE: there & named}[how]
        _check_number(len(added) + len(removed))
        only = frozenset({found.group_id})
        for profile_id in sorted(added):
            self.memberships.change(scene, profile_id, only, How.ADD)
        for profile_id in sorted(removed):
            with suppress(NotFound):  # it is gone itself
                self.memberships.change(scene, profile_id, only, How.REMOVE)
        if added:
            self.memberships.settle(scene, sorted(added), only)
        return scene.tenant, ChangedGroup(found, added, removed)


@dataclass(frozen=True)
class DeleteGroup:
    """Deletes a group; the profiles that were in it stay."""

    memberships: Memberships

    def __call__(self, caller: Caller, organisation_id: str, group: Ref) -> tuple[HubTenant, Group]:
        """The tenant, and what the group was. After a failure, the same call goes on.

        Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly, NotFound, ValidationFailed (more
        profiles are in it than a call takes), Unavailable.
        """
        whole_tenant(self.memberships.find_tenant, self.memberships.sights, caller, organisation_id)
        scene = self.memberships.scene(caller, organisation_id)
        found = scene.group(group)
        self._empty(scene, found)

        def deleted() -> Group:
            listed = self.memberships.store.groups(scene.tenant.tenant)
            for now in listed:
                if now.group_id == found.group_id:
                    self.memberships.store.delete_group(now)
            return found

        again(deleted)
        # Whoever came in meanwhile leaves too: nobody could take that one out any more.
        self._empty(scene, found)
        return scene.tenant, found

    def _empty(self, scene: Scene, group: Group) -> None:
        there = [one.profile_id for one in self.memberships.of_group(scene, group)]
        _check_number(len(there))
        for profile_id in there:
            with suppress(NotFound):  # it is gone itself
                self.memberships.change(scene, profile_id, frozenset({group.group_id}), How.REMOVE)


def _check_number(number: int) -> None:
    if number > MOST_AT_ONCE:
        raise ValidationFailed(
            f"{number} memberships would change; a call changes {MOST_AT_ONCE} at most. Take "
            "profiles out of the group first, some at a time.",
            [{"field": "profileIds", "message": "change too many memberships"}],
        )
