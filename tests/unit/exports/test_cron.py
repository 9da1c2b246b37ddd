"""When schedules are due: by the wall's clock, whatever is done to it."""

import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.exports.cron import Cron

AMSTERDAM = "Europe/Amsterdam"
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""When Amsterdam's clocks go from 03:00 back to 02:00."""


def due(cron: str, first: str, count: int = 4, zone: str = AMSTERDAM) -> list[str]:
    """The times due after a moment in the zone, with the offset of the zone then."""
    tz = ZoneInfo(zone)
    after = datetime.fromisoformat(first).replace(tzinfo=tz)
    found = islice(Cron(cron).times(after, zone), count)
    return [f"{moment.astimezone(tz):%Y-%m-%d %H:%M%z}" for moment in found]


@pytest.mark.parametrize(
    ("cron", "times"),
    [
        ("0 2 * * *", ["2026-06-02 02:00", "2026-06-03 02:00", "2026-06-04 02:00"]),
        ("*/20 9 * * *", ["2026-06-01 09:00", "2026-06-01 09:20", "2026-06-01 09:40"]),
        ("15,45 * * * *", ["2026-06-01 08:45", "2026-06-01 09:15", "2026-06-01 09:45"]),
        ("0 6-10/2 * * *", ["2026-06-01 10:00", "2026-06-02 06:00", "2026-06-02 08:00"]),
        ("0 7 * * mon-fri", ["2026-06-02 07:00", "2026-06-03 07:00", "2026-06-04 07:00"]),
        ("0 7 * * 7", ["2026-06-07 07:00", "2026-06-14 07:00", "2026-06-21 07:00"]),
        ("0 7 * * SUN", ["2026-06-07 07:00", "2026-06-14 07:00", "2026-06-21 07:00"]),
        ("0 7 1 JAN,JUL *", ["2026-07-01 07:00", "2027-01-01 07:00", "2027-07-01 07:00"]),
        ("0 7 31 * *", ["2026-07-31 07:00", "2026-08-31 07:00", "2026-10-31 07:00"]),
        ("0 7 13 * FRI", ["2026-06-05 07:00", "2026-06-12 07:00", "2026-06-13 07:00"]),
        ("0 7 */10 * FRI", ["2026-07-31 07:00", "2026-08-21 07:00", "2026-09-11 07:00"]),
        ("30 8 * * *", ["2026-06-02 08:30", "2026-06-03 08:30", "2026-06-04 08:30"]),
    ],
)
def test_it_is_due_when_the_expression_says(cron: str, times: list[str]) -> None:
    assert [moment[:-5] for moment in due(cron, "2026-06-01 08:30", 3)] == times


def test_29_february_comes_in_leap_years_only() -> None:
    times = due("0 2 29 2 *", "2026-01-01 00:00", 3)
    assert [moment[:10] for moment in times] == ["2028-02-29", "2032-02-29", "2036-02-29"]
    assert due("0 2 29 2 *", "2096-03-01 00:00", 1)[0][:10] == "2104-02-29", "2100 is none"
    assert due("0 0 * * *", "2028-02-28 12:00", 2) == [
        "2028-02-29 00:00+0100",
        "2028-03-01 00:00+0100",
    ]


@pytest.mark.parametrize(
    ("cron", "times"),
    [
        ("30 2 * * *", ["2026-03-29 03:00+0200", "2026-03-30 02:30+0200"]),
        ("*/30 2 * * *", ["2026-03-29 03:00+0200", "2026-03-30 02:00+0200"]),
        ("0 */2 * * *", ["2026-03-29 03:00+0200", "2026-03-29 04:00+0200"]),
        ("0,30 2,3 * * *", ["2026-03-29 03:00+0200", "2026-03-29 03:30+0200"]),
        ("0 3 * * *", ["2026-03-29 03:00+0200", "2026-03-30 03:00+0200"]),
        ("30 2 29 3 *", ["2026-03-29 03:00+0200", "2027-03-29 02:30+0200"]),
        ("30 * * * *", ["2026-03-29 01:30+0100", "2026-03-29 03:30+0200"]),
    ],
)
def test_a_time_that_the_clock_leaves_out_is_due_once_after_the_gap(
    cron: str, times: list[str]
) -> None:
    assert due(cron, "2026-03-29 01:10", 2) == times


