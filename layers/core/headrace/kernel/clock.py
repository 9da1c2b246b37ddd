"""Time as a value that is handed in, so that tests own it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

MOST_SKEW = timedelta(hours=1)
"""Two machines' clocks differ by no more. (AWS refuses requests that are signed by a clock which is
off by some minutes: docs/decisions/0054-no-clock-decides-about-anothers-work.md.)"""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


def until(clock: Clock, span: timedelta) -> Callable[[], bool]:
    """Whether the span is not over yet that begins now."""
    end = clock.now() + span
    return lambda: clock.now() < end


def rfc3339(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC with milliseconds: fixed width, so it sorts as text."""
    utc = moment.astimezone(UTC)
    # Of years before 1000 the C library's %Y leaves zeros out: that neither sorts nor reads back.
    return f"{utc.year:04d}{utc:-%m-%dT%H:%M:%S.}{utc.microsecond // 1000:03d}Z"


def from_rfc3339(text: str) -> datetime:
    """The inverse of ``rfc3339``. Raises ValueError."""
    return datetime.fromisoformat(text)


def day_in(zone: str, moment: datetime) -> str:
    """The calendar day (ISO) of ``moment`` in the time zone (IANA name)."""
    return moment.astimezone(ZoneInfo(zone)).date().isoformat()


def start_of_next_day(zone: str, moment: datetime) -> datetime:
    """When the next calendar day begins in the time zone, in UTC; right across DST changes."""
    tz = ZoneInfo(zone)
    tomorrow = moment.astimezone(tz).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=tz).astimezone(UTC)
