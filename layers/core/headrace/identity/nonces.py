"""Nonces of ours in proofs of possession (RFC 9449 sections 8 and 9), where they are wanted.

A proof that must hold a nonce of now cannot have been made long before. There is one nonce for each
span of five minutes, the same for all callers: it shows that a proof is fresh, and the proof's own
id that it is used once. It is drawn at random by whoever needs it first, so nobody knows it before.
"""

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from headrace.identity.ports import Nonces
from headrace.kernel.clock import Clock
from headrace.kernel.errors import NonceNeeded

SPAN = timedelta(minutes=5)
_NONCE = re.compile(r"([0-9a-f]{1,10})\.[A-Za-z0-9_-]{43}")

NEEDED = "The DPoP proof needs the nonce of the header DPoP-Nonce."


def new_nonce(span: int) -> str:
    """A nonce of a span: 256 random bits behind the span's number."""
    return f"{span:x}.{secrets.token_urlsafe(32)}"


@dataclass
class ServerNonces:
    """The nonces of now. Keep one of these per process: it holds what was read."""

    store: Nonces
    clock: Clock
    _known: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    def current(self) -> str:
        """The nonce to use from now on. Raises Unavailable."""
        span = self._span()
        if span not in self._known:
            until = datetime.fromtimestamp((span + 3) * SPAN.total_seconds(), UTC)
            self._known = {
                **{known: nonce for known, nonce in self._known.items() if known == span - 1},
                span: self.store.agree(span, new_nonce(span), until),
            }
        return self._known[span]

    def check(self, nonce: str | None) -> None:
        """Raises NonceNeeded unless it is that of this span or the one before; Unavailable.

        Or the next one's: where it was given, the clock may be ahead.
        """
        match = _NONCE.fullmatch(nonce or "")
        span = -1 if match is None else int(match[1], 16)
        if not -1 <= span - self._span() <= 1 or nonce != self._of(span):
            raise NonceNeeded(NEEDED, self.current())

    def _of(self, span: int) -> str | None:
        if span == self._span():
            return self.current()
        if span not in self._known and (found := self.store.find(span)) is not None:
            self._known[span] = found
        return self._known.get(span)

    def _span(self) -> int:
        return int(self.clock.now().timestamp() // SPAN.total_seconds())
