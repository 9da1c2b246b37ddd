"""The deployed product with a proxy in it, and clients whose work is disturbed."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headrace.exports.sources import SnapshotScope
from tests.chaos import data_set_invariants, export_invariants
from tests.chaos.data_sets import BuildJourney, Environment, ImportJourney, UndoJourney
from tests.chaos.environments import BUILT, IMPORTED, environment
from tests.chaos.exports import Export, ExportJourney, FullExport, Increment
from tests.chaos.journeys import Journey
from tests.chaos.points import BUILD, EXPORT, IMPORT, UNDO, Point
from tests.chaos.runs import Chaos, chaos_on
from tests.system.conftest import Clients
from tests.system.deployed import Platform
from tests.system.exports.ledgers import DatabaseLedger, LakeLedger, grant
from tests.system.exports.test_webhooks import Receiver, receiver, with_webhook

type Lane = list[Journey]

FULL, OF_LAKE, OF_DATABASE = (
    "full export",
    "increment from a DuckLake",
    "increment from PostgreSQL",
)
BUILDS, IMPORTS, UNDOINGS = "build of a data set", "import of a data set", "undoing of an import"
POINTS: dict[str, tuple[Point, ...]] = {
    FULL: EXPORT,
    OF_LAKE: EXPORT,
    OF_DATABASE: EXPORT,
    BUILDS: BUILD,
    IMPORTS: IMPORT,
    UNDOINGS: UNDO,
}
"""The points of each journey."""


@pytest.fixture(scope="session")
def chaos(platform: Platform) -> Iterator[Chaos]:
    """The functions of exports and data sets behind a proxy."""
    with chaos_on(platform) as made:
        yield made


@pytest.fixture
def lane(platform: Platform, clients: Clients, chaos: Chaos) -> Iterator[Callable[..., Lane]]:
    """Makes one journey of each of these names: exports each with a client and a webhook of its
    own, data sets all of one environment."""
    with ExitStack() as stack:

        def own_environment() -> Environment:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-")))
            here = stack.enter_context(receiver())
            return environment(clients, chaos.proxy, here, folder)

        def make(*names: str) -> Lane:
            here = {name: stack.enter_context(receiver()) for name in names if name in _EXPORTS}
            lane: Lane = [_export(platform, clients, here[name], name) for name in here]
            carried = [name for name in names if name not in _EXPORTS]
            if carried:
                made = own_environment()
                lane += [_carrying(made, name) for name in carried]
            return lane

        yield make


_EXPORTS = (FULL, OF_LAKE, OF_DATABASE)


def _carrying(made: Environment, name: str) -> Journey:
    points, settled = POINTS[name], data_set_invariants.SETTLED
    if name == BUILDS:
        return BuildJourney(made, name, points, data_set_invariants.OF_BUILDS, settled, BUILT)
    if name == IMPORTS:
        return ImportJourney(made, name, points, data_set_invariants.OF_IMPORTS, settled, IMPORTED)
    return UndoJourney(made, name, points, data_set_invariants.OF_UNDOINGS, settled, IMPORTED)


def _export(platform: Platform, clients: Clients, here: Receiver, name: str) -> Journey:
    export = _exported(platform, clients, here, name)
    judged = export_invariants.AT_ONCE, export_invariants.SETTLED
    return ExportJourney(platform, export, here, *judged)


def _exported(platform: Platform, clients: Clients, here: Receiver, name: str) -> Export:
    if name == FULL:
        client, _ = with_webhook(clients, here.url, "employees", "payslips")
        return FullExport(client, platform.home.warehouse, name)
    client, _ = with_webhook(clients, here.url)
    if name == OF_LAKE:
        lake = LakeLedger.made(platform)
        return Increment(grant(clients, client, lake), lake, name)
    database = DatabaseLedger.made(platform, clients)
    granted = grant(clients, client, database, snapshot=SnapshotScope.OPERATION)
    return Increment(granted, database, name)
