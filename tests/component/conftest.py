"""What component tests share: servers that take a while to start."""

from collections.abc import Iterator

import pytest

from tests.component.postgresql.server import Server, a_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; ask it for a database of one's own."""
    with a_server() as server:
        yield server
