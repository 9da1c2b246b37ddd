"""The deployed product with a proxy in it, and clients whose exports are disturbed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from headrace.exports.sources import SnapshotScope
from tests.chaos.journeys import FullExport, Increment, Journey
from tests.chaos.runs import Chaos, chaos_on
from tests.system.conftest import Clients
from tests.system.deployed import Platform
from tests.system.exports.ledgers import DatabaseLedger, LakeLedger, grant
from tests.system.exports.test_webhooks import Receiver, receiver, with_webhook

type Lane = list[tuple[Journey, Receiver]]

FULL, OF_LAKE, OF_DATABASE = (
    "full export",
    "increment from a DuckLake",
    "increment from PostgreSQL",
)
"""The journeys' names."""


@pytest.fixture(scope="session")
def chaos(platform: Platform) -> Iterator[Chaos]:
    """The functions of exports behind a proxy."""
    with chaos_on(platform) as made:
        yield made


@pytest.fixture
def lane(platform: Platform, clients: Clients) -> Iterator[Callable[..., Lane]]:
    """Makes one journey of each of these names, each with a client and a webhook of its own."""
    with ExitStack() as stack:

        def make(*names: str) -> Lane:
            return [
                _journey(platform, clients, stack.enter_context(receiver()), name) for name in names
            ]

        yield make


def _journey(
    platform: Platform, clients: Clients, here: Receiver, name: str
) -> tuple[Journey, Receiver]:
    if name == FULL:
        client, _ = with_webhook(clients, here.url, "employees", "payslips")
        return FullExport(client, platform.home.warehouse, name), here
    client, _ = with_webhook(clients, here.url)
    if name == OF_LAKE:
        lake = LakeLedger.made(platform)
        return Increment(grant(clients, client, lake), lake, name), here
    database = DatabaseLedger.made(platform, clients)
    granted = grant(clients, client, database, snapshot=SnapshotScope.OPERATION)
    return Increment(granted, database, name), here
