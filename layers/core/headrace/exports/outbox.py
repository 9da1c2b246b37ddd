"""The outbox: what the end of an operation owes a webhook, and that somebody sees to it.

A delivery is recorded by the very write that ends an attempt of an operation, before anybody hears
of it. Whoever made that write begins it; what nobody began, the sweeper does.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from headrace.exports.model import Operation
from headrace.exports.ports import Deliveries, DeliveryRuns, DueDelivery
from headrace.kernel.deliveries import DeliveryState
from headrace.kernel.errors import Fenced, Unavailable


def begin_delivery(runs: DeliveryRuns, ended: Operation) -> None:
    """Starts the execution of what the end of the operation's attempt has put into the outbox.

    If the service does not answer, the operation has ended all the same: the sweeper starts what
    has not begun.
    """
    for delivery in ended.deliveries:
        if delivery.completion.attempt == ended.attempt:
            with suppress(Unavailable):
                runs.start(delivery)


@dataclass(frozen=True)
class SweepDeliveries:
    """Begins the deliveries that nobody sees to: never begun, or their execution is gone."""

    deliveries: Deliveries
    runs: DeliveryRuns
    due: Callable[[datetime], Iterator[DueDelivery]]

    def __call__(self, now: datetime) -> tuple[int, list[Exception]]:
        """How many were begun, and what went wrong with others."""
        begun, troubles = 0, []
        for item in self.due(now):
            try:
                begun += self._look_at(item)
            except Fenced:
                continue  # it moved on meanwhile
            except Exception as trouble:
                troubles.append(trouble)
        return begun, troubles

    def _look_at(self, item: DueDelivery) -> bool:
        delivery = self.deliveries.get(item.tenant, item.client_id, item.operation_id, item.attempt)
        if delivery.state is not DeliveryState.PENDING:
            return False
        running = self.runs.is_running(delivery)
        if running:
            return False
        if running is not None:
            delivery = self.deliveries.save(delivery, delivery.rerun())
        self.runs.start(delivery)
        return True
