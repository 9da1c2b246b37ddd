"""Copies of an operation that was really run, so that there are many; and what reads of it cost."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from statistics import median
from typing import Any

from benchmarks.counting import Meter
from headrace.kernel.ids import RandomIds
from tests.system.deployed import Json

OWNERS_SHARE = 100
"""One in so many operations is of the client that asks."""

_OTHERS = 1_000
"""Clients that have the others."""

_BATCH, _WRITERS = 25, 4


def copied(items: Iterable[Json], operation_id: str, copy: str) -> Iterator[Json]:
    """The items of an operation, in DynamoDB's notation, as those of another."""
    for item in items:
        yield json.loads(json.dumps(item).replace(operation_id, copy))


@dataclass
class Copies:
    """The operations that a client is made to have, and others that nobody else has."""

    client: Any
    """DynamoDB's, of boto3."""
    table: str
    items: Sequence[Json]
    """What a status reads of the operation that was run, itself first. Others get only that."""
    operation_id: str
    created_at: datetime
    made: list[str] = field(default_factory=list)

    def grow_to(self, count: int) -> None:
        """There are so many operations, with the one that was run, which is the newest."""
        ids, first = RandomIds(), len(self.made) + 1
        self.made += [
            ids.new(self.created_at - timedelta(seconds=number)) for number in range(first, count)
        ]
        self._write({"PutRequest": {"Item": item}} for item in self._copies(first))

    def forget(self) -> None:
        """Takes them out of the table again."""
        self._write(
            {"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}}
            for item in self._copies(1)
        )
        self.made.clear()

    def _copies(self, first: int) -> Iterator[Json]:
        """The items of the copies from this number on."""
        for number, copy in enumerate(self.made[first - 1 :], start=first):
            others = number % OWNERS_SHARE
            for item in copied(self.items[:1] if others else self.items, self.operation_id, copy):
                if others:
                    item["pk"]["S"] += f"-{number % _OTHERS}"
                yield item

    def _write(self, requests: Iterator[Json]) -> None:
        with ThreadPoolExecutor(_WRITERS) as pool:
            # A few thousand at a time: not all of them lie in memory at once.
            for some in batched(batched(requests, _BATCH, strict=False), 100, strict=False):
                list(pool.map(self._write_batch, some))

    def _write_batch(self, batch: Sequence[Json]) -> None:
        left: Any = {self.table: list(batch)}
        while left:
            left = self.client.batch_write_item(RequestItems=left)["UnprocessedItems"]


@dataclass
class Reads:
    """Counts what reads of a table cost: calls by name, and read units."""

    meter: Meter = field(default_factory=Meter)
    calls: Counter[str] = field(default_factory=Counter)

    def watch(self, client: Any) -> None:
        """Counts all calls of this client from now on."""
        self.meter.watch(client.meta)
        client.meta.events.register("before-call.dynamodb", self._called)

    def _called(self, model: Any, **_: Any) -> None:
        self.calls[model.name] += 1

    def of(self, read: Callable[[], object]) -> tuple[dict[str, int], int]:
        """The calls that it makes, and the units that they read."""
        self.calls.clear()
        self.meter.usage.clear()
        read()
        return dict(self.calls), self.meter.usage["dynamodb_read"]


def milliseconds(call: Callable[[], object], times: int) -> float:
    """How long it takes, the median of so many times after one that does not count."""
    call()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - begun))
    return median(taken)
