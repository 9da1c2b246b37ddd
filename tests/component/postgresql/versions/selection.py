"""A plugin of pytest's: of what was collected, only what uses a PostgreSQL server stays."""

import pytest

_FIXTURE = "postgresql"
_OWN_SERVERS = "test_server.py"
"""Tests that start servers by themselves."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the others."""
    kept = [item for item in items if _uses_a_server(item)]
    if left := [item for item in items if item not in set(kept)]:
        config.hook.pytest_deselected(items=left)
    items[:] = kept


def _uses_a_server(item: pytest.Item) -> bool:
    return _FIXTURE in getattr(item, "fixturenames", ()) or item.path.name == _OWN_SERVERS
