"""Which profiles callers see, by the catalog (see ``catalogs``), the roles (see ``users``) and the
groups (see ``groups``)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.users import DynamoRoles, DynamoUsers
from headrace.kernel.caller import Caller
from headrace.kernel.errors import NotFound
from headrace.profiles.model import Sight, normal_name
from headrace.profiles.ports import Groups

_NOTHING = Sight(frozenset())


@dataclass(frozen=True)
class StoredSights:
    """The ``Sights`` port."""

    catalog_table: Table
    users_table: Table
    groups: Groups
    _catalogs: DynamoCatalogs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_catalogs", DynamoCatalogs(self.catalog_table))

    def of(self, caller: Caller, tenant: str) -> Sight:
        """See the port. Who is known no more sees nothing."""
        if caller.user is not None:
            return self._of_user(caller.user, tenant)
        try:
            client = self._catalogs.client(caller.client_id)
        except NotFound:
            return _NOTHING
        if client is None or tenant not in client.tenants:
            return _NOTHING
        if client.profile_groups is None:
            return Sight()
        return Sight(self._named(tenant, client.profile_groups))

    def _of_user(self, user_id: str, tenant: str) -> Sight:
        user = DynamoUsers(self.users_table).find(tenant, user_id)
        found = None if user is None else DynamoRoles(self.users_table).find(tenant, user.role)
        return _NOTHING if found is None else Sight(found.groups)

    def _named(self, tenant: str, names: Sequence[str]) -> frozenset[str]:
        """The catalog names groups, as they have no id yet when it is written."""
        wanted = {normal_name(name) for name in names}
        return frozenset(
            group.group_id
            for group in self.groups.groups(tenant)
            if normal_name(group.name) in wanted
        )
