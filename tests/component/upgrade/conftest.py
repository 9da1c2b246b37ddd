"""A fresh deployment for each test."""

from collections.abc import Iterator

import pytest

from tests.world import World, a_world


@pytest.fixture
def world() -> Iterator[World]:
    """The exports product over moto."""
    with a_world() as one:
        yield one
