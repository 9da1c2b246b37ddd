"""Users, roles and teams in DynamoDB.

    pk                 sk           holds
    tenant#TENANT      user#ID      ``username``, ``role``, ``password_hash``, ``created_at``,
                                    ``is_active``, ``generation``; ``revision``: counts the writes
    tenant#TENANT      role#NAME    ``integrator``, ``permissions``: a list of their names;
                                    ``groups``: a list of ids, if it sees only theirs
    tenant#TENANT      team#NAME    ``members``: a list of users' ids; ``revision``
    username#NAME      owner        ``tenant``, ``user_id``: whose name it is; written and removed
                                    in one transaction with the user, so no name is two users'

How often a login was tried lies in the same table: ``login_tries``.
"""

from dataclasses import dataclass

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.identity.users import Permission, Role, Team, User
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Conflict, NotFound

_OWNER = "owner"
_NOBODY = {"tenant": "-", "user_id": "-"}


@dataclass(frozen=True)
class DynamoUsers:
    """The ``Users`` port."""

    table: Table

    def find(self, tenant: str, user_id: str) -> User | None:
        """See the port."""
        item = self.table.get(_partition(tenant), f"user#{user_id}")
        return None if item is None else _user(item)

    def named(self, username: str) -> User | None:
        """See the port: two reads, whoever it is."""
        owner = self.table.get(_name(username), _OWNER) or _NOBODY
        return self.find(owner["tenant"], owner["user_id"])

    def listed(self, tenant: str) -> tuple[User, ...]:
        """See the port."""
        return tuple(_user(item) for item in self.table.query(_partition(tenant), "user#"))

    def add(self, user: User) -> None:
        """See the port."""
        owner = {
            "pk": _name(user.username),
            "sk": _OWNER,
            "tenant": user.tenant,
            "user_id": user.user_id,
        }
        try:
            self.table.transact(
                [
                    self.table.to_put(_item(user), "attribute_not_exists(pk)"),
                    self.table.to_put(owner, "attribute_not_exists(pk)"),
                ]
            )
        except ConditionFailed:
            raise Conflict(f"There is a user {user.username} already.") from None

    def save(self, user: User) -> None:
        """See the port."""
        try:
            self.table.put(_item(user), "revision = :seen", seen=user.revision)
        except ConditionFailed:
            raise _changed(user.username) from None

    def remove(self, user: User) -> None:
        """See the port."""
        key = _partition(user.tenant), f"user#{user.user_id}"
        try:
            self.table.transact(
                [
                    self.table.to_delete(*key, "revision = :seen", seen=user.revision),
                    self.table.to_delete(
                        _name(user.username), _OWNER, "user_id = :id", id=user.user_id
                    ),
                ]
            )
        except ConditionFailed:
            raise _changed(user.username) from None


@dataclass(frozen=True)
class DynamoRoles:
    """The ``Roles`` port."""

    table: Table

    def find(self, tenant: str, name: str) -> Role | None:
        """See the port."""
        item = self.table.get(_partition(tenant), f"role#{name}")
        return None if item is None else _role(tenant, item)

    def listed(self, tenant: str) -> tuple[Role, ...]:
        """See the port."""
        return tuple(_role(tenant, item) for item in self.table.query(_partition(tenant), "role#"))

    def put(self, role: Role) -> None:
        """See the port."""
        self.table.put(
            {
                "pk": _partition(role.tenant),
                "sk": f"role#{role.name}",
                "integrator": role.integrator,
                "permissions": sorted(role.permissions),
                "groups": None if role.groups is None else sorted(role.groups),
            }
        )

    def remove(self, tenant: str, name: str) -> None:
        """See the port."""
        key = _partition(tenant), f"role#{name}"
        try:
            self.table.transact([self.table.to_delete(*key, "attribute_exists(pk)")])
        except ConditionFailed:
            raise NotFound(f"The tenant {tenant} has no role {name}.") from None


@dataclass(frozen=True)
class DynamoTeams:
    """The ``Teams`` port."""

    table: Table

    def find(self, tenant: str, name: str) -> Team | None:
        """See the port."""
        item = self.table.get(_partition(tenant), f"team#{name}")
        return None if item is None else _team(tenant, item)

    def listed(self, tenant: str) -> tuple[Team, ...]:
        """See the port."""
        return tuple(_team(tenant, item) for item in self.table.query(_partition(tenant), "team#"))

    def save(self, team: Team) -> None:
        """See the port."""
        item = {
            "pk": _partition(team.tenant),
            "sk": f"team#{team.name}",
            "members": sorted(team.members),
            "revision": team.revision + 1,
        }
        try:
            if team.revision == 0:
                self.table.put(item, "attribute_not_exists(pk)")
            else:
                self.table.put(item, "revision = :seen", seen=team.revision)
        except ConditionFailed:
            raise _changed(team.name) from None

    def remove(self, team: Team) -> None:
        """See the port."""
        key = _partition(team.tenant), f"team#{team.name}"
        try:
            self.table.transact(
                [self.table.to_delete(*key, "revision = :seen", seen=team.revision)]
            )
        except ConditionFailed:
            raise _changed(team.name) from None


def _partition(tenant: str) -> str:
    return f"tenant#{tenant}"


def _name(username: str) -> str:
    return f"username#{username}"


def _changed(what: str) -> Conflict:
    return Conflict(f"Somebody else changed {what} just now; try again.")


def _item(user: User) -> Item:
    return {
        "pk": _partition(user.tenant),
        "sk": f"user#{user.user_id}",
        "username": user.username,
        "role": user.role,
        "password_hash": user.password_hash,
        "created_at": rfc3339(user.created_at),
        "is_active": user.is_active,
        "generation": user.generation,
        "revision": user.revision + 1,
    }


def _user(item: Item) -> User:
    return User(
        tenant=item["pk"].partition("#")[2],
        user_id=item["sk"].partition("#")[2],
        username=item["username"],
        role=item["role"],
        password_hash=item["password_hash"],
        created_at=from_rfc3339(item["created_at"]),
        is_active=item["is_active"],
        generation=item["generation"],
        revision=item["revision"],
    )


def _role(tenant: str, item: Item) -> Role:
    known = {str(permission): permission for permission in Permission}
    # A permission that this release does not know gives nothing.
    permissions = frozenset(known[name] for name in item["permissions"] if name in known)
    groups = None if "groups" not in item else frozenset(item["groups"])
    return Role(tenant, item["sk"].partition("#")[2], item["integrator"], permissions, groups)


def _team(tenant: str, item: Item) -> Team:
    members = frozenset(item["members"])
    return Team(tenant, item["sk"].partition("#")[2], members, item["revision"])
