"""What the tests of the endpoints call."""

from collections.abc import Iterator

import pytest

from tests.component.consents.services import Services, services_over
from tests.component.identity.deployment import deployed


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Two services, a broker and a client, deployed over moto."""
    with deployed(monkeypatch) as deployment:
        yield services_over(deployment)
