"""Completion webhooks: what an endpoint is told when an operation has ended, how, and how often.

The form is that of Standard Webhooks (https://www.standardwebhooks.com, version 1): a JSON message
with the headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.

A *delivery* is recorded by the very write that ends an attempt of an operation. It is tried until
the endpoint says 2xx, for a day at most::

    pending ──> delivered    the endpoint answered 2xx
       ├──────> gone         it answered 410, or the catalog has it no more
       └──────> given_up     a day went by
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from headrace.kernel.clock import rfc3339

EVENT_TYPE = "operation.completed"

LIFETIME = timedelta(hours=24)
"""How long a delivery is tried; the last try is when it is over."""
_GRACE = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=5)
_GROWTH = 3
_LONGEST_PAUSE = timedelta(hours=3)
_JITTER = 0.2

MAX_SECRETS = 2
"""An endpoint has one secret, and a second one while it moves from the first to the next."""
_SECRET_PREFIX = "whsec_"  # noqa: S105 — that of Standard Webhooks, not a secret
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Endpoint:
    """Where a client wants to be told, by a name of its own.

    ``default``: also of operations that name no endpoint. The URL may hold secrets of the client's:
    it is shown to nobody but the operator.
    """

    name: str
    url: str
    default: bool = False


@dataclass(frozen=True)
class Notice:
    """Which endpoint is told of an operation's end, and at what URL the API is for links."""

    endpoint: str
    base_url: str


@dataclass(frozen=True)
class Completion:
    """How an attempt of an operation ended. ``sync_version``: only of one that succeeded."""

    operation_id: str
    attempt: int
    kind: str
    status: str
    configuration_id: str
    entity: str | None
    sync_version: str | None
    error_code: str | None
    error_detail: str | None
    ended_at: datetime
    manifest: str


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


@dataclass(frozen=True)
class Delivery:
    """A message to an endpoint.

    ``tries`` counts those that were begun. ``run`` counts the executions that see to it: only the
    present one may. ``next_try_at``: while it is pending, when it may be tried.
    """

    tenant: str
    client_id: str
    endpoint: str
    completion: Completion
    state: DeliveryState = DeliveryState.PENDING
    run: int = 1
    tries: int = 0
    next_try_at: datetime | None = None
    last_try_at: datetime | None = None
    last: Answer = Answer()

    @property
    def delivery_id(self) -> str:
        """The message's id: the same at every try, and of no other end of any operation."""
        return f"msg_{self.completion.operation_id}_{self.completion.attempt}"

    @property
    def execution_name(self) -> str:
        """The name of the execution that sees to it: a second start is a repeat."""
        return f"{self.delivery_id}-{self.run}"

    @property
    def body(self) -> bytes:
        """The message: the same bytes at every try."""
        what = self.completion
        error = {"code": what.error_code, "detail": what.error_detail} if what.error_code else None
        message = {
            "type": EVENT_TYPE,
            "timestamp": rfc3339(what.ended_at),
            "data": {
                "operationId": what.operation_id,
                "attempt": what.attempt,
                "tenant": self.tenant,
                "kind": what.kind,
                "status": what.status,
                "configurationId": what.configuration_id,
                "entity": what.entity,
                "syncVersion": what.sync_version,
                "error": error,
                "manifest": what.manifest,
            },
        }
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()

    def begun(self, moment: datetime, jitter: float) -> "Delivery":
        """With a try begun: if nothing is heard of it any more, the next one is due all the same.

        ``jitter`` is a random number from 0 to 1.
        """
        tries = self.tries + 1
        pause = min(_FIRST_PAUSE * _GROWTH ** min(tries - 1, 12), _LONGEST_PAUSE)
        after = moment + pause * (1 - _JITTER + 2 * _JITTER * jitter)
        last = self._last_try_at
        following = min(after, last) if moment < last else after
        return replace(self, tries=tries, last_try_at=moment, next_try_at=following, last=Answer())

    def ended(self, answer: Answer) -> "Delivery":
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

    def abandoned(self) -> "Delivery":
        """As it ends when tries leave no result."""
        return replace(self, state=DeliveryState.GIVEN_UP, next_try_at=None)

    def withdrawn(self) -> "Delivery":
        """As it ends when the endpoint is not registered any more."""
        return replace(self, state=DeliveryState.GONE, next_try_at=None)

    def rerun(self) -> "Delivery":
        """Under another execution: the one before is over, or does not count any more."""
        return replace(self, run=self.run + 1)

    @property
    def _last_try_at(self) -> datetime:
        return self.completion.ended_at + LIFETIME


# --- signatures -----------------------------------------------------------------------------


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
