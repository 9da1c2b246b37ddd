"""Logging in with a user name and a password (seed 003), and going on without it."""

from dataclasses import dataclass, field, replace

from headrace.identity import tokens
from headrace.identity.api_keys import KeyKind, KeyText
from headrace.identity.dpop import CheckProof
from headrace.identity.issuing import (
    OTHER_KEY,
    SPENT_NOW,
    Asked,
    Grant,
    check_turn,
    exchange_key,
)
from headrace.identity.model import ACCESS_TOKEN_LIFETIME, AccessToken, scope_tokens
from headrace.identity.oauth import TokenIssued, TokenRefused
from headrace.identity.password_check import CheckPassword
from headrace.identity.ports import LoginSessions, Roles, Signer, Users
from headrace.identity.sessions import (
    LOGIN_PREFIX,
    LoginSession,
    read_refresh_token,
    refresh_token_of,
)
from headrace.identity.users import Role, User, normal_password
from headrace.kernel.caller import USER_CLIENT_ID, Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Conflict,
    InvalidProof,
    NonceNeeded,
    NotAnIntegrator,
    NotAuthenticated,
)
from headrace.kernel.ids import Ids

NOT_AN_INTEGRATOR = "This user's role may not log in through the API; ask your operator."
NOT_VALID = "The refresh token is not valid, or its login has ended. Log in again."
SPENT_BEFORE = (
    "The refresh token had been exchanged before, so the login has ended: somebody else may have "
    "it. Log in again."
)


@dataclass(frozen=True)
class Place:
    """Where somebody logs in, and with which proofs of possession (RFC 9449)."""

    issuer: str
    audience: str
    source_ip: str
    url: str = ""
    """What was called, as we are called in public."""
    proofs: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, asked: Asked) -> "Place":
        """The token endpoint's."""
        sent = asked.sent
        return cls(asked.issuer, asked.audience, asked.source_ip, sent.url, sent.proofs)


@dataclass(frozen=True)
class LoginGiven:
    """What a login gives, or its going on."""

    username: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    scope: str
    caller: Caller
    """Whose the tokens are, for the audit trail."""
    token_type: str = "Bearer"  # noqa: S105 - a kind, not a secret

    def document(self) -> dict[str, str | int]:
        """The JSON body (as clients of the seed's system read it)."""
        return {
            "username": self.username,
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
        }

    def issued(self) -> TokenIssued:
        """As the token endpoint answers it."""
        return TokenIssued(
            self.access_token,
            self.expires_in,
            self.scope,
            self.token_type,
            self.refresh_token,
            self.caller,
        )


@dataclass(frozen=True)
class GiveTokens:
    """Makes what a login gives."""

    signer: Signer
    clock: Clock
    ids: Ids
    scope_prefix: str

    def __call__(
        self, session: LoginSession, text: KeyText, user: User, role: Role, place: Place
    ) -> LoginGiven:
        """The tokens. What the role allows no more is left out, and nothing is added that the login
        did not give. Raises Unavailable."""
        now = self.clock.now()
        scopes = session.scopes & role.scopes(self.scope_prefix)
        key = session.rotation.bound_to
        token = AccessToken(
            issuer=place.issuer,
            audience=place.audience,
            client_id=USER_CLIENT_ID,
            tenant=session.tenant,
            scope=" ".join(sorted(scopes)),
            issued_at=now,
            token_id=self.ids.new(now),
            key=key,
            subject=session.user_id,
            more=session.claims(),
        )
        return LoginGiven(
            username=user.username,
            access_token=tokens.signed_by(self.signer, token),
            refresh_token=refresh_token_of(text),
            expires_in=int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            scope=token.scope,
            caller=session.caller(scopes),
            token_type="Bearer" if key is None else "DPoP",
        )


@dataclass(frozen=True)
class LogIn:
    """Gives a person tokens for a user name and a password."""

    check_password: CheckPassword
    roles: Roles
    sessions: LoginSessions
    check_proof: CheckProof
    give: GiveTokens

    def __call__(self, username: str, password: str, place: Place) -> LoginGiven:
        """The tokens. Raises InvalidProof, TooManyTries, LoginFailed, NotAnIntegrator,
        Unavailable."""
        clock = self.give.clock
        # Before all else, and for whoever it is: a bad proof tells nothing of the password.
        key = self.check_proof(place.proofs, "POST", place.url) if place.proofs else None
        user = self.check_password(username, password, place.source_ip)
        if self.check_password.passwords.is_outdated(user.password_hash):
            self._hash_anew(user, normal_password(password))
        role = self.roles.find(user.tenant, user.role)
        if role is None or not role.integrator:
            raise NotAnIntegrator(NOT_AN_INTEGRATOR)
        now = clock.now()
        text = KeyText.new(KeyKind.REFRESH, self.give.ids.new(now))
        scope = " ".join(sorted(role.scopes(self.give.scope_prefix)))
        session = LoginSession.begun(user, text, scope, key, now)
        given = self.give(session, text, user, role, place)
        self.sessions.begin(session)
        return given

    def _hash_anew(self, user: User, password: str) -> None:
        """With the parameters of today; the password is the same, so no login ends by it."""
        try:
            hashed = self.check_password.passwords.hash(password)
            self.check_password.users.save(user.hashed_anew(hashed))
        except Conflict:
            # Somebody changes the user at this moment; the next login will do it.
            return


