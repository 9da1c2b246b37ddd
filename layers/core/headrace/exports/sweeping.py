"""The scheduled sweep: it closes what nobody else will."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from headrace.exports.extraction import Extraction
from headrace.exports.model import (
    Failure,
    Job,
    Operation,
    Status,
)
from headrace.exports.outbox import SweepDeliveries, begin_delivery
from headrace.exports.ports import (
    DueOperation,
    DueOperations,
    OpenUpload,
    Workflows,
)
from headrace.exports.usecases import discard_all, discard_unfinished
from headrace.kernel.errors import (
    Fenced,
)


@dataclass(frozen=True)
class Swept:
    """What a sweep did, in operations, uploads, folders of unloaded rows and deliveries.

    ``lag_s``: for how many seconds the first of what was due had been due.
    """

    restarted: int = 0
    failed: int = 0
    cleaned: int = 0
    expired: int = 0
    aborted: int = 0
    unstaged: int = 0
    redelivered: int = 0
    lag_s: int = 0


@dataclass(frozen=True)
class Sweep:
    """Closes what nobody else will.

    An active operation whose workflow is gone ends as failed (one whose workflow never began is
    begun); what an ended one left behind goes at once, its files when they expire; uploads and
    unloaded rows that belong to no running job go; deliveries that nobody sees to are begun.
    Running it twice, or two at once, changes nothing more.
    """

    extraction: Extraction
    workflows: Workflows
    due: DueOperations
    deliveries: SweepDeliveries

    def __call__(self) -> Swept:
        """Looks at all that is due. One operation's trouble does not keep the others waiting.

        Raises ExceptionGroup of what went wrong, after all that could be done was done.
        """
        now = self.extraction.clock.now()
        counts: Counter[str] = Counter()
        troubles: list[Exception] = []
        lag = timedelta()
        for item in self.due.due(now):
            lag = max(lag, now - (item.due_at or now))
            try:
                counts[self._look_at(item, now)] += 1
            except Fenced:
                continue  # it moved on meanwhile
            except Exception as trouble:
                troubles.append(trouble)
        counts["aborted"] = self._abort_orphans(now)
        counts["unstaged"] = self._unstage_orphans()
        counts["redelivered"], undelivered = self.deliveries(now)
        troubles += undelivered
        counts["lag_s"] = int(lag.total_seconds())
        counts.pop("", None)
        if troubles:
            raise ExceptionGroup(f"{len(troubles)} could not be looked at", troubles)
        return Swept(**counts)

    def _look_at(self, item: DueOperation, now: datetime) -> str:
        operations = self.extraction.operations
        operation = operations.find(item.tenant, item.client_id, item.operation_id)
        if operation is None:
            return ""
        if operation.status.active:
            return self._reconcile(operation, now)
        if operation.status is Status.DELETED:
            discard_all(self.extraction.files, operation)
            operations.look_again(operation, None)
            return "cleaned"
        if operation.expires_at is not None and now >= operation.expires_at:
            discard_all(self.extraction.files, operation)
            operations.expire(operation, now)
            return "expired"
        discard_unfinished(self.extraction.files, operation)
        operations.look_again(operation, operation.expires_at)
        return "cleaned"

    def _reconcile(self, operation: Operation, now: datetime) -> str:
        running = self.workflows.is_running(operation)
        lease = self.extraction.limits.lease
        if running:
            self.extraction.operations.look_again(operation, now + lease)
            return ""
        if running is None and operation.status is Status.SCHEDULED:
            self.workflows.start(operation)
            self.extraction.operations.look_again(operation, now + lease)
            return "restarted"
        ended = self.extraction.operations.end(
            operation,
            Status.FAILED,
            Failure("abandoned", "The work ended without a result; retry the operation."),
            expires_at=now + self.extraction.limits.file_lifetime,
            moment=now,
            refund=True,
        )
        begin_delivery(self.deliveries.runs, ended)
        return "failed"

    def _abort_orphans(self, now: datetime) -> int:
        """Aborts uploads older than a lease that are no job's, and cannot become one's."""
        aborted = 0
        for upload in self.extraction.files.open_uploads(now - self.extraction.limits.lease):
            if not self._owned(upload):
                self.extraction.files.abort(upload.key, upload.upload_id)
                aborted += 1
        return aborted

    def _owned(self, upload: OpenUpload) -> bool:
        operation = self._operation(upload.owner)
        return operation is not None and any(
            (job.status is Status.RUNNING and job.upload_id == upload.upload_id)
            # An engine that unloads rows writes them in uploads of its own.
            or (
                job.status is Status.RUNNING
                and job.staging is not None
                and upload.key.startswith(job.staging)
            )
            or self._may_be_claimed(operation, job, upload)
            for job in operation.jobs
        )

    def _may_be_claimed(self, operation: Operation, job: Job, upload: OpenUpload) -> bool:
        """Was it opened for the attempt that the job's next claim makes.

        By its age nobody can tell: the storage's clock gave it, and ours may be another hour.
        """
        if not operation.status.active or job.status not in (Status.SCHEDULED, Status.RUNNING):
            return False
        following = replace(job, attempt=job.attempt + 1)
        return upload.key.startswith(self.extraction.files.key(operation, following, ""))

    def _unstage_orphans(self) -> int:
        """Removes unloaded rows that no running job reads: a crash left them, or a late query."""
        unstaged = 0
        for folder in self.extraction.files.staged_folders():
            if all(job.staging != folder.prefix for job in self._running_jobs(folder.owner)):
                self.extraction.files.discard_staged(folder.prefix)
                unstaged += 1
        return unstaged

    def _running_jobs(self, owner: DueOperation | None) -> tuple[Job, ...]:
        operation = self._operation(owner)
        jobs = operation.jobs if operation is not None else ()
        return tuple(job for job in jobs if job.status is Status.RUNNING)

    def _operation(self, owner: DueOperation | None) -> Operation | None:
        if owner is None:
            return None
        return self.extraction.operations.find(owner.tenant, owner.client_id, owner.operation_id)
