"""How long a small tenant's export takes alone, and how long beside another tenant's huge one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    """Of the huge export, at most at once."""
    active: bool
    """Did the huge export outlast all of the small ones."""

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
        "huge export's tables at once",
        "small alone, s",
        "beside it, s",
        "longest, s",
        "ratio",
    )
    return report.table(head, [contest.row() for contest in contests])


@dataclass
class Huge:
    """An export that goes on for longer than anyone looks."""

    integrator: Integrator
    operation_id: str
    workers: int = 0
    seen: list[str] = field(default_factory=list)

    def look(self) -> bool:
        """Is it active; counts its tables that are read now."""
        standing = self.integrator.status(self.operation_id)
        running = [job for job in standing["jobs"] if job["status"] == "running"]
        self.workers = max(self.workers, len(running))
        return standing["status"] in ACTIVE


@contextmanager
def going_on(integrator: Integrator, at_once: int) -> Iterator[Huge]:
    """Its export, of which so many tables are being read when the block begins; then cancelled."""
    huge = Huge(integrator, integrator.start(fileFormat="csv")["operationId"])
    deadline = time.monotonic() + _LONGEST_S
    try:
        while huge.workers < at_once:
            assert huge.look(), "the huge export ended before it was huge"
            assert time.monotonic() < deadline, f"only {huge.workers} tables are read at once"
            time.sleep(_LOOKED_EVERY)
        yield huge
    finally:
        integrator.cancel(huge.operation_id)
        integrator.ended(huge.operation_id, within=_LONGEST_S)


def measure(source: str, small: Integrator, huge: Integrator, at_once: int) -> Contest:
    """Both, one after the other: the processes are warm from an export that does not count."""
    small.export(within=_LONGEST_S, fileFormat="csv")
    alone = [_seconds(small) for _ in range(ROUNDS)]
    with going_on(huge, at_once) as other:
        beside, active = [], True
        for _ in range(ROUNDS):
            beside.append(_seconds(small))
            active = active and other.look()
    return Contest(source, alone, beside, other.workers, active)


def _seconds(small: Integrator) -> float:
    begun = time.monotonic()
    done = small.export(within=_LONGEST_S, fileFormat="csv")
    taken = time.monotonic() - begun
    assert all(job["rows"] for job in done["jobs"]), done
    return taken
