"""Where workers find the snapshot that they are to read, of a source that keeps no versions.

Somebody holds it open (``exports.holding``) and has recorded it with the operation, or with the
attempt of the job. It may take a moment until it is there: both begin at the same time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from headrace.exports.model import Job, Operation, Snapshot
from headrace.exports.ports import Operations
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Fenced, Unavailable

_LONGEST_WAIT = timedelta(seconds=60)
"""For a worker that starts cold and a database that lets nobody in at once."""

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Snapshots:
    """Finds the snapshot of an operation or of a job."""

    operations: Operations
    clock: Clock
    pause: Callable[[float], None] = time.sleep

    def to_read(self, operation: Operation, job: Job) -> Snapshot | None:
        """What the job's rows are read in; None: a snapshot of the reader's own, or none at all.

        Waits until it is held. Raises Fenced, and Unavailable if it takes too long.
        """
        if not operation.held and not job.held:
            return None
        deadline = self.clock.now() + _LONGEST_WAIT
        while (found := operation.snapshot or job.snapshot) is None:
            if self.clock.now() >= deadline:
                raise Unavailable("Nobody holds the snapshot yet that is to be read.")
            self.pause(_LOOK_EVERY_S)
            before = operation.attempt, job.attempt
            operation = self.operations.get(
                operation.tenant, operation.client_id, operation.operation_id
            )
            job = operation.job(job.job_id)
            if (operation.attempt, job.attempt) != before or not operation.status.active:
                raise Fenced("The attempt has ended.")
        return found
