"""The deployed product with a proxy in it, and clients whose exports are disturbed."""

from collections.abc import Iterator

import pytest

from tests.chaos.runs import Chaos, chaos_on
from tests.system.deployed import Platform


@pytest.fixture(scope="session")
def chaos(platform: Platform) -> Iterator[Chaos]:
    """The functions of exports behind a proxy."""
    with chaos_on(platform) as made:
        yield made
