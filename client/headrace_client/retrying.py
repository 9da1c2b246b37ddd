"""When to repeat a request, and how long to wait before: pure rules."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

REPEATABLE_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    `attempts` is the number of times a request is sent in all. The n-th wait is drawn evenly
    from 0 to min(`longest`, `first` × 2ⁿ⁻¹) seconds; a Retry-After of the service is the least
    that is waited, and one above `patience` is not waited for at all: the error is raised, with
    the seconds in it.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 20.0
    patience: float = 120.0
    uniform: Callable[[float, float], float] = random.uniform

    def wait(self, sent: int, retry_after: float | None = None) -> float | None:
        """Seconds before the next sending after `sent` of them, or None: give up."""
        if sent >= self.attempts:
            return None
        if retry_after is not None and retry_after > self.patience:
            return None
        ceiling = min(self.longest, self.first * 2 ** (sent - 1))
        return max(retry_after or 0.0, self.uniform(0.0, ceiling))


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """The Retry-After header (RFC 9110 §10.2.3: seconds or a date) in seconds, never negative."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
