"""What is done with groups and their categories: they are seen, pushed, and unlinked.

Only who sees all profiles says what groups there are: names decide what clients see, so whoever
sees some groups could otherwise come to see more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Conflict, Fenced, NotFound, SomeGroupsOnly, Unavailable
from headrace.kernel.ids import Ids
from headrace.profiles.linking import DeleteSyncIds
from headrace.profiles.model import Category, Group, HubTenant, Sight, normal_name
from headrace.profiles.ports import Groups, Sights
from headrace.profiles.tenancy import FindTenant

_TRIES = 20


@dataclass(frozen=True)
class Pushed:
    """What a system says of a group or a category. ``id``: ours; ``sync_id``: its own."""

    name: str
    id: str | None = None
    sync_id: str | None = None


@dataclass(frozen=True)
class Ref:
    """A profile, a group or a category, by our id or else by what the pushing system calls it."""

    id: str | None = None
    sync_id: str | None = None

    def names(self, one: Category | Group) -> bool:
        """Is it this one. What names neither id nor sync id is none, also of those without a
        sync id."""
        if self.id is not None:
            return one.id == self.id
        return self.sync_id is not None and one.sync_id == self.sync_id


@dataclass(frozen=True)
class SeeGroups:
    """Shows the groups of a tenant, and their categories."""

    find_tenant: FindTenant
    store: Groups
    sights: Sights

    def groups(self, caller: Caller, organisation_id: str) -> tuple[HubTenant, Sequence[Group]]:
        """The tenant, and its groups that the caller knows, by name. Raises TenantNotAllowed,
        WrongRegion."""
        tenant, sight = self._seen(caller, organisation_id)
        return tenant, [one for one in self.store.groups(tenant.tenant) if sight.knows(one)]

    def categories(
        self, caller: Caller, organisation_id: str
    ) -> tuple[HubTenant, Sequence[Category]]:
        """The same of its categories: who knows some groups only knows theirs."""
        tenant, sight = self._seen(caller, organisation_id)
        listed = self.store.categories(tenant.tenant)
        if sight.is_whole:
            return tenant, listed
        known = {one.category_id for one in self.store.groups(tenant.tenant) if sight.knows(one)}
        return tenant, [one for one in listed if one.category_id in known]

    def _seen(self, caller: Caller, organisation_id: str) -> tuple[HubTenant, Sight]:
        tenant = self.find_tenant(caller, organisation_id)
        return tenant, self.sights.of(caller, tenant.tenant)


@dataclass(frozen=True)
class ImportGroups:
    """Takes groups and categories as another system has them.

    One is found by its id if that is told, else by its sync id, else by its name, if it has no
    other sync id: so a system finds again what lost its link.
    """

    find_tenant: FindTenant
    store: Groups
    sights: Sights
    clock: Clock
    ids: Ids

    def category(
        self, caller: Caller, organisation_id: str, pushed: Pushed
    ) -> tuple[HubTenant, Category]:
        """The tenant and the category. To push the same again changes nothing.

        Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly (the caller sees some groups only),
        NotFound (no category of that id), Conflict (another one has the name, or the sync id of
        one that is told by its id), Unavailable.
        """
        tenant = whole_tenant(self.find_tenant, self.sights, caller, organisation_id)

        def put() -> Category:
            listed = self.store.categories(tenant.tenant)
            before = _found(listed, pushed)
            after = (
                Category(tenant.tenant, self._new_id(), pushed.name) if before is None else before
            )
            after = replace(after, name=pushed.name, sync_id=pushed.sync_id or after.sync_id)
            _check_sync_id(listed, after)
            if after != before:
                self.store.put_category(after)
            return after

        return tenant, again(put)

    def group(
        self, caller: Caller, organisation_id: str, pushed: Pushed, category: Ref | None = None
    ) -> tuple[HubTenant, Group]:
        """The same of a group; one that is pushed without a category stays in its own."""
        tenant = whole_tenant(self.find_tenant, self.sights, caller, organisation_id)

        def put() -> Group:
            of = None if category is None else self._category_id(tenant.tenant, category)
            listed = self.store.groups(tenant.tenant)
            named = [one for one in listed if of is None or one.category_id == of]
            before = _found(listed, pushed, named)
            after = Group(tenant.tenant, self._new_id(), pushed.name) if before is None else before
            after = replace(
                after,
                name=pushed.name,
                category_id=of or after.category_id,
                sync_id=pushed.sync_id or after.sync_id,
            )
            _check_sync_id(listed, after)
            if after != before:
                self.store.put_group(after)
            return after

        return tenant, again(put)

    def _category_id(self, tenant: str, ref: Ref) -> str:
        for one in self.store.categories(tenant):
            if ref.names(one):
                return one.id
        raise NotFound("The tenant has no such category.")

    def _new_id(self) -> str:
        return self.ids.new(self.clock.now())


@dataclass(frozen=True)
class RemovedSyncIds:
    """How many of each lost their sync ids."""

    categories: int
    groups: int
    profiles: int
    left: int
    """Profiles that another call has to do."""


@dataclass(frozen=True)
class RemoveSyncIds:
    """Takes the sync ids of a tenant's categories, groups and profiles away; they stay."""

    find_tenant: FindTenant
    store: Groups
    sights: Sights
    unlink_profiles: DeleteSyncIds

    def __call__(self, caller: Caller, organisation_id: str) -> tuple[HubTenant, RemovedSyncIds]:
        """The tenant, and how many it were; where some are left, to do it again goes on.

        Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly, Unavailable.
        """
        found = whole_tenant(self.find_tenant, self.sights, caller, organisation_id)
        tenant = found.tenant
        categories = sum(
            again(partial(self._category, one)) for one in self.store.categories(tenant)
        )
        groups = sum(again(partial(self._group, one)) for one in self.store.groups(tenant))
        _, profiles, left = self.unlink_profiles(caller, organisation_id)
        return found, RemovedSyncIds(categories, groups, profiles, left)

    def _category(self, category: Category) -> bool:
        now = _same(self.store.categories(category.tenant), category.id)
        if now is None or now.sync_id is None:
            return False
        self.store.put_category(replace(now, sync_id=None))
        return True

    def _group(self, group: Group) -> bool:
        now = _same(self.store.groups(group.tenant), group.id)
        if now is None or now.sync_id is None:
            return False
        self.store.put_group(replace(now, sync_id=None))
        return True


