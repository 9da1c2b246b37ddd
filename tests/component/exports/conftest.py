"""A fresh deployment for each test."""

from collections.abc import Iterator

import pytest

from tests.component.exports.database import Deployment, a_deployment
from tests.component.postgresql.server import Server
from tests.world import World, a_world


@pytest.fixture
def world() -> Iterator[World]:
    """The exports product over moto."""
    with a_world() as one:
        yield one


@pytest.fixture
def deployment(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """The exports product over moto and a database of its own."""
    with a_deployment(postgresql, monkeypatch) as one:
        yield one
