"""What proves a call: access tokens, fetched when first needed, renewed in time, shared by threads;
or what is sent as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Grant:
    """An access token, and for how many seconds from its issue it is good.

    `refresh_token` is what it is exchanged for the next by, where there is such a thing.
    """

    access_token: str = field(repr=False)
    expires_in: float
    refresh_token: str | None = field(default=None, repr=False)

    @property
    def useful_for(self) -> float:
        """Seconds until it is renewed: a minute before its end, or a tenth of a short life."""
        return self.expires_in - min(60.0, self.expires_in / 10)


class Tokens(Protocol):
    """Where the token of a call comes from. Threads may share it."""

    def current(self) -> str:
        """A token to call with. Raises the errors of whatever it takes to get one."""
        ...

    def refuse(self, token: str) -> bool:
        """Forget `token`, which the service refused; whether there may be another."""
        ...


class FixedToken:
    """One token that is sent as it is: nothing replaces it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        """The token."""
        return self._token

    def refuse(self, token: str) -> bool:
        """There is no other."""
        return False


class TokenSource:
    """Holds one token; several threads that find it stale cause one fetch, not several."""

    def __init__(self, fetch: Callable[[], Grant], monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0

    def current(self) -> str:
        """A token with time left: at least a minute, or a tenth of a short life."""
        with self._lock:
            if self._token is None or self._monotonic() >= self._renew_at:
                asked_at = self._monotonic()  # the life is counted from before the request
                grant = self._fetch()
                self._token = grant.access_token
                self._renew_at = asked_at + grant.useful_for
            return self._token

    def refuse(self, token: str) -> bool:
        """Forget `token`, which the service refused; a newer one stays. Another can be fetched."""
        with self._lock:
            if self._token == token:
                self._token = None
        return True
