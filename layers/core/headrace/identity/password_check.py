"""Is it the password of a user: asked where somebody logs in, and where a password comes with each
call."""

from dataclasses import dataclass

from headrace.identity.ports import LoginTries, Passwords, Users
from headrace.identity.users import User, normal_password, normal_username
from headrace.kernel.clock import Clock
from headrace.kernel.errors import LoginFailed

FAILED = "User name and password do not fit."


@dataclass(frozen=True)
class CheckPassword:
    """Whether the user is unknown or disabled or the password wrong, the same is read, written and
    hashed, and the same is answered: neither the answer nor its time tells who is a user here.

    ``each_call``: the password comes with every call, so that a right one is not counted against
    the address that it comes from.
    """

    users: Users
    tries: LoginTries
    passwords: Passwords
    clock: Clock
    each_call: bool = False

    def __call__(self, username: str, password: str, source_ip: str) -> User:
        """The user. Raises TooManyTries, LoginFailed, Unavailable."""
        name, now = normal_username(username), self.clock.now()
        # Counted first: of a hundred tries at once, no more than may be made are worked on.
        self.tries.count(name, source_ip, now)
        user = self.users.named(name)
        usable = user is not None and user.is_active
        fits = self.passwords.verify(
            user.password_hash if user and usable else None, normal_password(password)
        )
        if user is None or not usable or not fits:
            raise LoginFailed(FAILED)
        self.tries.forget(name)
        if self.each_call:
            self.tries.take_back(source_ip, now)
        return user
