"""What profiles need of the world."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from headrace.kernel.caller import Caller
from headrace.profiles.model import Category, Group, HubTenant, Profile, Sight


class Tenants(Protocol):
    """The tenants of the published catalog that have an organisation id."""

    def of_caller(self, caller: Caller) -> Sequence[HubTenant]:
        """Those that the caller may name: the one of its token, or all that the client's entry
        lists where the token is good for all of them (``kernel.caller.EVERY_TENANT``); by name."""
        ...

    def base_url(self, region: str) -> str | None:
        """Where the deployment of another region is called."""
        ...


class Sights(Protocol):
    """Which profiles callers see."""

    def of(self, caller: Caller, tenant: str) -> Sight:
        """By the groups of the user's role, or of the client's entry in the catalog."""
        ...


class Profiles(Protocol):
    """The profiles of tenants. What is personal lies encrypted with the tenant's key.

    A change is a function from what is there to what is to be there, called anew when somebody
    else wrote meanwhile; a sync id is some other profile's never, however many write at once.
    """

    def find(self, tenant: str, profile_id: str) -> Profile | None:
        """Read consistently."""
        ...

    def by_sync_id(self, tenant: str, sync_id: str) -> Profile | None:
        """Read consistently."""
        ...

    def put_by_sync_id(
        self, tenant: str, sync_id: str, change: Callable[[Profile | None], Profile]
    ) -> Profile:
        """What ``change`` makes of the profile that has the link, or of none. Nothing is written
        where it changes nothing. Raises Unavailable where others write all the time."""
        ...

    def put_many(
        self,
        tenant: str,
        changes: Mapping[str, Callable[[Profile | None], Profile]],
        goes_on: Callable[[], bool],
    ) -> Mapping[str, Profile]:
        """As ``put_by_sync_id`` for each of the sync ids, many at once and in no order: what came
        of those that were done. Those are missing that ``goes_on`` left no time for, or that
        others write all the time."""
        ...

    def change(
        self, tenant: str, profile_id: str, change: Callable[[Profile], Profile]
    ) -> Profile | None:
        """What ``change`` makes of it, its links and groups with it; None: there is none.
        Raises SyncIdTaken: another profile has the sync id."""
        ...

    def merge(self, kept: Profile, merged: Profile) -> None:
        """Writes ``kept`` and deletes ``merged``, both or neither. Raises Fenced: one of them is
        not as it was read any more."""
        ...

    def delete(self, tenant: str, profile_id: str) -> bool:
        """With its link and memberships; False if it was not there."""
        ...

    def by_external_id(
        self, tenant: str, external_id: str, after: str | None = None
    ) -> Iterator[Profile]:
        """Those of this external id, by id; ``after``: those behind this id."""
        ...

    def of_group(self, tenant: str, group_id: str, after: str | None = None) -> Iterator[Profile]:
        """Those in the group, by id; ``after``: those behind this id."""
        ...

    def modified_from(
        self, tenant: str, moment: datetime | None, after: str | None = None
    ) -> Iterator[Profile]:
        """Those that were changed then or later (None: all), by the time of their last change,
        then by id; ``after``: of those of that very moment, those behind this id."""
        ...

    def links(self, tenant: str) -> Iterator[Profile]:
        """Those with a sync id."""
        ...

    def unlink(
        self, unlinked: Iterable[Profile], moment: datetime, goes_on: Callable[[], bool]
    ) -> int:
        """Takes the sync ids of these profiles of one tenant away: how many had one until now.
        Less than all where ``goes_on`` left no time."""
        ...


class Groups(Protocol):
    """Groups and their categories."""

    def groups(self, tenant: str) -> Sequence[Group]:
        """By name."""
        ...

    def categories(self, tenant: str) -> Sequence[Category]:
        """By name."""
        ...

    def put_group(self, group: Group) -> None:
        """Adds it where its revision is 0, else writes it anew. Raises Conflict: another group of
        its category has its name; Fenced: it is not as it was read any more, or another one got
        its sync id at this moment."""
        ...

    def put_category(self, category: Category) -> None:
        """The same of a category."""
        ...

    def delete_group(self, group: Group) -> None:
        """Raises Fenced: it is not as it was read any more."""
        ...
