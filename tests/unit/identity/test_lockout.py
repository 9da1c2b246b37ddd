"""How often a password may be tried: the arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.identity.lockout import (
    ADDRESS_WINDOW,
    FORGOTTEN_AFTER,
    FREE_TRIES,
    LONGEST_WAIT,
    Tries,
    Window,
    address_counted,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = int(LONGEST_WAIT.total_seconds())
moments = st.datetimes(
    min_value=datetime(2020, 1, 1),
    max_value=datetime(2040, 1, 1),
    timezones=st.just(UTC),
)
counts = st.integers(0, 100_000)


def after(count: int, moment: datetime = NOON) -> Tries:
    tries = Tries()
    for _ in range(count):
        tries = tries.after_another(moment)
    return tries


def test_ten_tries_cost_no_waiting_and_the_eleventh_does() -> None:
    assert [after(count).wait(NOON) for count in range(FREE_TRIES + 1)] == [0] * 10 + [30]


def test_each_further_failure_doubles_the_wait_up_to_an_hour() -> None:
    waits = [after(count).wait(NOON) for count in range(10, 20)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_name_that_nobody_tried_for_a_day_begins_anew() -> None:
    locked = after(15)
    just_before = NOON + FORGOTTEN_AFTER - timedelta(seconds=1)
    assert locked.after_another(just_before).count == 16
    assert locked.after_another(NOON + FORGOTTEN_AFTER).count == 1


@given(counts, moments, moments)
def test_no_wait_is_negative_or_longer_than_an_hour_whatever_the_clocks_say(
    count: int, last: datetime, now: datetime
) -> None:
    assert 0 <= Tries(count, last).wait(now) <= HOUR


@given(counts, moments)
def test_another_failure_never_shortens_the_wait(count: int, now: datetime) -> None:
    assert Tries(count, now).wait(now) <= Tries(count + 1, now).wait(now)


@given(counts, moments, st.floats(0, HOUR))
def test_who_waits_as_told_may_try(count: int, now: datetime, gone: float) -> None:
    tries, then = Tries(count, now), now + timedelta(seconds=gone)
    assert tries.wait(then + timedelta(seconds=tries.wait(then))) == 0


@given(st.lists(st.floats(0, 7200), max_size=60))
def test_nobody_gets_more_than_ten_and_one_an_hour_on_top_of_the_ramp(steps: list[float]) -> None:
    """Whenever the tries are made: let through in a day are ten, the ramp's seven, and one for
    each hour of what is left."""
    tries, now, let_through = Tries(), NOON, 0
    for step in steps:
        now += timedelta(seconds=step)
        if now - NOON >= timedelta(days=1):
            break
        if tries.wait(now) == 0:
            tries = tries.after_another(now)
            let_through += 1
    assert let_through <= 10 + 7 + 24


@given(moments)
def test_a_window_ends_within_a_quarter_of_an_hour_and_the_next_begins_there(
    now: datetime,
) -> None:
    window = Window.at(now)
    assert 0 < window.ends_in <= ADDRESS_WINDOW.total_seconds()
    whole = now.replace(microsecond=0)
    assert Window.at(whole + timedelta(seconds=window.ends_in)).number == window.number + 1
    assert Window.at(whole + timedelta(seconds=window.ends_in - 1)).number == window.number


@pytest.mark.parametrize(
    ("source_ip", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("nowhere", "unknown"),
    ],
)
def test_an_address_counts_as_what_its_owner_has_of_it(source_ip: str, counted: str) -> None:
    assert address_counted(source_ip) == counted
