"""Keys by which callers start something once, however often they ask (``Idempotency-Key``)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.kernel.caller import Caller


@dataclass(frozen=True)
class IdempotencyKey:
    """A caller's key for one start, and the digest of what was asked with it."""

    key: str
    body_sha256: str


def idempotency_of(
    caller: Caller, key: str | None, asked: Sequence[object]
) -> IdempotencyKey | None:
    """A caller's key, if it sent one, with the digest of what it asked for: JSON values.

    What a data broker does for one organisation is nothing to another.
    """
    if not key:
        return None
    if caller.organisation is not None:
        key = f"{caller.organisation} {key}"
    return IdempotencyKey(key, hashlib.sha256(json.dumps(asked).encode()).hexdigest())
