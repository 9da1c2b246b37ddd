"""What an operation's status, the list and the sweep cost when there are many operations.

The many are copies of one that was really run: its items, as the adapter wrote them, under ids of
their own. All lie in the partition of the one client that asks, which is the worst case.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from benchmarks import report
from benchmarks.counting import Meter
from headrace.adapters.dynamodb.operations import DynamoDueOperations, DynamoOperations
from headrace.kernel.ids import RandomIds
from tests.load.seen import percentile
from tests.system.deployed import Integrator, Json, Platform

STATUS, FIRST, MIDDLE, SWEEP = "status", "list, first page", "list, page in the middle", "sweep"
_BATCH = 25
_PAGE = 20


@dataclass(frozen=True)
class Cost:
    """Of one question: seconds of calls, seconds of those reads alone, and read units of one."""

    called: list[float]
    read: list[float]
    units: int


@dataclass
class Growth:
    """A client whose operations become more and more."""

    platform: Platform
    client: Integrator
    costs: dict[int, dict[str, Cost]] = field(default_factory=dict)
    """By how many operations there were, and what was asked."""

    def __post_init__(self) -> None:
        done = self.client.export()
        self.model = str(done["operationId"])
        self._born = datetime.fromisoformat(done["createdAt"])
        kept = self.client.items()
        self._items = [item for sk, item in kept.items() if self.model in sk]
        self._ids = [self.model]

    def grow_to(self, count: int) -> None:
        """Writes copies, each a second older than the one before, until there are so many."""
        table, dynamodb = (
            self.platform.outputs["OperationsTableName"],
            self.platform.aws("dynamodb"),
        )
        for batch in batched(self._copies(count), _BATCH, strict=False):
            puts = [{"PutRequest": {"Item": item}} for item in batch]
            left = dynamodb.batch_write_item(RequestItems={table: puts})
            assert not left["UnprocessedItems"], "the table takes no more"

    def _copies(self, count: int) -> Iterator[Json]:
        while len(self._ids) < count:
            copy = RandomIds().new(self._born - timedelta(seconds=len(self._ids)))
            self._ids.append(copy)
            yield from copied(self._items, self.model, copy)

    def measure(self, turns: int = 20) -> None:
        """Asks each question so many times."""
        meter, deployment = Meter(), self.platform.deployment
        meter.watch(deployment.session)
        operations = deployment.operations()
        middle = self._ids[len(self._ids) // 2]
        listed = f"/data/v1/operations?pageSize={_PAGE}"
        asked: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            STATUS: (
                lambda: self._get(f"/data/v1/fulldata/{self.model}/status"),
                lambda: operations.get(self.client.tenant, self.client.client_id, self.model),
            ),
            FIRST: (lambda: self._get(listed), lambda: self._page(operations, None)),
            MIDDLE: (
                lambda: self._get(f"{listed}&cursor={middle}"),
                lambda: self._page(operations, middle),
            ),
            SWEEP: (
                self.platform.sweep,
                lambda: list(DynamoDueOperations(operations.table).due(self.platform.now())),
            ),
        }
        found = self.costs[len(self._ids)] = {}
        for name, (call, read) in asked.items():
            call()  # warm
            called = [_timed(call) for _ in range(turns)]
            meter.usage.clear()
            seconds = [_timed(read) for _ in range(turns)]
            found[name] = Cost(called, seconds, meter.usage["dynamodb_read"] // turns)

    def _get(self, path: str) -> None:
        reply = self.client.get(path)
        assert reply.status_code == 200, reply.text

    def _page(self, operations: DynamoOperations, before: str | None) -> None:
        """The adapter's read for a page, which looks for one more than it shows."""
        tenant, client_id = self.client.tenant, self.client.client_id
        if before is not None:
            operations.find(tenant, client_id, before)
        found = operations.page(tenant, client_id, _PAGE + 1, before)
        assert len(found) == min(_PAGE + 1, len(self._ids) - self._ids.index(before or self.model))

    def grown(self) -> list[str]:
        """The questions whose read units are more with many operations than with two pages."""
        few, many = min(n for n in self.costs if n > _PAGE), max(self.costs)
        return [
            f"{name}: {self.costs[few][name].units} read units became {cost.units}"
            for name, cost in self.costs[many].items()
            if cost.units > self.costs[few][name].units
        ]

    def table(self) -> str:
        """A row for each question and count."""
        rows = [
            [
                name,
                f"{count:,}",
                f"{cost.units}",
                f"{percentile(cost.called, 50) * 1000:.0f}",
                f"{percentile(cost.called, 95) * 1000:.0f}",
                f"{percentile(cost.read, 50) * 1000:.0f}",
            ]
            for name in (STATUS, FIRST, MIDDLE, SWEEP)
            for count, cost in sorted((count, costs[name]) for count, costs in self.costs.items())
        ]
        head = ("", "operations", "read units", "call p50 ms", "p95 ms", "its reads p50 ms")
        return report.table(head, rows)


def copied(items: Iterable[Json], operation_id: str, copy: str) -> Iterator[Json]:
    """The items of an operation, in DynamoDB's notation, as those of another."""
    for item in items:
        yield json.loads(json.dumps(item).replace(operation_id, copy))


def _timed(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
