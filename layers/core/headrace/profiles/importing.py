"""Profiles that another system pushes (seed 004, "Push data to VALD Hub")."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import ValidationFailed
from headrace.kernel.ids import Ids
from headrace.profiles.model import HubTenant, Person, Profile
from headrace.profiles.ports import Profiles
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


@dataclass(frozen=True)
class ImportProfile:
    """Takes a profile: a sync id that the tenant knows changes its profile, another makes one."""

    find_tenant: FindTenant
    profiles: Profiles
    clock: Clock
    ids: Ids

    def __call__(
        self, caller: Caller, organisation_id: str, pushed: Pushed
    ) -> tuple[HubTenant, Profile]:
        """The tenant and the profile. To push the same again changes nothing.

        Raises TenantNotAllowed, WrongRegion, ValidationFailed, Unavailable.
        """
        tenant, now = self.find_tenant(caller, organisation_id), self.clock.now()
        checked_birth(pushed.person.date_of_birth, now)
        profile_id = self.ids.new(now)
        profile = self.profiles.put_by_sync_id(
            tenant.tenant,
            pushed.sync_id,
            lambda before: pushed.onto(before, tenant.tenant, profile_id, now),
        )
        return tenant, profile
