"""How long a small tenant's export takes alone, and how long beside another tenant's huge one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks import report
from tests.system.deployed import ACTIVE, Integrator

ROUNDS = 5
_LONGEST_S = 300.0
_LOOKED_EVERY = 0.3


@dataclass(frozen=True)
class Contest:
    """What was measured of a source. Seconds are those until a status says that it ended."""

    source: str
    alone: Sequence[float]
    beside: Sequence[float]
    workers: int
    """Of the huge exports, at most at once: the tables that are being read."""
    active: bool
    """Did all huge exports outlast the small ones."""

    @property
    def ratio(self) -> float:
        """How many times as long it took."""
        return median(self.beside) / median(self.alone)

    def row(self) -> list[str]:
        """Of the table."""
        return [
            self.source,
            f"{self.workers}",
            f"{median(self.alone):.1f}",
            f"{median(self.beside):.1f}",
            f"{max(self.beside):.1f}",
            f"{self.ratio:.1f}",
        ]


def table(contests: Sequence[Contest]) -> str:
    """A row for each source."""
    head = (
        "source",
        "huge tenant's tables at once",
        "small alone, s",
        "beside it, s",
        "longest, s",
        "ratio",
    )
    return report.table(head, [contest.row() for contest in contests])


@dataclass
class Huge:
    """Exports of one tenant that go on for longer than anyone looks."""

    operations: Sequence[tuple[Integrator, str]]
    workers: int = 0

    def look(self) -> bool:
        """Are all of them active; counts the tables that are being read now."""
        standing = [integrator.status(operation) for integrator, operation in self.operations]
        running = [job for one in standing for job in one["jobs"] if job["status"] == "running"]
        self.workers = max(self.workers, len(running))
        return all(one["status"] in ACTIVE for one in standing)


@contextmanager
def going_on(integrators: Sequence[Integrator], at_once: int) -> Iterator[Huge]:
    """Their exports, which read so many tables when the block begins; cancelled at its end."""
    huge = Huge([(one, one.start(fileFormat="csv")["operationId"]) for one in integrators])
    deadline = time.monotonic() + _LONGEST_S
    try:
        while huge.workers < at_once:
            assert huge.look(), "a huge export ended before it was huge"
            assert time.monotonic() < deadline, f"only {huge.workers} tables are read at once"
            time.sleep(_LOOKED_EVERY)
        yield huge
    finally:
        for integrator, operation in huge.operations:
            integrator.cancel(operation)
        for integrator, operation in huge.operations:
            integrator.ended(operation, within=_LONGEST_S)


def measure(source: str, small: Integrator, huge: Sequence[Integrator], at_once: int) -> Contest:
    """Both, one after the other: the processes are warm from an export that does not count."""
    small.export(within=_LONGEST_S, fileFormat="csv")
    alone = [_seconds(small) for _ in range(ROUNDS)]
    with going_on(huge, at_once) as others:
        beside, active = [], True
        for _ in range(ROUNDS):
            beside.append(_seconds(small))
            active = others.look() and active
    return Contest(source, alone, beside, others.workers, active)


def _seconds(small: Integrator) -> float:
    begun = time.monotonic()
    done = small.export(within=_LONGEST_S, fileFormat="csv")
    taken = time.monotonic() - begun
    assert all(job["rows"] for job in done["jobs"]), done
    return taken
