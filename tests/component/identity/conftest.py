"""The deployment that the tests of identity call."""

from collections.abc import Iterator

import pytest

from tests.component.identity.deployment import Deployment, deployed


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Identity, deployed over moto."""
    with deployed(monkeypatch) as here:
        yield here
