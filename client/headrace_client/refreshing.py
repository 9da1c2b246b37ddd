"""Refresh tokens, kept in a file between runs.

A refresh token is good once: its exchange gives an access token and the next refresh token, and
ends the access token of before. One that comes a second time ends the key that it belongs to, as
somebody may have stolen it. So

- the file is written before and after each exchange, whole, with mode 0600;
- one process exchanges at a time (`NAME.lock` is held), and all share the access token;
- the Idempotency-Key of an exchange is in the file before the request goes out. Whoever is killed
  before the answer is in the file, or never gets it, sends the same request the next time, and gets
  the same next refresh token;
- a token that the service has refused is not sent again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from headrace_client.errors import CredentialEnded, LocalFileError, SetupError
from headrace_client.keys import demand_private
from headrace_client.tokens import Grant
from headrace_client.workspace import local_errors, locked, write_atomically

Exchange = Callable[[str, str], Grant]
"""Exchanges a refresh token under an Idempotency-Key."""

LOG_IN_AGAIN = (
    "Log in again: with a new key that a manager of the service makes, or with your password."
)
_PATIENCE_SECONDS = 150.0
"""Longer than an exchange with all its repetitions takes."""
_LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True)
class Kept:
    """What the file holds.

    `began_with` is the SHA-256 of the refresh token that was given to begin with. `exchange` is the
    Idempotency-Key of an exchange that has no stored answer. `bound_to` is the thumbprint of the
    key whose proofs each exchange needs. `refused` is what the service said when it took the token
    no more.
    """

    refresh_token: str = field(repr=False)
    began_with: str
    access_token: str | None = field(default=None, repr=False)
    renew_at: float = 0.0
    exchange: str | None = field(default=None, repr=False)
    bound_to: str | None = None
    refused: str | None = None

    def exchanged(self, grant: Grant, asked_at: float, bound_to: str | None) -> Kept:
        """After an exchange."""
        return Kept(
            refresh_token=grant.refresh_token or self.refresh_token,
            began_with=self.began_with,
            access_token=grant.access_token,
            renew_at=asked_at + grant.useful_for,
            bound_to=bound_to,
        )


class RefreshFile:
    """The file of one refresh token and those that follow it."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = path
        self.now = now
        self._sleep = sleep

    def begin(
        self,
        refresh_token: str,
        grant: Grant | None = None,
        bound_to: str | None = None,
    ) -> None:
        """Keep a refresh token that was given from outside, unless it is what the file began with.

        `grant` is what came with it, and `bound_to` the key that both need. Raises SetupError,
        LocalFileError.
        """
        digest = hashlib.sha256(refresh_token.encode()).hexdigest()
        with self._locked():
            held = self._read()
            if held is not None and held.began_with == digest:
                return
            fresh = Kept(refresh_token, digest)
            if grant is not None:
                fresh = fresh.exchanged(grant, self.now(), bound_to)
            self._write(fresh)

    def access_token(
        self, exchange: Exchange, refused: str | None, bound_to: str | None
    ) -> tuple[str, float]:
        """An access token that is not `refused`, and when to ask again; exchanges where needed.

        `bound_to` is the thumbprint of the key that proofs are signed by, if any. Raises
        SetupError, LocalFileError, and the errors of `exchange`.
        """
        with self._locked():
            held = self._read()
            if held is None:
                raise SetupError(f"There is no refresh token in {self.path}: log in again.")
            if held.refused is not None:
                raise SetupError(
                    f"The refresh token in {self.path} was refused before ({held.refused}), and is "
                    f"not sent again. {LOG_IN_AGAIN}"
                )
            if held.bound_to not in (None, bound_to):
                raise SetupError(
                    f"The refresh token in {self.path} is bound to the key {held.bound_to}, and "
                    f"is of use with that one only; now it is {bound_to or 'none'}."
                )
            token = held.access_token
            if token is not None and token != refused and self.now() < held.renew_at:
                return token, held.renew_at
            return self._exchanged(held, exchange, bound_to)

    def refresh_token(self) -> str | None:
        """The one that is good now."""
        with self._locked():
            held = self._read()
        return None if held is None else held.refresh_token

    def forget(self) -> None:
        """Delete the file."""
        with self._locked(), local_errors(self.path):
            self.path.unlink(missing_ok=True)

    def _exchanged(self, held: Kept, exchange: Exchange, bound_to: str | None) -> tuple[str, float]:
        key = held.exchange or secrets.token_urlsafe(32)
        if key != held.exchange:
            held = replace(held, exchange=key)
            self._write(held)
        asked_at = self.now()
        try:
            grant = exchange(held.refresh_token, key)
        except CredentialEnded as ended:
            self._write(replace(held, access_token=None, refused=ended.detail))
            ended.hint = LOG_IN_AGAIN
            raise
        after = held.exchanged(grant, asked_at, bound_to)
        self._write(after)
        return grant.access_token, after.renew_at

    def _read(self) -> Kept | None:
        try:
            demand_private(self.path)
            return Kept(**json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LocalFileError(f"{self.path} cannot be read: {error.strerror}.") from None
        except (ValueError, TypeError):
            raise SetupError(f"{self.path} is damaged: log in again.") from None

    def _write(self, kept: Kept) -> None:
        write_atomically(self.path, asdict(kept), mode=0o600)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file. Another process holds it for as long as an exchange takes."""
        with local_errors(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        refusal = LocalFileError(
            f"Another headrace command is at the refresh token in {self.path}, and does not come "
            "to an end. Run this one again when that has ended."
        )
        deadline = self.now() + _PATIENCE_SECONDS
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(locked(self.path.with_suffix(".lock"), refusal))
                    break
                except LocalFileError as error:
                    if error is not refusal or self.now() >= deadline:
                        raise
                self._sleep(_LOOK_AGAIN_SECONDS)
            yield


class RefreshedTokens:
    """Access tokens by a refresh token that is kept in a file."""

    def __init__(self, file: RefreshFile, exchange: Exchange, bound_to: str | None) -> None:
        self._file = file
        self._exchange = exchange
        self._bound_to = bound_to
        self._lock = threading.Lock()
        self._token: str | None = None
        self._refused: str | None = None
        self._renew_at = 0.0

    def current(self) -> str:
        """The one that is in the file, or that an exchange gives."""
        with self._lock:
            if self._token is None or self._file.now() >= self._renew_at:
                self._token, self._renew_at = self._file.access_token(
                    self._exchange, self._refused, self._bound_to
                )
            return self._token

    def refuse(self, token: str) -> bool:
        """Forget it. Another process may have exchanged since: then its token is in the file."""
        with self._lock:
            self._refused = token
            if self._token == token:
                self._token = None
        return True