@pytest.mark.parametrize(
    ("cron", "times"),
    [
        ("30 2 * * *", ["2026-10-25 02:30+0200", "2026-10-26 02:30+0100"]),
        ("0 3 * * *", ["2026-10-25 03:00+0100", "2026-10-26 03:00+0100"]),
        ("*/30 2 * * *", ["2026-10-25 02:00+0200", "2026-10-25 02:30+0200"]),
        ("0 */2 * * *", ["2026-10-25 02:00+0200", "2026-10-25 04:00+0100"]),
    ],
)
def test_a_time_that_comes_twice_is_due_the_first_time_only(cron: str, times: list[str]) -> None:
    assert due(cron, "2026-10-25 01:10", 2) == times
    again = Cron(cron).after(AUTUMN + timedelta(minutes=10), AMSTERDAM)
    assert again is not None
    assert again.astimezone(ZoneInfo(AMSTERDAM)).hour != 2 or again > AUTUMN + timedelta(hours=2)


def test_what_is_due_every_hour_follows_the_hours_that_pass() -> None:
    assert due("30 * * * *", "2026-10-25 01:10", 3) == [
        "2026-10-25 01:30+0200",
        "2026-10-25 02:30+0200",
        "2026-10-25 02:30+0100",
    ]
    assert due("0 0-23 * * SUN", "2026-10-25 02:10", 2) == [
        "2026-10-25 02:00+0100",
        "2026-10-25 03:00+0100",
    ]
    assert due("0 * * * MON", "2026-10-25 02:10", 2) == [
        "2026-10-26 00:00+0100",
        "2026-10-26 01:00+0100",
    ]


def test_a_midnight_that_a_zone_leaves_out_and_a_day_that_it_skips() -> None:
    # Cairo's clocks go from 24 April 24:00 to 25 April 01:00 (2026: the last Friday of April).
    assert due("0 0 24 4 *", "2026-04-23 12:00", 1, "Africa/Cairo") == ["2026-04-24 01:00+0300"]
    # Apia had no 30 December 2011: it went over the date line.
    assert due("0 12 30 12 *", "2011-12-29 13:00", 1, "Pacific/Apia") == ["2011-12-31 00:00+1400"]


@given(
    st.sampled_from(["30 2 * * *", "*/7 1-3 * * *", "0 */3 * * *", "*/15 * * * *", "0 0 1 * MON"]),
    st.integers(0, 400 * 24 * 60),
    st.sampled_from([AMSTERDAM, "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
)
def test_going_on_from_any_moment_leaves_nothing_out_and_repeats_nothing(
    cron: str, minutes: int, zone: str
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    times = list(islice(Cron(cron).times(moment, zone), 12))
    assert times[0] > moment
    assert all(one < other for one, other in pairwise(times))
    assert all(time.second == 0 for time in times)
    for one, other in pairwise(times):
        assert Cron(cron).after(one, zone) == other
        assert Cron(cron).after(other - timedelta(seconds=1), zone) == other


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 2 * *", "must have five fields"),
        ("0 0 2 * * *", "must have five fields"),
        ("", "must have five fields"),
        ("@daily", "must have five fields"),
        ("60 2 * * *", '"60" is no minute: 0 to 59'),
        ("0 24 * * *", '"24" is no hour: 0 to 23'),
        ("0 2 0 * *", '"0" is no day of the month: 1 to 31'),
        ("0 2 * 13 *", '"13" is no month: 1 to 12, or JAN to DEC'),
        ("0 2 * * 8", '"8" is no day of the week: 0 to 7, or SUN to SAT'),
        ("0 2 * * MONDAY", '"MONDAY" is no day of the week'),
        ("0 2 * * FRI-MON", '"FRI-MON" ends before it begins'),
        ("0-60 2 * * *", '"60" is no minute'),
        ("5/15 2 * * *", '"5/15" is no minute'),
        ("*/0 2 * * *", '"*/0" has a step that is not 1 to 59'),
        ("*/60 2 * * *", '"*/60" has a step that is not 1 to 59'),
        ("1,,2 2 * * *", '"" is no minute'),
        ("-1 2 * * *", '"-1" is no minute'),
        ("1.5 2 * * *", '"1.5" is no minute'),
        ("١ 2 * * *", '"١" is no minute'),
        ("0 2 L * *", '"L" is no day of the month'),
        ("0 2 * * MON#1", '"MON#1" is no day of the week'),
        ("0 2 30 2 *", "is never due"),
        ("0 2 31 2,4,6,9,11 *", "is never due"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(cron: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        Cron(cron)
