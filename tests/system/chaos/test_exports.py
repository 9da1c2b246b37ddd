"""A sample of `make chaos`: exports in which a process is killed, a request comes twice, and so on.

The whole of it, with its results, is in docs/reliability.md.
"""

import pytest

from tests.chaos.faults import Fault
from tests.chaos.journeys import FullExport
from tests.chaos.points import EXPORT
from tests.chaos.runs import Case, Chaos
from tests.system.conftest import Clients
from tests.system.exports.test_webhooks import receiver, with_webhook

pytestmark = pytest.mark.system

POINTS = {point.name: point for point in EXPORT}


def test_an_export_killed_after_its_start_transaction_ends_as_if_nothing_had_been(
    chaos: Chaos, clients: Clients
) -> None:
    with receiver() as here:
        client, _ = with_webhook(clients, here.url, "employees", "payslips")
        journey = FullExport(client, chaos.platform.home.warehouse)
        case = Case(POINTS["after the start transaction"], Fault.KILL, 1)
        run = chaos.run(journey, here, case)
    assert run.injected
    chaos.settle([run])
    assert run.broken == []
