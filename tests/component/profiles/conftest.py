"""What the tests of the endpoints call."""

from collections.abc import Iterator

import pytest

from tests.component.profiles.hub import Hub, a_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Tenants, groups and profiles, deployed over moto."""
    with a_hub(monkeypatch) as made:
        yield made
