"""What tests of the client share."""

from __future__ import annotations

import pytest

from tests.component.postgresql.server import Server


@pytest.fixture(scope="session")
def database(postgresql: Server) -> str:
    """How to connect to a database of PostgreSQL that has schemas of theirs only."""
    return f"host={postgresql.folder} user=postgres dbname={postgresql.new_database()}"
