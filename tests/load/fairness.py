"""A small tenant's export, alone and beside what another tenant does."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import httpx

from benchmarks import report
from tests.load import errands
from tests.load.errands import Visitor
from tests.load.seen import Seen
from tests.system.deployed import Integrator

ALONE = "alone"

type Noise = Callable[[Visitor], Awaitable[None]]
"""What one client of the other tenant does, over and over."""


@dataclass
class Fairness:
    """The small tenant's client, and how long its exports took beside what."""

    small: Integrator
    turns: int = 5
    took: dict[str, list[float]] = field(default_factory=dict)
    meanwhile: dict[str, int] = field(default_factory=dict)
    """What the others did meanwhile: calls that were answered."""
    wrong: list[str] = field(default_factory=list)

    async def beside(self, name: str, others: Sequence[Integrator], noise: Noise) -> None:
        """Times the small tenant's exports while each of the others makes that noise."""
        seen, theirs = Seen(), Seen()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as http:
            visitor = Visitor(http, seen, self.small, "small tenant", polled_every=0.5)
            loud = [Visitor(http, theirs, one, name) for one in others]
            making = [asyncio.create_task(_forever(noise, one)) for one in loud]
            await visitor.does(errands.look_around)
            if others:
                while theirs.calls < 3 * len(others):  # it has begun
                    await asyncio.sleep(0.2)
            began = theirs.calls
            for _ in range(self.turns):
                begun = time.perf_counter()
                await visitor.does(errands.export)
                self.took.setdefault(name, []).append(time.perf_counter() - begun)
            self.meanwhile[name] = theirs.calls - began
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)
        self.wrong += seen.wrong + theirs.wrong

    def table(self) -> str:
        """A row for each surrounding."""
        alone = median(self.took[ALONE])
        rows = [
            [
                name,
                f"{self.meanwhile[name]:,}",
                f"{median(took):.1f}",
                f"{max(took):.1f}",
                f"{median(took) / alone:.1f}",
            ]
            for name, took in self.took.items()
        ]
        head = ("the small tenant", "calls of others", "median s", "longest s", "ratio")
        return report.table(head, rows)


async def export_over_and_over(visitor: Visitor) -> None:
    """Full exports, one after the other."""
    await errands.export(visitor)


async def flood(visitor: Visitor) -> None:
    """Asks how its operations stand, as fast as it is answered."""
    if not visitor.token:
        await errands.get_token(visitor)
    await visitor.call("GET /data/v1/operations", "/data/v1/operations")


async def _forever(noise: Noise, visitor: Visitor) -> None:
    while True:
        await visitor.does(noise)
