"""Which environment of the sample's applications a home is."""

from pathlib import Path

import pytest

from local.environment import Environment
from local.home import Home, LocalFailure


def test_a_home_is_the_test_environment_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    assert Environment.of(Home(tmp_path), {}) == Environment("TEST", "4.24.1.0.0", "test")


def test_a_home_keeps_what_it_was_told(tmp_path: Path) -> None:
    told = {
        "HEADRACE_ENVIRONMENT": "PRODUCTION",
        "HEADRACE_APPLICATION_VERSION": "4.23.0",
        "HEADRACE_SAMPLE": "production",
    }
    home = Home(tmp_path)
    Environment.of(home, told).keep(home)
    assert Environment.of(home, {}) == Environment("PRODUCTION", "4.23.0", "production")
    upgraded = Environment.of(home, {"HEADRACE_APPLICATION_VERSION": "4.24.1"})
    assert upgraded == Environment("PRODUCTION", "4.24.1", "production")


def test_data_that_the_sample_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalFailure, match='"staging"; the sample has test and production'):
        Environment.of(Home(tmp_path), {"HEADRACE_SAMPLE": "staging"})


def test_two_homes_know_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "a"), Home(tmp_path / "b")
    one.prepare()
    other.prepare()
    Environment.of(one, {"HEADRACE_ENVIRONMENT": "ONE"}).keep(one)
    assert Environment.of(other, {}).identifier == "TEST"
