"""Links between profiles and the system that pushes them: taken away, and joined by a merge."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock, until
from headrace.kernel.errors import (
    Conflict,
    Fenced,
    NotFound,
    SomeGroupsOnly,
    ValidationFailed,
)
from headrace.profiles.model import MOST_GROUPS, HubTenant, Profile
from headrace.profiles.ports import Profiles, Sights
from headrace.profiles.tenancy import FindTenant

_TRIES = 10


@dataclass(frozen=True)
class DeleteSyncIds:
    """Takes every link of a tenant away; the profiles stay.

    It is what a system does before it is the first one to push to the tenant (seed 004).
    ``longest``: for how long a call works at it.
    """

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights
    clock: Clock
    longest: timedelta

    def __call__(self, caller: Caller, organisation_id: str) -> tuple[HubTenant, int, int]:
        """The tenant, how many links were taken away, and how many are left for another call.

        Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly.
        """
        goes_on = until(self.clock, self.longest)
        tenant = self.find_tenant(caller, organisation_id)
        if not self.sights.of(caller, tenant.tenant).is_whole:
            raise SomeGroupsOnly(
                "You see the profiles of some groups only, so you cannot take all links away."
            )
        linked = list(self.profiles.links(tenant.tenant))
        removed = self.profiles.unlink(linked, self.clock.now(), goes_on)
        return tenant, removed, len(linked) - removed


class Stays(StrEnum):
    """Whose sync id stays in a merge, where both have one."""

    FROM = "from"
    TO = "to"


@dataclass(frozen=True)
class MergeProfiles:
    """Makes one profile of two: one person was pushed twice."""

    find_tenant: FindTenant
    profiles: Profiles
    sights: Sights
    clock: Clock

    def __call__(
        self,
        caller: Caller,
        organisation_id: str,
        from_id: str,
        to_id: str,
        stays: Stays | None,
    ) -> HubTenant:
        """Deletes the first one, and puts the second one into its groups, too. The second one
        stays as it is told of otherwise, and gets the link of the first one if it has none.

        Raises TenantNotAllowed, WrongRegion, ValidationFailed, NotFound, Conflict: both have a
        sync id and nobody says which one stays, or they would be in too many groups; Fenced:
        others change them all the time.
        """
        tenant = self.find_tenant(caller, organisation_id)
        if from_id.lower() == to_id.lower():
            raise ValidationFailed(
                "A profile cannot be merged with itself.",
                [{"field": "toProfileId", "message": "must be another one than fromProfileId"}],
            )
        for attempt in range(_TRIES):
            merged = self._seen(caller, tenant, from_id)
            kept = self._seen(caller, tenant, to_id)
            try:
                self.profiles.merge(self._joined(merged, kept, stays), merged)
            except Fenced:
                if attempt == _TRIES - 1:
                    raise
                continue
            break
        return tenant

    def _seen(self, caller: Caller, tenant: HubTenant, profile_id: str) -> Profile:
        profile = self.profiles.find(tenant.tenant, profile_id.lower())
        if profile is None or not self.sights.of(caller, tenant.tenant).shows(profile):
            raise NotFound("The tenant has no such profile.")
        return profile

    def _joined(self, merged: Profile, kept: Profile, stays: Stays | None) -> Profile:
        if merged.sync_id is not None and kept.sync_id is not None and stays is None:
            raise Conflict(
                "Both profiles have a sync id. Say by syncIdOf which one stays, from or to; what "
                "is pushed with the other one makes a new profile."
            )
        groups = kept.groups | merged.groups
        if len(groups) > MOST_GROUPS:
            raise Conflict(f"A profile may be in {MOST_GROUPS} groups at most.")
        sync_id = kept.sync_id or merged.sync_id
        if stays is Stays.FROM and merged.sync_id is not None:
            sync_id = merged.sync_id
        return kept.changed(self.clock.now(), groups=groups, sync_id=sync_id)
