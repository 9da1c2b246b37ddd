"""Logging in with a user name and a password (seed 003)."""

from dataclasses import dataclass, field

from headrace.identity import tokens
from headrace.identity.model import ACCESS_TOKEN_LIFETIME, AccessToken
from headrace.identity.ports import LoginTries, Passwords, Roles, Signer, Users
from headrace.identity.users import Role, Session, User, normal_password, normal_username
from headrace.kernel.caller import USER_CLIENT_ID, Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Conflict, LoginFailed, NotAnIntegrator
from headrace.kernel.ids import Ids

FAILED = "User name and password do not fit."
NOT_AN_INTEGRATOR = "This user's role may not log in through the API; ask your operator."


@dataclass(frozen=True)
class LoginGiven:
    """A login that succeeded."""

    username: str
    access_token: str = field(repr=False)
    expires_in: int
    caller: Caller
    """Whose the token is, for the audit trail."""
    token_type: str = "Bearer"  # noqa: S105 - a kind, not a secret

    def document(self) -> dict[str, str | int]:
        """The JSON body (facts of the seed's third-party clients)."""
        return {
            "username": self.username,
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
        }


@dataclass(frozen=True)
class LogIn:
    """Gives a person an access token for a user name and a password.

    Whether the user is unknown or disabled or the password is wrong, the same is read, written and
    hashed, and the same is answered: neither the answer nor its time tells who is a user here.
    """

    users: Users
    roles: Roles
    tries: LoginTries
    passwords: Passwords
    signer: Signer
    clock: Clock
    ids: Ids
    scope_prefix: str

    def __call__(
        self, username: str, password: str, source_ip: str, issuer: str, audience: str
    ) -> LoginGiven:
        """The token. Raises TooManyTries, LoginFailed, NotAnIntegrator, Unavailable."""
        name = normal_username(username)
        # Counted first: of a hundred tries at once, no more than may be made are worked on.
        self.tries.count(name, source_ip, self.clock.now())
        user = self._authenticated(name, normal_password(password))
        self.tries.forget(name)
        role = self.roles.find(user.tenant, user.role)
        if role is None or not role.integrator:
            raise NotAnIntegrator(NOT_AN_INTEGRATOR)
        return self._given(user, role, issuer, audience)

    def _authenticated(self, name: str, password: str) -> User:
        user = self.users.named(name)
        usable = user is not None and user.is_active
        fits = self.passwords.verify(user.password_hash if user and usable else None, password)
        if user is None or not usable or not fits:
            raise LoginFailed(FAILED)
        if self.passwords.is_outdated(user.password_hash):
            self._hash_anew(user, password)
        return user

    def _hash_anew(self, user: User, password: str) -> None:
        """With the parameters of today; the password is the same, so no login ends by it."""
        try:
            self.users.save(user.hashed_anew(self.passwords.hash(password)))
        except Conflict:
            # Somebody changes the user at this moment; the next login will do it.
            return

    def _given(self, user: User, role: Role, issuer: str, audience: str) -> LoginGiven:
        now = self.clock.now()
        scopes = role.scopes(self.scope_prefix)
        token = AccessToken(
            issuer=issuer,
            audience=audience,
            client_id=USER_CLIENT_ID,
            tenant=user.tenant,
            scope=" ".join(sorted(scopes)),
            issued_at=now,
            token_id=self.ids.new(now),
            subject=user.user_id,
            more=Session.of(user).claims(),
        )
        key_id = self.signer.key_id()
        text = tokens.signed(token, key_id, lambda message: self.signer.sign(key_id, message))
        caller = Caller(user.tenant, USER_CLIENT_ID, scopes, user=user.user_id)
        return LoginGiven(user.username, text, int(ACCESS_TOKEN_LIFETIME.total_seconds()), caller)