@dataclass(frozen=True)
class ContinueLogin:
    """Exchanges the refresh token of a login for an access token and the next refresh token
    (RFC 6749 section 6, RFC 9700 section 4.14.2).

    One exchange of several at once wins. A token that had been exchanged longer than
    ``api_keys.GRACE`` ago ends its login. An exchange whose answer was lost is repeated with its
    Idempotency-Key, as that of an API key is.
    """

    users: Users
    roles: Roles
    sessions: LoginSessions
    check_proof: CheckProof
    give: GiveTokens

    def __call__(self, asked: Asked) -> TokenIssued:
        """The tokens."""
        sent = read_refresh_token(asked.parameters.get("refresh_token", ""))
        session = None if sent is None else self.sessions.find(sent.key_id)
        if sent is None or session is None:
            raise TokenRefused("invalid_grant", NOT_VALID)
        user, role = self._standing(session)
        place = Place.of(asked)
        self._check_possession(session, place)
        text = sent.next(exchange_key(asked))
        repeated = asked.idempotency_key is not None and session.rotation.is_that_of(text)
        if not repeated:
            now = self.give.clock.now()
            check_turn(
                session.turn(sent, now),
                was_spent=lambda: self.sessions.was_spent(session.session_id, sent.sha256),
                end=lambda: self.sessions.end(session.session_id, now),
                not_valid=NOT_VALID,
                spent_before=SPENT_BEFORE,
            )
        after = session if repeated else session.exchanged(sent, text, self.give.clock.now())
        # The token is signed before the exchange stands: then it has its answer.
        given = self.give(_narrowed(after, asked), text, user, role, place)
        if not repeated and not self.sessions.exchange(session, after):
            raise TokenRefused("invalid_grant", SPENT_NOW)
        return given.issued()

    def _standing(self, session: LoginSession) -> tuple[User, Role]:
        user = self.users.find(session.tenant, session.user_id)
        if user is None:
            raise TokenRefused("invalid_grant", NOT_VALID)
        found = self.roles.find(user.tenant, user.role)
        try:
            return user, session.permitted(user, found, self.give.clock.now())
        except NotAuthenticated:
            raise TokenRefused("invalid_grant", NOT_VALID) from None

    def _check_possession(self, session: LoginSession, place: Place) -> None:
        """A login with a proof goes on with proofs of the same key only."""
        if not place.proofs and session.rotation.bound_to is None:
            return
        try:
            key = self.check_proof(place.proofs, "POST", place.url)
        except NonceNeeded as error:
            raise TokenRefused(error.code, error.detail, nonce=error.nonce) from None
        except InvalidProof as error:
            raise TokenRefused(error.code, error.detail) from None
        if session.rotation.bound_to not in {None, key}:
            raise TokenRefused("invalid_grant", OTHER_KEY)


@dataclass(frozen=True)
class LogOut:
    """Ends a login, for whoever has its refresh token, also one that was exchanged since."""

    sessions: LoginSessions
    clock: Clock

    def __call__(self, refresh_token: str) -> bool:
        """Whether it is a login's refresh token by its form: then nothing is left of it."""
        sent = read_refresh_token(refresh_token)
        if sent is None:
            return False
        session = self.sessions.find(sent.key_id)
        if session is not None and (
            session.rotation.is_that_of(sent)
            or self.sessions.was_spent(session.session_id, sent.sha256)
        ):
            self.sessions.end(session.session_id, self.clock.now())
        return True


@dataclass(frozen=True)
class RefreshEither:
    """The refresh tokens of logins and those of API keys, told apart by how they begin."""

    logins: Grant
    api_keys: Grant

    def __call__(self, asked: Asked) -> TokenIssued:
        """The tokens."""
        is_a_logins = asked.parameters.get("refresh_token", "").startswith(f"{LOGIN_PREFIX}_")
        return (self.logins if is_a_logins else self.api_keys)(asked)


def _narrowed(session: LoginSession, asked: Asked) -> LoginSession:
    """With the scopes that are asked for (RFC 6749 section 6), for this one access token."""
    text = asked.parameters.get("scope")
    if text is None:
        return session
    names = scope_tokens(text)
    if names is None or not session.scopes.issuperset(names):
        raise TokenRefused("invalid_scope", "The login did not give a scope that was asked for.")
    return replace(session, scope=" ".join(sorted(set(names))))
