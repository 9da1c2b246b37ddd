"""Logins that go on: what is remembered of one, and what its tokens say of it.

A login gives an access token for an hour and a refresh token, which is exchanged for the next of
each. The refresh tokens rotate as those of API keys do (``api_keys``): one of them is good at a
time, and whoever comes with one that was exchanged before has stolen it, or was stolen from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.identity.api_keys import ApiKey, KeyKind, KeyState, KeyText, Turn
from headrace.identity.users import Role, User
from headrace.kernel.caller import USER_CLIENT_ID, Caller
from headrace.kernel.errors import NotAuthenticated

SESSION_ENDED = "The login has ended. Log in again."
SESSION_LIFETIME = timedelta(days=30)
"""How long a login goes on at most, however often its refresh token is exchanged."""
LOGIN_PREFIX = "hrl"
"""What refresh tokens of logins begin with, so that scanners recognise a leaked one."""
_AS_A_KEYS = "hrr"


def refresh_token_of(text: KeyText) -> str:
    """The refresh token of a login, as it is sent: ``hrl_ID_SECRET``."""
    return LOGIN_PREFIX + text.text.removeprefix(_AS_A_KEYS)


def read_refresh_token(text: str) -> KeyText | None:
    """None if it is no refresh token of a login."""
    prefix, underscore, rest = text.partition("_")
    return KeyText.read(f"{_AS_A_KEYS}_{rest}") if underscore and prefix == LOGIN_PREFIX else None


@dataclass(frozen=True)
class LoginSession:
    """One login. ``rotation``: its refresh tokens, kept as those of an API key are.

    ``user_generation``: of the user, at the login; ``scope``: what it gave, which no exchange
    widens.
    """

    rotation: ApiKey = field(repr=False)
    user_generation: int
    scope: str

    @classmethod
    def begun(
        cls, user: User, text: KeyText, scope: str, bound_to: str | None, now: datetime
    ) -> "LoginSession":
        """The one that a login begins. ``text``: its first refresh token."""
        rotation = ApiKey(
            key_id=text.key_id,
            service=USER_CLIENT_ID,
            tenant=user.tenant,
            kind=KeyKind.REFRESH,
            created_at=now,
            created_by=user.user_id,
            expires_at=now + SESSION_LIFETIME,
            sha256=text.sha256,
            bound_to=bound_to,
        )
        return cls(rotation, user.generation, scope)

    @property
    def session_id(self) -> str:
        """Its id."""
        return self.rotation.key_id

    @property
    def tenant(self) -> str:
        """The user's tenant."""
        return self.rotation.tenant

    @property
    def scopes(self) -> frozenset[str]:
        """What it gave."""
        return frozenset(self.scope.split())

    @property
    def user_id(self) -> str:
        """Whose it is."""
        return self.rotation.created_by

    def turn(self, sent: KeyText, now: datetime) -> Turn:
        """What a refresh token that comes is."""
        return self.rotation.turn(sent, now)

    def exchanged(self, sent: KeyText, given: KeyText, now: datetime) -> "LoginSession":
        """Once ``sent`` is exchanged for ``given``; its end stays where it is."""
        rotated = self.rotation.exchanged(sent, given, self.rotation.bound_to, now)
        return replace(self, rotation=replace(rotated, expires_at=self.rotation.expires_at))

    def permitted(self, user: User | None, role: Role | None, now: datetime) -> Role:
        """The role that it has now. Raises NotAuthenticated when it does not go on.

        That is when it was ended or is over, when the user is gone or disabled or has another
        password, or has a role that may not log in.
        """
        over = self.rotation.state(now) is not KeyState.ACTIVE
        if over or user is None or not user.is_active or user.generation != self.user_generation:
            raise NotAuthenticated(SESSION_ENDED)
        if role is None or not role.integrator:
            raise NotAuthenticated(SESSION_ENDED)
        return role

    def claims(self) -> dict[str, str | int]:
        """What its access token says of it, beside the tenant."""
        return {
            "user_id": self.user_id,
            "session_id": self.session_id,
            "session_generation": self.rotation.generation,
        }

    def is_that_of(self, claims: Mapping[str, Any]) -> bool:
        """Is the access token of these claims the one that it gave last (seed 002: exchanging the
        refresh token ends the access token before)."""
        said = {name: claims.get(name) for name in ("tenant_id", *self.claims())}
        wanted = {"tenant_id": self.tenant, **self.claims()}
        # True is 1 to Python, and no generation.
        return said == wanted and not isinstance(said["session_generation"], bool)

    def caller(self, scopes: frozenset[str]) -> Caller:
        """The person, as a caller."""
        return Caller(
            self.tenant, USER_CLIENT_ID, scopes, user=self.user_id, credential=self.session_id
        )
