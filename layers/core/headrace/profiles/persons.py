"""What a person may ask of the operator: all that is kept of them, and that it is kept no more
(GDPR articles 15 and 17)."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.kernel.errors import Conflict, NotFound
from headrace.profiles.model import Profile
from headrace.profiles.ports import Profiles


@dataclass(frozen=True)
class Asked:
    """Whose profile: by exactly one of these."""

    profile_id: str | None = None
    sync_id: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class FindPerson:
    """Finds the profiles of a person in a tenant."""

    profiles: Profiles

    def __call__(self, tenant: str, asked: Asked) -> Sequence[Profile]:
        """One, but for an e-mail address, which several may have: that takes reading them all.

        Raises NotFound.
        """
        found = tuple(self._found(tenant, asked))
        if not found:
            raise NotFound(f"The tenant {tenant} has no such profile.")
        return found

    def _found(self, tenant: str, asked: Asked) -> Sequence[Profile]:
        if asked.email is not None:
            wanted = _comparable(asked.email)
            every = self.profiles.modified_from(tenant, None)
            return [one for one in every if _comparable(one.person.email or "") == wanted]
        one = (
            self.profiles.find(tenant, asked.profile_id)
            if asked.profile_id is not None
            else self.profiles.by_sync_id(tenant, asked.sync_id or "")
        )
        return [] if one is None else [one]


def only_one(found: Sequence[Profile]) -> Profile:
    """The profile, where it is the only one. Raises Conflict, which names the ids of several."""
    if len(found) > 1:
        ids = ", ".join(one.profile_id for one in found)
        raise Conflict(f"{len(found)} profiles have this e-mail address; name one by its id: {ids}")
    return found[0]


def _comparable(email: str) -> str:
    return email.strip().casefold()
