"""Running a process: its worker holds its lease, says how far it is, and how far it came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from headrace.datasets.model import Process, Progress, Result
from headrace.datasets.ports import Processes, Runs
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Fenced, Unavailable

LEASE = timedelta(minutes=5)
"""A worker that says nothing for so long is taken for dead. A statement over all records of a
large table may take minutes."""

RENEWED_EVERY = timedelta(seconds=5)


@dataclass(frozen=True)
class Ran:
    """How far a worker came. ``result`` is None if there is more to do, for another worker."""

    result: Result | None
    outcome: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Heartbeat:
    """Says now and then that a worker is still at it. Raises Fenced if that is nobody's wish."""

    processes: Processes
    process: Process
    clock: Clock
    total: int | None = None

    def __post_init__(self) -> None:
        self._said = self.clock.now() - RENEWED_EVERY

    def __call__(self, done: int) -> None:
        """To be called as often as one likes."""
        now = self.clock.now()
        if now - self._said >= RENEWED_EVERY:
            self._said = now
            self.processes.renew(self.process, LEASE, Progress(done, self.total))


def is_gone(runs: Runs, process: Process) -> bool:
    """Is nobody at a process any more whose lease seems to be over.

    A lease is written by one machine's clock and read by another's, so it says when it is worth to
    ask; the answer is the execution's, which has no clock of ours. One that never began is the
    sweeper's to begin, and while nobody can tell, it is not gone.
    """
    try:
        return runs.is_running(process) is False
    except Unavailable:
        return False


def running(processes: Processes, tenant: str, process_id: str) -> Process:
    """The process. Raises Fenced if there is none, or it has ended."""
    process = processes.find(tenant, process_id)
    if process is None or process.ended_at is not None:
        raise Fenced("The process has ended.")
    return process
