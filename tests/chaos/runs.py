"""One run: a journey, a point, a fault and a seed; and what of it does not hold."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.chaos.faults import Fault, Injection, chance_of
from tests.chaos.invariants import AT_ONCE, SETTLED, Invariant
from tests.chaos.journeys import Journey, Travelled, Traveller
from tests.chaos.points import Point
from tests.chaos.proxy import Proxy
from tests.system.deployed import Platform, eventually
from tests.system.exports.test_webhooks import Receiver

FUNCTIONS = (
    "StartFullExport",
    "StartIncrementalExport",
    "PlanExport",
    "PlanJob",
    "ExportRange",
    "HoldSnapshot",
    "CompleteJob",
    "FailJob",
    "EndExport",
    "DeliverWebhook",
)
"""Those whose requests lead through the proxy."""

LEASE_AND_SWEEP_S = 120.0
"""The local platform's lease and the sweeper's period, a minute each."""
UNDISTURBED_S = 60.0
"""What an undisturbed operation takes at most, on a busy machine."""


@dataclass(frozen=True)
class Case:
    """What goes wrong, where, and with which chances."""

    point: Point
    fault: Fault
    seed: int

    def __str__(self) -> str:
        return f"{self.fault} {self.point.name}, seed {self.seed}"


@dataclass
class Run:
    """How it went."""

    journey: str
    case: Case
    seconds: float = 0.0
    injected: bool = False
    broken: list[str] = field(default_factory=list)
    """The invariants that did not hold, and how it was seen."""
    travelled: Travelled | None = None


@dataclass(frozen=True)
class Chaos:
    """The deployed product with the proxy between its functions and AWS."""

    platform: Platform
    proxy: Proxy

    def run(self, journey: Journey, receiver: Receiver, *cases: Case) -> Run:
        """One operation in which these faults come about, judged by ``AT_ONCE``."""
        begun = time.monotonic()
        run = Run(journey.name, cases[0])
        with ExitStack() as stack:
            try:
                run.travelled = self._travel(journey, receiver, cases, stack, run)
            except AssertionError as broken:
                run.broken.append(f"journey: {broken}")
        if run.travelled is not None:
            self._judge(run, AT_ONCE)
            if not run.injected:
                run.broken.append("the fault never came about")
        if run.broken:
            self._start_over(journey)
        run.seconds = time.monotonic() - begun
        return run

    def settle(self, runs: Iterable[Run]) -> None:
        """Has the sweeper see to what is left when a lease is over; judges by ``SETTLED``."""
        ours = [run for run in runs if run.travelled is not None]
        eventually(
            lambda: self.platform.sweep() is not None and not self._open_uploads(ours),
            within=LEASE_AND_SWEEP_S + UNDISTURBED_S,
            what="the sweeper has aborted what nobody owns",
            every=5,
        )
        for run in ours:
            self._judge(run, SETTLED)

    def _travel(
        self,
        journey: Journey,
        receiver: Receiver,
        cases: tuple[Case, ...],
        stack: ExitStack,
        run: Run,
    ) -> Travelled:
        chance = chance_of(cases[0].point, cases[0].fault, cases[0].seed)
        body = {**journey.body(chance), "webhook": "hooks"}
        before = {"used": journey.client.quota()["used"]}
        receiver.requests.clear()
        travelled = Travelled(journey, before, body=body)
        traveller = Traveller(self.platform, travelled, receiver)
        injections = [self._injection(journey, case, traveller) for case in cases]
        for injection in injections:
            stack.enter_context(self.proxy.tapped(injection))
        traveller.travel(LEASE_AND_SWEEP_S + UNDISTURBED_S)
        for injection in injections:
            eventually(injection.is_quiet, within=90, what="what was invoked again has ended")
        run.injected = all(injection.done for injection in injections)
        return travelled

    def _injection(self, journey: Journey, case: Case, traveller: Traveller) -> Injection:
        chance = chance_of(case.point, case.fault, case.seed)
        nth = {"any": chance.randint(1, journey.jobs), "last": journey.jobs}
        return Injection(
            journey.client.client_id,
            case.point,
            case.fault,
            case.seed,
            nth.get(case.point.times) or int(case.point.times),
            traveller.again,
        )

    def _start_over(self, journey: Journey) -> None:
        """Leaves nothing in the way of the client's next operation."""
        journey.forget()
        lock = journey.client.items().get("lock")
        if lock is not None:
            path = f"{journey.path}/{lock['operation_id']['S']}/cancel"
            journey.client.call("POST", path)

    def _judge(self, run: Run, invariants: tuple[Invariant, ...]) -> None:
        assert run.travelled is not None
        for invariant in invariants:
            try:
                invariant(self.platform, run.travelled)
            except AssertionError as broken:
                run.broken.append(f"{invariant.__name__}: {broken}")

    def _open_uploads(self, runs: list[Run]) -> list[str]:
        clients = {run.travelled.journey.client.prefix for run in runs if run.travelled}
        return [one["Key"] for prefix in clients for one in self.platform.uploads(prefix)]


@contextmanager
def chaos_on(platform: Platform) -> Iterator[Chaos]:
    """Puts the proxy in until the block ends."""
    port = int(platform.about["aws_endpoint_url"].rpartition(":")[2])
    names = {function: platform.functions[function] for function in FUNCTIONS}
    proxy = Proxy(port, platform.home.temporary, names)
    with ExitStack() as stack:
        stack.enter_context(proxy.running())
        for function in FUNCTIONS:
            settings = {"AWS_ENDPOINT_URL": proxy.endpoint(function)}
            stack.enter_context(platform.configured(function, **settings))
        yield Chaos(platform, proxy)
    assert proxy.troubles == []
