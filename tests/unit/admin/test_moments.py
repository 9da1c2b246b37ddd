"""Moments as options take them."""

from datetime import UTC, datetime

import pytest

from headrace.kernel.errors import InvalidRequest
from headrace_admin.moments import moment_of


def test_a_moment_is_that_of_its_time_zone() -> None:
    assert moment_of("--at", "2026-12-01T01:00:00+01:00") == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["tomorrow", "2026-12-01T00:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"],
)
def test_what_is_no_moment_of_the_years_1_to_9999_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--at takes a moment as"):
        moment_of("--at", text)
