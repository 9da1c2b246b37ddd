"""What the operator does about users, roles and teams."""

from dataclasses import dataclass, replace

from headrace.identity.model import TENANT
from headrace.identity.ports import Passwords, Roles, Teams, Users
from headrace.identity.users import (
    Role,
    Team,
    User,
    new_name,
    new_password,
    new_username,
    normal_username,
    permissions_of,
)
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Conflict, InvalidRequest, NotFound
from headrace.kernel.ids import Ids


@dataclass(frozen=True)
class UserDirectory:
    """Users, roles and teams, found by the names that an operator knows them by."""

    users: Users
    roles: Roles
    teams: Teams

    def user(self, username: str) -> User:
        """Raises NotFound."""
        found = self.users.named(normal_username(username.strip()))
        if found is None:
            raise NotFound(f"There is no user {username}.")
        return found

    def role(self, tenant: str, name: str) -> Role:
        """Raises NotFound."""
        found = self.roles.find(tenant, new_name(name))
        if found is None:
            raise NotFound(f"The tenant {tenant} has no role {name}.")
        return found

    def team(self, tenant: str, name: str) -> Team:
        """Raises NotFound."""
        found = self.teams.find(tenant, new_name(name))
        if found is None:
            raise NotFound(f"The tenant {tenant} has no team {name}.")
        return found

    def members(self, team: Team) -> tuple[User, ...]:
        """The team's members that there are, by name."""
        found = (self.users.find(team.tenant, user_id) for user_id in team.members)
        return tuple(sorted((user for user in found if user), key=lambda user: user.username))


@dataclass(frozen=True)
class PutRole:
    """Makes a role what the operator says; whoever has it is bound by it from the next call on."""

    directory: UserDirectory

    def __call__(
        self,
        tenant: str,
        name: str,
        *,
        integrator: bool,
        permissions: tuple[str, ...],
        groups: frozenset[str] | None = None,
        every_group: bool = False,
    ) -> Role:
        """The role, which sees the profiles of these groups only, or all where None are named.

        Raises InvalidRequest for what is no name or permission, and where a role that sees some
        groups' profiles would come to see all without ``every_group``: leaving something out must
        not show more.
        """
        role = Role(
            _tenant(tenant), new_name(name), integrator, permissions_of(permissions), groups
        )
        before = self.directory.roles.find(tenant, role.name)
        if groups is None and not every_group and before is not None and before.groups is not None:
            raise InvalidRequest(
                f"The role {role.name} sees the profiles of {len(before.groups)} groups only: name "
                "its groups again, or say that it is to see those of all."
            )
        self.directory.roles.put(role)
        return role


@dataclass(frozen=True)
class RemoveRole:
    """Forgets a role that nobody has."""

    directory: UserDirectory

    def __call__(self, tenant: str, name: str) -> Role:
        """What it was. Raises NotFound, or Conflict: users have it."""
        role = self.directory.role(tenant, name)
        holders = [user for user in self.directory.users.listed(tenant) if user.role == role.name]
        if holders:
            raise Conflict(
                f"{len(holders)} of the tenant's users have the role {role.name}, among them "
                f"{holders[0].username}; give them another one first."
            )
        self.directory.roles.remove(tenant, role.name)
        return role


@dataclass(frozen=True)
class CreateUser:
    """Makes a person who can log in, if the role allows it."""

    directory: UserDirectory
    passwords: Passwords
    clock: Clock
    ids: Ids

    def __call__(self, tenant: str, username: str, role: str, password: str) -> User:
        """The user. Raises InvalidRequest (what the name or the password lacks), NotFound (no such
        role), Conflict (the name is taken)."""
        name = new_username(username)
        found = self.directory.role(_tenant(tenant), role)
        accepted = new_password(password, name)
        now = self.clock.now()
        user = User(tenant, self.ids.new(now), name, found.name, self.passwords.hash(accepted), now)
        self.directory.users.add(user)
        return user


@dataclass(frozen=True)
class SetPassword:
    """Gives a user another password, and ends every login there is."""

    directory: UserDirectory
    passwords: Passwords

    def __call__(self, username: str, password: str) -> User:
        """The user. Raises NotFound, InvalidRequest, Conflict."""
        user = self.directory.user(username)
        accepted = new_password(password, user.username)
        changed = user.with_password(self.passwords.hash(accepted))
        self.directory.users.save(changed)
        return changed


@dataclass(frozen=True)
class SetRole:
    """Gives a user another role, which counts from the next call on."""

    directory: UserDirectory

    def __call__(self, username: str, role: str) -> User:
        """The user. Raises NotFound, Conflict."""
        user = self.directory.user(username)
        changed = replace(user, role=self.directory.role(user.tenant, role).name)
        self.directory.users.save(changed)
        return changed


@dataclass(frozen=True)
class DeleteUser:
    """Forgets a user, who leaves all teams and is logged out."""

    directory: UserDirectory

    def __call__(self, username: str) -> User:
        """Who it was. Raises NotFound, Conflict."""
        user = self.directory.user(username)
        self.directory.users.remove(user)
        for team in self.directory.teams.listed(user.tenant):
            if user.user_id in team.members:
                self.directory.teams.save(team.left_by(user.user_id))
        return user


@dataclass(frozen=True)
class JoinTeam:
    """Makes a user a member of a team, and the team if it is not there yet."""

    directory: UserDirectory

    def __call__(self, tenant: str, name: str, username: str) -> Team:
        """The team. Raises NotFound (no such user in the tenant), InvalidRequest, Conflict."""
        user = self.directory.user(username)
        if user.tenant != tenant:
            raise NotFound(f"The tenant {tenant} has no user {username}.")
        known = self.directory.teams.find(tenant, new_name(name))
        team = (known or Team(tenant, new_name(name))).joined_by(user.user_id)
        self.directory.teams.save(team)
        return team


@dataclass(frozen=True)
class LeaveTeam:
    """Makes a user leave a team, which stays, with nobody in it if need be."""

    directory: UserDirectory

    def __call__(self, tenant: str, name: str, username: str) -> Team:
        """The team. Raises NotFound, Conflict."""
        team, user = self.directory.team(tenant, name), self.directory.user(username)
        if user.user_id not in team.members:
            raise NotFound(f"{username} is not in the team {name}.")
        left = team.left_by(user.user_id)
        self.directory.teams.save(left)
        return left


def _tenant(text: str) -> str:
    if not TENANT.fullmatch(text):
        raise InvalidRequest(f"{text} is no tenant's id.")
    return text
