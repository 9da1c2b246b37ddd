"""Messages that we owe somebody's endpoint: how they are signed, and how often they are tried.

The form is that of Standard Webhooks (https://www.standardwebhooks.com, version 1): the headers
``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``. A message is tried until the
endpoint says 2xx, for a day at most::

    pending ──> delivered    the endpoint answered 2xx
       ├──────> gone         it answered 410, or is not registered any more
       └──────> given_up     a day went by
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

LIFETIME = timedelta(hours=24)
"""How long a message is tried; the last try is when it is over."""
_GRACE = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=5)
_GROWTH = 3
_LONGEST_PAUSE = timedelta(hours=3)
_JITTER = 0.2

_SECRET_PREFIX = "whsec_"  # noqa: S105 — that of Standard Webhooks, not a secret
_SECRET_BYTES = 32


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GONE = "gone"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Answer:
    """What a try came to: the endpoint's status, or a stable code of why there is none."""

    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What is tried again and again.

    ``tries`` counts those that were begun. ``run`` counts the executions that see to it: only the
    present one may. ``next_try_at``: while it is pending, when it may be tried.
    """

    state: DeliveryState = DeliveryState.PENDING
    run: int = 1
    tries: int = 0
    next_try_at: datetime | None = None
    last_try_at: datetime | None = None
    last: Answer = Answer()

    @property
    def owed_since(self) -> datetime:
        """When it came to be owed."""
        raise NotImplementedError

    def begun(self, moment: datetime, jitter: float) -> Self:
        """With a try begun: if nothing is heard of it any more, the next one is due all the same.

        ``jitter`` is a random number from 0 to 1.
        """
        tries = self.tries + 1
        pause = min(_FIRST_PAUSE * _GROWTH ** min(tries - 1, 12), _LONGEST_PAUSE)
        after = moment + pause * (1 - _JITTER + 2 * _JITTER * jitter)
        last = self._last_try_at
        following = min(after, last) if moment < last else after
        return replace(self, tries=tries, last_try_at=moment, next_try_at=following, last=Answer())

    def ended(self, answer: Answer) -> Self:
        """After the try that was begun last came to this."""
        state = DeliveryState.PENDING
        if answer.status is not None and 200 <= answer.status < 300:
            state = DeliveryState.DELIVERED
        elif answer.status == 410:
            state = DeliveryState.GONE
        elif self.last_try_at is not None and self.last_try_at >= self._last_try_at:
            state = DeliveryState.GIVEN_UP
        pending = state is DeliveryState.PENDING
        next_try_at = self.next_try_at if pending else None
        return replace(self, state=state, last=answer, next_try_at=next_try_at)

    @property
    def is_hopeless(self) -> bool:
        """Did a try that was begun well after the day leave no result: another will not either."""
        return self.last_try_at is not None and self.last_try_at >= self._last_try_at + _GRACE

    def abandoned(self) -> Self:
        """As it ends when tries leave no result."""
        return replace(self, state=DeliveryState.GIVEN_UP, next_try_at=None)

    def withdrawn(self) -> Self:
        """As it ends when the endpoint is not registered any more."""
        return replace(self, state=DeliveryState.GONE, next_try_at=None)

    def rerun(self) -> Self:
        """Under another execution: the one before is over, or does not count any more."""
        return replace(self, run=self.run + 1)

    @property
    def _last_try_at(self) -> datetime:
        return self.owed_since + LIFETIME


def new_secret() -> str:
    """A signing secret: 256 random bits, in the form of Standard Webhooks."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(
    delivery_id: str, moment: datetime, body: bytes, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """The message's headers at this moment, with a signature by each of the secrets.

    Raises ValueError for a secret that is none.
    """
    timestamp = str(int(moment.timestamp()))
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(one, signed) for one in signing_secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    if not secret.startswith(_SECRET_PREFIX):
        raise ValueError("a signing secret begins with whsec_")
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a signing secret is base64 behind its prefix") from None
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
