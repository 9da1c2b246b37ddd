"""Access tokens: fetched when first needed, renewed in time, shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Grant:
    """An access token, and for how many seconds from its issue it is good."""

    access_token: str
    expires_in: float


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
                self._renew_at = asked_at + grant.expires_in - min(60.0, grant.expires_in / 10)
            return self._token

    def refuse(self, token: str) -> None:
        """Forget `token`, which the service refused; a newer one stays."""
        with self._lock:
            if self._token == token:
                self._token = None
