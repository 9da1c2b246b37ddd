"""Cron expressions: when something is due, by the clock on the wall of a time zone.

Five fields: minute, hour, day of the month, month, day of the week. A field is ``*``, a number, a
range ``a-b``, ``*`` or a range with a step ``/n``, or a list of such with commas; months and days
of the week have English names of three letters, and Sunday is 0 or 7. Where days of the month and
of the week are both restricted, either will do (crontab(5)).

Where the clock is put forward, a time that it leaves out is due once, right after the gap. Where it
is put back, a time that comes twice is due the first time only. What is due in every hour follows
the hours that pass instead: it is due in each, also in one that comes twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_EVERY_HOUR = frozenset(range(24))
_HORIZON = 50 * 366
"""Days after which nothing is expected any more: a 29 February that is a Monday comes sooner."""


@dataclass(frozen=True)
class _Field:
    """What a field may hold: ``first`` to ``last``, or one of the names."""

    title: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def read(self, text: str) -> frozenset[int]:
        """The numbers that the field stands for. Raises ValueError."""
        return frozenset(number for term in text.split(",") for number in self._term(term))

    def _term(self, term: str) -> range:
        match = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/([0-9]+))?", term, re.ASCII)
        if match is None or (match[4] and match[1] != "*" and not match[3]):
            raise ValueError(
                f'"{term}" is no {self.title}: write *, a number, a range, or */2, or 1-9/2'
            )
        first, last = (self.first, self.last) if match[1] == "*" else self._bounds(match)
        step = int(match[4] or 1)
        if not 0 < step <= self.last:
            raise ValueError(f'"{term}" has a step that is not 1 to {self.last}')
        return range(first, last + 1, step)

    def _bounds(self, match: re.Match[str]) -> tuple[int, int]:
        first = self._number(match[2])
        last = self._number(match[3]) if match[3] else first
        if last < first:
            raise ValueError(f'"{match[1]}" ends before it begins; write it as a list of two')
        return first, last

    def _number(self, text: str) -> int:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.first
        if not text.isdecimal() or not self.first <= int(text) <= self.last:
            named = f", or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f'"{text}" is no {self.title}: {self.first} to {self.last}{named}')
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


@dataclass(frozen=True)
class Cron:
    """A cron expression. Raises ValueError, saying what is wrong, if it is none."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text.split()) != len(_FIELDS):
            raise ValueError(
                "must have five fields: minute, hour, day of the month, month, day of the week"
            )
        if next(self._days(date(2000, 1, 1)), None) is None:
            raise ValueError("is never due: no such day comes")

    @cached_property
    def _sets(self) -> tuple[frozenset[int], ...]:
        fields = zip(_FIELDS, self.text.split(), strict=True)
        minutes, hours, days, months, weekdays = (field.read(text) for field, text in fields)
        return minutes, hours, days, months, frozenset(day % 7 for day in weekdays)

    @cached_property
    def _either_day(self) -> bool:
        _, _, day, _, weekday = self.text.split()
        return not (day.startswith("*") or weekday.startswith("*"))

    def after(self, moment: datetime, zone: str) -> datetime | None:
        """When it is due next after ``moment``, in UTC; None if it never is again."""
        return next(self.times(moment, zone), None)

    def times(self, after: datetime, zone: str) -> Iterator[datetime]:
        """All times that it is due at after a moment, in UTC, in their order, each once."""
        tz = ZoneInfo(zone)
        every_hour = self._sets[1] == _EVERY_HOUR
        found = self._hours_passing(after, tz) if every_hour else self._on_the_wall(after, tz)
        last = after
        for due in found:
            if due > last:
                yield due
                last = due

    def _on_the_wall(self, after: datetime, tz: ZoneInfo) -> Iterator[datetime]:
        minutes, hours, *_ = self._sets
        clock = [time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]
        # A day earlier: what its last hours left out may be due right after a gap in this one.
        for day in self._days(after.astimezone(tz).date() - timedelta(days=1)):
            for at in clock:
                yield _instant(datetime.combine(day, at), tz)

    def _hours_passing(self, after: datetime, tz: ZoneInfo) -> Iterator[datetime]:
        minutes = self._sets[0]
        instant = after.astimezone(UTC).replace(second=0, microsecond=0)
        while True:
            today = instant.astimezone(tz).date()
            day = next(self._days(today), None)
            if day is None:
                return
            if day != today:
                instant = max(instant, _instant(datetime.combine(day, time()), tz))
            if instant.astimezone(tz).minute in minutes:
                yield instant
            instant += _MINUTE

    def _days(self, first: date) -> Iterator[date]:
        _, _, days, months, weekdays = self._sets
        chosen = any if self._either_day else all
        for offset in range(_HORIZON):
            day = first + timedelta(days=offset)
            if day.month in months and chosen((day.day in days, day.isoweekday() % 7 in weekdays)):
                yield day


def _instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """When a clock on the wall first shows this, in UTC; if it never does, when the gap ends."""
    while True:
        instant = wall.replace(tzinfo=tz).astimezone(UTC)
        if instant.astimezone(tz).replace(tzinfo=None) == wall:
            return instant
        wall += _MINUTE
