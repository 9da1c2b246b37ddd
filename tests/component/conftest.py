"""What component tests share: servers that take a while to start."""

from collections.abc import Iterator

import pytest

from tests.component.moto_at_speed import quicken
from tests.component.postgresql.server import Server, a_server

quicken()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; ask it for a database of one's own."""
    with a_server() as server:
        yield server
