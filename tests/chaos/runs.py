"""One run: a journey, a point, a fault and a seed; and what of it does not hold."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from headrace.datasets.running import LEASE
from tests.chaos.faults import Fault, Injection, chance_of
from tests.chaos.journeys import Invariant, Journey, Travel
from tests.chaos.points import Point
from tests.chaos.proxy import Proxy
from tests.system.deployed import Platform, eventually

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
    "RebuildDataSet",
    "BuildDataSet",
    "ImportFromEnvironment",
    "FetchPayload",
    "PauseTaskProcessing",
    "ImportDataSet",
    "ResumeTaskProcessing",
    "StartUndo",
    "EndDataSetProcess",
    "NotifyDataSetProcess",
)
"""Those whose requests lead through the proxy."""

SWEEPERS = ("Sweep", "SweepDataSets")

LEASE_AND_SWEEP_S = 120.0
"""The local platform's lease and the sweeper's period, a minute each."""
TIDIED_S = LEASE.total_seconds() + LEASE_AND_SWEEP_S
"""How long it takes at most until the sweeper comes again to a process of data sets, of which it
could not remove what was left as another one ran."""
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

    journey: Journey
    case: Case
    seconds: float = 0.0
    injected: bool = False
    broken: list[str] = field(default_factory=list)
    """The invariants that did not hold, and how it was seen."""
    travel: Travel | None = None
    """None if it did not come to its end."""


@dataclass(frozen=True)
class Chaos:
    """The deployed product with the proxy between its functions and AWS."""

    platform: Platform
    proxy: Proxy

    def run(self, journey: Journey, *cases: Case) -> Run:
        """One operation in which these faults come about, judged by ``at_once``."""
        begun = time.monotonic()
        run = Run(journey, cases[0])
        with ExitStack() as stack:
            try:
                run.travel = self._travel(cases, stack, run)
            except AssertionError as broken:
                run.broken.append(f"journey: {broken}")
        if run.travel is not None:
            self._judge(run, run.travel, journey.at_once)
            if not run.injected:
                run.broken.append("the fault never came about")
        if run.broken:
            journey.start_over()
        run.seconds = time.monotonic() - begun
        return run

    def settle(self, runs: Iterable[Run]) -> None:
        """Has the sweepers see to what is left when a lease is over; judges by ``settled``."""
        ours = [(run, run.travel) for run in runs if run.travel is not None]
        journeys = {id(run.journey): run.journey for run, _ in ours}.values()
        eventually(
            lambda: self._sweep() and not any(one.open_uploads() for one in journeys),
            within=TIDIED_S,
            what="the sweeper has aborted what nobody owns",
            every=5,
        )
        for run, travel in ours:
            self._judge(run, travel, run.journey.settled)

    def _sweep(self) -> bool:
        for sweeper in SWEEPERS:
            error, swept = self.platform.invoke(sweeper, {})
            assert error is None, swept
        return True

    def _travel(self, cases: tuple[Case, ...], stack: ExitStack, run: Run) -> Travel:
        travel = run.journey.begin(chance_of(cases[0].point, cases[0].fault, cases[0].seed))
        injections = [self._injection(run.journey, case, travel) for case in cases]
        for injection in injections:
            stack.enter_context(self.proxy.tapped(injection))
        travel.travel(LEASE_AND_SWEEP_S + UNDISTURBED_S)
        for injection in injections:
            eventually(injection.is_quiet, within=90, what="what was invoked again has ended")
        run.injected = all(injection.done for injection in injections)
        return travel

    def _injection(self, journey: Journey, case: Case, travel: Travel) -> Injection:
        chance = chance_of(case.point, case.fault, case.seed)
        nth = {"any": chance.randint(1, journey.jobs), "last": journey.jobs}
        return Injection(
            journey.mark,
            case.point,
            case.fault,
            case.seed,
            nth.get(case.point.times) or int(case.point.times),
            travel.again,
        )

    def _judge(self, run: Run, travel: Travel, invariants: Sequence[Invariant]) -> None:
        for invariant in invariants:
            try:
                invariant(self.platform, travel.seen)
            except AssertionError as broken:
                run.broken.append(f"{invariant.__name__}: {broken}")


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
    assert proxy.troubles == [], proxy.troubles