def whole_tenant(
    find_tenant: FindTenant, sights: Sights, caller: Caller, organisation_id: str
) -> HubTenant:
    """The tenant, for who sees all of it. Raises TenantNotAllowed, WrongRegion, SomeGroupsOnly."""
    tenant = find_tenant(caller, organisation_id)
    if not sights.of(caller, tenant.tenant).is_whole:
        raise SomeGroupsOnly(
            "You see the profiles of some groups only, so you cannot say what groups there are."
        )
    return tenant


def again[T](put: Callable[[], T]) -> T:
    """Does it, and anew where somebody else wrote meanwhile. Raises Unavailable."""
    for _ in range(_TRIES):
        try:
            return put()
        except Fenced:
            continue
    raise Unavailable("The groups are being changed; try again.", retry_after=1)


def _found[T: (Category, Group)](
    listed: Sequence[T], pushed: Pushed, named: Sequence[T] | None = None
) -> T | None:
    """Which of them is pushed; None: a new one. ``named``: those that may have its name."""
    if pushed.id is not None:
        found = _same(listed, pushed.id)
        if found is None:
            raise NotFound("The tenant has nothing of this id.")
        return found
    if pushed.sync_id is not None:
        for one in listed:
            if one.sync_id == pushed.sync_id:
                return one
    alike = [
        one
        for one in (listed if named is None else named)
        if normal_name(one.name) == normal_name(pushed.name)
        and (pushed.sync_id is None or one.sync_id is None)
    ]
    if len(alike) > 1:
        raise Conflict("Several have this name; tell which by its id, or by its category.")
    return alike[0] if alike else None


def _check_sync_id(listed: Sequence[Category | Group], after: Category | Group) -> None:
    """Raises Conflict: to try again would not help while another one has the sync id."""
    if after.sync_id is not None and any(
        one.sync_id == after.sync_id and one.id != after.id for one in listed
    ):
        raise Conflict("Another one has this sync id already.")


def _same[T: (Category, Group)](listed: Sequence[T], wanted: str) -> T | None:
    return next((one for one in listed if one.id == wanted), None)
