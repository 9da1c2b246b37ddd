"""Users, roles and teams for tests, and the ports that hold them, in memory."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from headrace.identity.api_keys import KeyKind, KeyText
from headrace.identity.lockout import Tries
from headrace.identity.sessions import LoginSession
from headrace.identity.users import Permission, Role, Team, User
from headrace.kernel.errors import Conflict, NotFound, TooManyTries
from headrace.kernel.ids import RandomIds
from tests.unit.identity.tokens_made import NOW

PASSWORD = "a long enough one"
READ_TEMPLATES = "youforce-data-api:templates:read"
MANAGE_SERVICES = "youforce-data-api:services:manage"
REFRESH = KeyText.new(KeyKind.REFRESH, RandomIds().new(NOW))


def a_user(username: str = "ada@acme.example", **changes: Any) -> User:
    """A user of the tenant ``acme`` with the role ``integrator`` and the password PASSWORD."""
    user = User("acme", f"id-{username}", username, "integrator", f"hash of {PASSWORD}", NOW)
    return replace(user, **changes)


def a_role(name: str = "integrator", **changes: Any) -> Role:
    """A role of the tenant ``acme`` that may log in and export templates."""
    return replace(Role("acme", name, True, frozenset({Permission.EXPORT_TEMPLATES})), **changes)


@dataclass
class FakeUsers:
    """The ``Users`` port. ``reads``: how often it was looked into."""

    by_id: dict[tuple[str, str], User] = field(default_factory=dict)
    reads: int = 0

    @classmethod
    def of(cls, *users: User) -> "FakeUsers":
        """With these."""
        return cls({(user.tenant, user.user_id): user for user in users})

    def find(self, tenant: str, user_id: str) -> User | None:
        """See the port."""
        self.reads += 1
        return self.by_id.get((tenant, user_id))

    def named(self, username: str) -> User | None:
        """See the port."""
        self.reads += 1
        found = [user for user in self.by_id.values() if user.username == username]
        return self.find(found[0].tenant, found[0].user_id) if found else self.find("-", "-")

    def listed(self, tenant: str) -> tuple[User, ...]:
        """See the port."""
        return tuple(self.by_id[key] for key in sorted(self.by_id) if key[0] == tenant)

    def add(self, user: User) -> None:
        """See the port."""
        if any(user.username == other.username for other in self.by_id.values()):
            raise Conflict("taken")
        self.by_id[user.tenant, user.user_id] = replace(user, revision=1)

    def save(self, user: User) -> None:
        """See the port."""
        self._unchanged(user)
        self.by_id[user.tenant, user.user_id] = replace(user, revision=user.revision + 1)

    def remove(self, user: User) -> None:
        """See the port."""
        self._unchanged(user)
        del self.by_id[user.tenant, user.user_id]

    def _unchanged(self, user: User) -> None:
        stored = self.by_id.get((user.tenant, user.user_id))
        if stored is None or stored.revision != user.revision:
            raise Conflict("changed")


@dataclass
class FakeRoles:
    """The ``Roles`` port."""

    by_name: dict[tuple[str, str], Role] = field(default_factory=dict)

    @classmethod
    def of(cls, *roles: Role) -> "FakeRoles":
        """With these."""
        return cls({(role.tenant, role.name): role for role in roles})

    def find(self, tenant: str, name: str) -> Role | None:
        """See the port."""
        return self.by_name.get((tenant, name))

    def listed(self, tenant: str) -> tuple[Role, ...]:
        """See the port."""
        return tuple(self.by_name[key] for key in sorted(self.by_name) if key[0] == tenant)

    def put(self, role: Role) -> None:
        """See the port."""
        self.by_name[role.tenant, role.name] = role

    def remove(self, tenant: str, name: str) -> None:
        """See the port."""
        if self.by_name.pop((tenant, name), None) is None:
            raise NotFound("none")


@dataclass
class FakeTeams:
    """The ``Teams`` port."""

    by_name: dict[tuple[str, str], Team] = field(default_factory=dict)

    def find(self, tenant: str, name: str) -> Team | None:
        """See the port."""
        return self.by_name.get((tenant, name))

    def listed(self, tenant: str) -> tuple[Team, ...]:
        """See the port."""
        return tuple(self.by_name[key] for key in sorted(self.by_name) if key[0] == tenant)

    def save(self, team: Team) -> None:
        """See the port."""
        stored = self.by_name.get((team.tenant, team.name))
        if team.revision != (stored.revision if stored else 0):
            raise Conflict("changed")
        self.by_name[team.tenant, team.name] = replace(team, revision=team.revision + 1)

    def remove(self, team: Team) -> None:
        """See the port."""
        stored = self.by_name.get((team.tenant, team.name))
        if stored is None or stored.revision != team.revision:
            raise Conflict("changed")
        del self.by_name[team.tenant, team.name]


def a_session(user: User | None = None, **changes: Any) -> LoginSession:
    """A login of the user that began at NOW, with the refresh token REFRESH."""
    scope = f"{MANAGE_SERVICES} {READ_TEMPLATES}"
    session = LoginSession.begun(user or a_user(), REFRESH, scope, None, NOW)
    return replace(session, rotation=replace(session.rotation, **changes))


@dataclass
class FakeSessions:
    """The ``LoginSessions`` port."""

    by_id: dict[str, LoginSession] = field(default_factory=dict)
    spent: set[tuple[str, str | None]] = field(default_factory=set)

    @classmethod
    def of(cls, *sessions: LoginSession) -> "FakeSessions":
        """With these."""
        return cls({session.session_id: session for session in sessions})

    def find(self, session_id: str) -> LoginSession | None:
        """See the port."""
        return self.by_id.get(session_id)

    def begin(self, session: LoginSession) -> None:
        """See the port."""
        self.by_id[session.session_id] = session

    def exchange(self, before: LoginSession, after: LoginSession) -> bool:
        """See the port."""
        stored = self.by_id[before.session_id].rotation
        if stored.generation != before.rotation.generation or stored.revoked_at is not None:
            return False
        self.spent.add((before.session_id, before.rotation.sha256))
        self.by_id[before.session_id] = after
        return True

    def was_spent(self, session_id: str, sha256: str) -> bool:
        """See the port."""
        return (session_id, sha256) in self.spent

    def end(self, session_id: str, now: datetime) -> None:
        """See the port."""
        session = self.by_id.get(session_id)
        if session is not None and session.rotation.revoked_at is None:
            rotation = replace(session.rotation, revoked_at=now)
            self.by_id[session_id] = replace(session, rotation=rotation)


@dataclass
class FakeTries:
    """The ``LoginTries`` port, of names alone. ``counted``: every one that was let through."""

    by_name: dict[str, Tries] = field(default_factory=dict)
    counted: list[str] = field(default_factory=list)

    def count(self, username: str, source_ip: str, now: datetime) -> None:
        """See the port."""
        seen = self.by_name.get(username, Tries())
        if wait := seen.wait(now):
            raise TooManyTries("wait", retry_after=wait)
        self.by_name[username] = seen.after_another(now)
        self.counted.append(username)

    def forget(self, username: str) -> None:
        """See the port."""
        self.by_name.pop(username, None)

    def take_back(self, source_ip: str, now: datetime) -> None:
        """See the port."""


@dataclass
class FakePasswords:
    """The ``Passwords`` port, which tells what work was asked of it."""

    work: list[str] = field(default_factory=list)
    outdated: bool = False

    def hash(self, password: str) -> str:
        """See the port."""
        self.work.append("hash")
        return f"hash of {password}"

    def verify(self, password_hash: str | None, password: str) -> bool:
        """See the port."""
        self.work.append("verify")
        return password_hash == f"hash of {password}"

    def is_outdated(self, password_hash: str) -> bool:
        """See the port."""
        return self.outdated
