"""The values and rules of persons who log in: users, their roles and teams, their passwords.

Seed 003 is where they come from: a role is marked as an API integrator's and carries named
permissions, and a person with that role, an e-mail address and a password logs in.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from headrace.kernel.errors import InvalidRequest

MAX_USERNAME = 254
"""Characters of an e-mail address (RFC 5321 section 4.5.3.1.3, without the angle brackets)."""
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]+")
_MAX_NAME = 64
_MAX_MEMBERS = 1000


class Permission(StrEnum):
    """What a role may allow, named as the operator reads it (seed 003, step 2; seeds 001, 004)."""

    EXPORT_TEMPLATES = "export templates through the API"
    MANAGE_SERVICES = "manage services"
    MANAGE_CONSENTS = "manage consents"
    READ_STATISTICS = "read statistics"
    DATA_EXCHANGE = "dataexchange IP"
    CREATE_AND_EXPORT = "datasetoperation createandexport API"
    READ_PROFILES = "read profiles"
    WRITE_PROFILES = "write profiles"

    @property
    def scope(self) -> str:
        """The scope that it gives, without the deployment's prefix."""
        return _SCOPES[self]


_SCOPES: Mapping[Permission, str] = {
    Permission.EXPORT_TEMPLATES: "templates:read",
    Permission.MANAGE_SERVICES: "services:manage",
    Permission.MANAGE_CONSENTS: "consents:manage",
    Permission.READ_STATISTICS: "statistics:read",
    Permission.DATA_EXCHANGE: "dataexchange",
    Permission.CREATE_AND_EXPORT: "datasetoperation:createandexport",
    Permission.READ_PROFILES: "profiles:read",
    Permission.WRITE_PROFILES: "profiles:write",
}


@dataclass(frozen=True)
class Role:
    """What the users of a tenant who have it may do; only integrators may log in."""

    tenant: str
    name: str
    integrator: bool
    permissions: frozenset[Permission] = frozenset()
    groups: frozenset[str] | None = None
    """The ids of the groups whose profiles its users see; None: all profiles (seed 004)."""

    def scopes(self, prefix: str) -> frozenset[str]:
        """The scopes of its users' tokens, as they stand there."""
        return frozenset(f"{prefix}:{permission.scope}" for permission in self.permissions)


@dataclass(frozen=True)
class User:
    """A person. ``username`` is an e-mail address in its normal form, and no other user's.

    ``generation`` counts what ended all logins so far; a login is of the one that it began in.
    ``revision`` counts the writes, so that of two at once one is refused.
    """

    tenant: str
    user_id: str
    username: str
    role: str
    password_hash: str = field(repr=False)
    created_at: datetime
    is_active: bool = True
    generation: int = 1
    revision: int = 0

    def with_password(self, password_hash: str) -> "User":
        """With another password: whoever is logged in is not any more."""
        return replace(self, password_hash=password_hash, generation=self.generation + 1)

    def hashed_anew(self, password_hash: str) -> "User":
        """With another hash of the same password, which ends nothing."""
        return replace(self, password_hash=password_hash)

    def disabled(self) -> "User":
        """Cannot log in, and is not logged in any more."""
        return replace(self, is_active=False, generation=self.generation + 1)

    def enabled(self) -> "User":
        """May log in again; what was ended stays so."""
        return replace(self, is_active=True)


@dataclass(frozen=True)
class Team:
    """Users of a tenant that things are entrusted to together. ``members``: ids of users."""

    tenant: str
    name: str
    members: frozenset[str] = frozenset()
    revision: int = 0

    def joined_by(self, user_id: str) -> "Team":
        """With one more. Raises InvalidRequest: it is full."""
        if len(self.members | {user_id}) > _MAX_MEMBERS:
            raise InvalidRequest(f"A team has {_MAX_MEMBERS} members at most.")
        return replace(self, members=self.members | {user_id})

    def left_by(self, user_id: str) -> "Team":
        """Without one."""
        return replace(self, members=self.members - {user_id})


@dataclass(frozen=True)
class Management:
    """Who manages a service: users by id, and teams by name, of the service's tenant.

    ``revision`` counts the writes, so that of two at once one is refused.
    """

    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    revision: int = 0


# --- Names and passwords --------------------------------------------------------------------------


def normal_username(text: str) -> str:
    """The form that user names are compared in (RFC 8265 section 3.3: NFC, small letters)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def new_username(text: str) -> str:
    """The user name to give to somebody. Raises InvalidRequest unless it is an e-mail address."""
    username = normal_username(text.strip())
    if len(username) > MAX_USERNAME or not _EMAIL.fullmatch(username):
        raise InvalidRequest("A user's name is an e-mail address.")
    if not username.isprintable():
        raise InvalidRequest("A user's name has no control characters.")
    return username


def new_name(text: str) -> str:
    """The name to give to a role or a team. Raises InvalidRequest."""
    name = unicodedata.normalize("NFC", text.strip())
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"A name has 1 to {_MAX_NAME} printable characters.")
    return name


def permissions_of(names: Iterable[str]) -> frozenset[Permission]:
    """The permissions of these names. Raises InvalidRequest, which lists those there are."""
    known = {str(permission): permission for permission in Permission}
    for name in names:
        if name not in known:
            raise InvalidRequest(
                f'There is no permission "{name}"; there are '
                + ", ".join(f'"{permission}"' for permission in Permission)
                + "."
            )
    return frozenset(known[name] for name in names)


MIN_PASSWORD = 12
MAX_PASSWORD = 1024
"""Characters. The upper bound only keeps the work of normalising small."""
_MIN_NAME_IN_PASSWORD = 4
_GUESSED_FIRST = frozenset(
    {
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456789123",
        "1q2w3e4r5t6y",
        "abcdefghijkl",
        "administrator",
        "changemeplease",
        "correcthorsebatterystaple",
        "iloveyouforever",
        "letmeinplease",
        "passwordpassword",
        "password1234",
        "password12345",
        "password123456",
        "qwerty123456",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopasdf",
        "welcome123456",
        "administrator1",
        "trustno1trustno1",
    }
)
"""Long enough, and tried first all the same. A small list: NIST SP 800-63B section 5.1.1.2 asks for
one, and the length is what keeps the rest out."""


def normal_password(text: str) -> str:
    """The form that passwords are hashed in (RFC 8265 section 4.2: NFC, nothing else changed)."""
    return unicodedata.normalize("NFC", text)


def new_password(text: str, username: str) -> str:
    """The password to give to a user, in the form that is hashed. Raises InvalidRequest, which
    says what is wrong and never the password.

    Length is what counts (NIST SP 800-63B section 5.1.1): no rule asks for signs or digits.
    """
    password = normal_password(text)
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    plain = normal_username(password)
    local = username.partition("@")[0]
    if len(local) >= _MIN_NAME_IN_PASSWORD and local in plain:
        raise InvalidRequest("The password must not contain the user's name.")
    if plain in _GUESSED_FIRST or len(set(plain)) < _MIN_NAME_IN_PASSWORD:
        raise InvalidRequest("This password is among the first that are guessed.")
    return password
