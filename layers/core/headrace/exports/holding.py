"""Holds a snapshot of a source that keeps no versions open, for as long as it is read.

A worker does nothing else meanwhile, so its life bounds the snapshot's, and with it what the
source's vacuum has to leave lying. No writer waits for it.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from headrace.exports.extraction import Attempt, Extraction
from headrace.exports.model import Job, Operation, Snapshot
from headrace.exports.warehouses import Warehouse
from headrace.kernel.errors import Fenced, SnapshotLost, Unavailable

_LOOK_EVERY_S = 1.0


class Ending(StrEnum):
    """Why a snapshot is held no longer."""

    READ = "read"
    """All was read that was to be."""
    LOST = "lost"
    """The source ended the session."""
    OVERDUE = "overdue"
    """It was held for as long as one may be."""


@dataclass(frozen=True)
class HoldSnapshot:
    """Holds the snapshot of an operation, or of one attempt of a job, until all of it is read.

    What ends it early is no failure here: whoever reads in it already goes on, and whoever would
    begin to finds it lost.
    """

    extraction: Extraction
    warehouse: Warehouse
    pause: Callable[[float], None] = time.sleep

    def __call__(
        self, attempt: Attempt, job_id: str | None = None, job_attempt: int | None = None
    ) -> Ending:
        """Why it ended. Raises Fenced, and Unavailable before anybody could read in it."""
        extraction = self.extraction
        deadline = extraction.clock.now() + extraction.limits.longest_hold
        operation, job = self._served(attempt, job_id, job_attempt)
        if (operation if job is None else job).snapshot is not None:
            raise Fenced("Another worker has held the snapshot; two would not be the same.")
        source, _ = extraction.table(operation, job or operation.jobs[0])
        with self.warehouse.hold(source) as held:
            snapshot = Snapshot(held.name, held.version)
            extraction.operations.record_snapshot(operation, job, snapshot)
            while extraction.clock.now() < deadline:
                with suppress(Unavailable):  # not to know is no reason to let go
                    if _is_read(*self._served(attempt, job_id, job_attempt)):
                        return Ending.READ
                self.pause(_LOOK_EVERY_S)
                try:
                    held.check()
                except SnapshotLost:
                    return Ending.LOST
            return Ending.OVERDUE

    def _served(
        self, attempt: Attempt, job_id: str | None, job_attempt: int | None
    ) -> tuple[Operation, Job | None]:
        """Whose snapshot it is. Raises Fenced if nobody is to read it any more."""
        if job_id is None:
            return self.extraction.operation(attempt), None
        operation, job = self.extraction.running_job(attempt, job_id)
        if job.attempt != job_attempt:
            raise Fenced("Another attempt owns the job.")
        return operation, job


def _is_read(operation: Operation, job: Job | None) -> bool:
    if job is not None:
        return job.is_read
    return not any(one.status.active for one in operation.jobs)
