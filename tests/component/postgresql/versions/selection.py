"""A plugin of pytest's: of what was collected, only what uses a PostgreSQL server stays.

And of that, what the version of the server that the environment names has.
"""

import os
from pathlib import Path

import pytest

from tests.component.postgresql.versions import FOLDER_NAME, exact

_FIXTURE = "postgresql"
_OWN_SERVERS = ("test_server.py", "test_replica.py", "test_lag.py", "test_promotion.py")
"""Tests that start servers by themselves."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the others."""
    version = int(exact(Path(os.environ[FOLDER_NAME])).partition(".")[0])
    kept = [item for item in items if _uses_a_server(item) and _oldest(item) <= version]
    if left := [item for item in items if item not in set(kept)]:
        config.hook.pytest_deselected(items=left)
    items[:] = kept


def _uses_a_server(item: pytest.Item) -> bool:
    return _FIXTURE in getattr(item, "fixturenames", ()) or item.path.name in _OWN_SERVERS


def _oldest(item: pytest.Item) -> int:
    return max((mark.args[0] for mark in item.iter_markers("postgresql")), default=0)
