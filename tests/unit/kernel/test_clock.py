"""Days by the clock on the wall: nights in which an hour is missing or comes twice, leap days."""

from datetime import UTC, datetime, timedelta

import pytest

from headrace.kernel.clock import day_in, from_rfc3339, rfc3339, start_of_next_day

OSLO = "Europe/Oslo"


@pytest.mark.parametrize(
    ("moment", "day", "hours_left"),
    [
        ("2026-03-28T23:00:00.000Z", "2026-03-29", 23),  # an hour is missing
        ("2026-03-29T00:59:59.000Z", "2026-03-29", None),
        ("2026-03-29T21:59:59.999Z", "2026-03-29", None),
        ("2026-10-24T22:00:00.000Z", "2026-10-25", 25),  # an hour comes twice
        ("2026-10-25T00:30:00.000Z", "2026-10-25", None),
        ("2026-10-25T01:30:00.000Z", "2026-10-25", None),
        ("2028-02-28T23:00:00.000Z", "2028-02-29", 24),
        ("2027-02-27T23:00:00.000Z", "2027-02-28", 24),
    ],
)
def test_a_day_is_as_long_as_it_is_there(moment: str, day: str, hours_left: int | None) -> None:
    here = from_rfc3339(moment)
    following = start_of_next_day(OSLO, here)
    assert day_in(OSLO, here) == day
    assert day_in(OSLO, following - timedelta(milliseconds=1)) == day
    assert day_in(OSLO, following) > day
    if hours_left is not None:
        assert following - here == timedelta(hours=hours_left)


def test_a_leap_day_is_followed_by_march() -> None:
    following = start_of_next_day(OSLO, from_rfc3339("2028-02-29T12:00:00.000Z"))
    assert day_in(OSLO, following) == "2028-03-01"


def test_a_day_that_begins_at_one_begins_then() -> None:
    # In Beirut clocks go from 0:00 to 1:00.
    before = from_rfc3339("2026-03-28T12:00:00.000Z")
    following = start_of_next_day("Asia/Beirut", before)
    assert day_in("Asia/Beirut", following) == "2026-03-29"
    assert day_in("Asia/Beirut", following - timedelta(milliseconds=1)) == "2026-03-28"


def test_moments_sort_as_texts_through_the_night_in_which_an_hour_comes_twice() -> None:
    begun = datetime(2026, 10, 24, 23, tzinfo=UTC)
    moments = [begun + timedelta(minutes=20 * n) for n in range(12)]
    texts = [rfc3339(moment) for moment in moments]
    assert texts == sorted(set(texts))
    assert [from_rfc3339(text) for text in texts] == moments


def test_moments_of_every_year_sort_as_texts() -> None:
    moments = [datetime(year, 1, 1, tzinfo=UTC) for year in (1, 99, 999, 1000, 2026, 9999)]
    texts = [rfc3339(moment) for moment in moments]
    assert texts == sorted(texts)
    assert [from_rfc3339(text) for text in texts] == moments
