"""When to repeat, and how long to wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client import RetryPolicy
from headrace_client.retrying import retry_after_seconds

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@given(sent=st.integers(1, 30), asked=st.none() | st.floats(0, 119))
def test_a_wait_is_at_least_what_is_asked_and_at_most_the_ceiling(
    sent: int, asked: float | None
) -> None:
    policy = RetryPolicy(attempts=31)
    wait = policy.wait(sent, asked)
    assert wait is not None
    assert (asked or 0) <= wait <= max(asked or 0, policy.longest)


def test_the_ceiling_doubles_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=9, first=1, longest=10, uniform=lambda low, high: high)
    assert [policy.wait(sent) for sent in range(1, 10)] == [1, 2, 4, 8, 10, 10, 10, 10, None]


def test_more_than_patience_is_not_waited_for() -> None:
    assert RetryPolicy(patience=60).wait(1, 60.5) is None
    assert RetryPolicy(patience=60).wait(1, 60) is not None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30.0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("1.5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds
