"""Many clients of every kind on one platform, who live through a day in minutes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from headrace.identity.users import Permission
from tests.load import errands
from tests.load.errands import Errand, Visitor
from tests.load.memory import Memory
from tests.load.seen import Seen
from tests.system.conftest import HARBOUR, NORTHWIND, Clients, People
from tests.system.deployed import ACTIVE, Platform, eventually

HOURS = 24.0
_LATE_S = 300.0
"""So long after the day's end the last client must be done."""

_END_S = 30.0
"""So long after that the last workflow must have ended."""

PROFILES = ("profiles:read", "profiles:write")


@dataclass(frozen=True)
class Kind:
    """A kind of client: of a hundred so many are of it; what they do, and how often a day."""

    name: str
    share: int
    tenant: str
    does: tuple[tuple[Errand, int], ...]
    tables: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    daily_quota: int = 10_000
    person: bool = False


def kinds(organisation: str) -> tuple[Kind, ...]:
    """The kinds that a crowd is of; ``organisation``: the id that profiles are pushed under."""
    small = ("departments", "cost_centres")
    return (
        Kind(
            "small exporter",
            22,
            HARBOUR,
            ((errands.look_around, 1), (errands.export, 1)),
            tables=small,
        ),
        Kind(
            "exporter",
            18,
            NORTHWIND,
            ((errands.look_around, 1), (errands.export, 1)),
            tables=(*small, "employees"),
        ),
        Kind("huge exporter", 2, NORTHWIND, ((errands.export, 1),), tables=("payslips",)),
        Kind(
            "incremental",
            8,
            NORTHWIND,
            ((errands.export_increment, 2),),
            tables=("absences",),
        ),
        Kind(
            "over its quota",
            4,
            HARBOUR,
            ((errands.start_too_many, 1),),
            tables=("departments",),
            daily_quota=1,
        ),
        Kind("template reader", 16, NORTHWIND, ((errands.read_pages, 1),), person=True),
        Kind(
            "profile pusher",
            18,
            NORTHWIND,
            ((errands.push_profiles(organisation), 2),),
            scopes=PROFILES,
        ),
        Kind("token user", 12, HARBOUR, ((errands.turn_over_token, 2),), tables=("departments",)),
    )


@dataclass
class Crowd:
    """The clients of a run."""

    platform: Platform
    clients: Clients
    people: People
    size: int
    seed: int = 1
    seen: Seen = field(default_factory=Seen)
    visitors: list[tuple[Kind, Visitor]] = field(default_factory=list)
    seconds: float = 0.0

    def gather(self, http: httpx.AsyncClient) -> None:
        """Makes the clients, in one published catalog."""
        base = self.clients.base
        organisation = next(one for one in base.tenants if one.tenant_id == NORTHWIND)
        assert organisation.organisation_id is not None
        with self.clients.published_together():
            for kind in kinds(organisation.organisation_id):
                count = max(1, round(self.size * kind.share / 100))
                if kind.person:
                    who = [
                        self.people.of(kind.tenant, Permission.EXPORT_TEMPLATES)
                        for _ in range(count)
                    ]
                    made = [Visitor(http, self.seen, one, kind.name) for one in who]
                else:
                    traits = {"scopes": kind.scopes} if kind.scopes else {}
                    one_by_one = self.clients.several(
                        count, kind.tenant, *kind.tables, daily_quota=kind.daily_quota, **traits
                    )
                    made = [Visitor(http, self.seen, one, kind.name) for one in one_by_one]
                self.visitors += [(kind, visitor) for visitor in made]

    async def live(self, day: float, memory: Memory) -> None:
        """Has all of them do what they do in a day of so many seconds."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as http:
            await asyncio.to_thread(self.gather, http)
            watching = asyncio.create_task(memory.watch(every=max(1.0, day / 60)))
            begun = time.monotonic()
            chance = random.Random(self.seed)
            days = [
                asyncio.create_task(
                    self._day(visitor, _plan(kind, chance), day), name=f"{kind.name} {number}"
                )
                for number, (kind, visitor) in enumerate(self.visitors)
            ]
            _, late = await asyncio.wait(days, timeout=day + _LATE_S)
            for task in late:
                task.cancel()
                self.seen.wrong.append(
                    f"{task.get_name()} was not done {_LATE_S:.0f} s after the day"
                )
            ended = await asyncio.gather(*days, return_exceptions=True)
            self.seen.wrong += [repr(one) for one in ended if isinstance(one, Exception)]
            self.seconds = time.monotonic() - begun
            watching.cancel()

    async def _day(
        self, visitor: Visitor, plan: Sequence[tuple[float, Errand]], day: float
    ) -> None:
        begun = time.monotonic()
        for hour, errand in plan:
            await asyncio.sleep(max(0.0, begun + hour / HOURS * day - time.monotonic()))
            await visitor.does(errand)

    def left(self) -> list[str]:
        """What should not be there after the day: locks, active operations, open uploads."""
        self.platform.sweep()
        found: list[str] = []
        for _, visitor in self.visitors:
            if not visitor.operations:
                continue
            items = visitor.client.items()
            if any(key.startswith("lock") for key in items):
                found.append(f"{visitor.client.client_id} holds a lock")
            active = [
                key
                for key, item in items.items()
                if key.startswith("operation#") and item["status"]["S"] in ACTIVE
            ]
            found += [f"{key} of {visitor.client.client_id} is active" for key in active]
            uploads = self.platform.uploads(visitor.client.prefix)
            found += [f"{one['Key']} is open" for one in uploads]
        return found + self._running()

    def _running(self) -> list[str]:
        """The operations whose workflow does not come to its end, which is after their own."""
        workflows = self.platform.aws("stepfunctions").get_paginator("list_executions")
        mine = {operation for _, visitor in self.visitors for operation in visitor.operations}
        running: list[str] = []

        def ended() -> bool:
            pages = workflows.paginate(
                stateMachineArn=self.platform.outputs["ExportStateMachineArn"],
                statusFilter="RUNNING",
            )
            names = [one["name"] for page in pages for one in page["executions"]]
            running[:] = [name for name in names if name.rpartition("-")[0] in mine]
            return not running

        with suppress(AssertionError):
            eventually(ended, within=_END_S, what="all workflows ended", every=1.0)
        return [f"{name} runs" for name in running]

    def population(self) -> str:
        """How many are of each kind."""
        counted = Counter(kind.name for kind, _ in self.visitors)
        return ", ".join(f"{count} × {name}" for name, count in counted.items())


def _plan(kind: Kind, chance: random.Random) -> list[tuple[float, Errand]]:
    """What one of this kind does, at which hours of its day."""
    hours = [
        (chance.uniform(0, HOURS), errand) for errand, times in kind.does for _ in range(times)
    ]
    return sorted(hours, key=lambda one: one[0])
