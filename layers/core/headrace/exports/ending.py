"""Jobs and operations end: complete, or with what went wrong."""

from dataclasses import dataclass

from headrace.exports.extraction import Attempt, Extraction
from headrace.exports.model import (
    MAX_CLAIMS,
    Baseline,
    Failure,
    FileFormat,
    Job,
    Operation,
    Status,
)
from headrace.exports.outbox import begin_delivery
from headrace.exports.ports import (
    DeliveryRuns,
)
from headrace.exports.row_access import WITHDRAWN
from headrace.exports.slices import parts_fit, rows_fit
from headrace.kernel.errors import (
    ConsentWithdrawn,
    Fenced,
    SnapshotLost,
)


@dataclass(frozen=True)
class CompleteJob:
    """Makes the document of a job whose slices are all there."""

    extraction: Extraction

    def __call__(self, attempt: Attempt, job_id: str, job_attempt: int) -> bool:
        """True when done; False if the slices turned out too small for one document.

        Then the table is to be planned again, unsplit: S3 takes no small part but the last, and
        JSON no comma behind it. Raises Fenced.
        """
        extraction = self.extraction
        operation, job = extraction.running_job(attempt, job_id)
        if job.attempt != job_attempt or job.key is None or job.upload_id is None:
            raise Fenced("Another attempt owns the job.")
        results = extraction.operations.slices(operation, job)
        if [result.index for result in results] != list(range(len(job.slices))):
            raise Fenced("The job's slices are not all there.")
        separated = operation.request.file_format is FileFormat.JSON
        if not parts_fit(results) or not rows_fit(results, separated=separated):
            return False
        parts = tuple(part for result in results for part in result.parts)
        extraction.files.complete(job.key, job.upload_id, parts)
        try:
            extraction.end_job(
                operation,
                job,
                status=Status.SUCCEEDED,
                rows=sum(result.rows for result in results),
                size=sum(result.size for result in results),
                sha256=results[0].sha256 if len(results) == 1 else None,
            )
        except Fenced:
            if not self._is_there(attempt, job):
                extraction.files.discard(job.key, None)
            raise
        extraction.unstage(job)
        return True

    def _is_there(self, attempt: Attempt, job: Job) -> bool:
        """Has another invocation made the very document meanwhile, of the same upload."""
        operation = self.extraction.operations.find(
            attempt.tenant, attempt.client_id, attempt.operation_id
        )
        if operation is None:
            return False
        kept = operation.job(job.job_id)
        return kept.status is Status.SUCCEEDED and kept.key == job.key


@dataclass(frozen=True)
class FailJob:
    """Ends a job that its workers could not bring to an end."""

    extraction: Extraction

    def __call__(self, attempt: Attempt, job_id: str, failure: Failure) -> bool:
        """Is it to be planned anew instead: only its snapshot was lost. Raises Fenced.

        Not if all of the operation is to be read in that one: its other tables cannot have
        another.
        """
        operation = self.extraction.operation(attempt)
        job = operation.job(job_id)
        lost = failure.code == SnapshotLost.code and job.held and job.status is Status.RUNNING
        if lost and job.claims < MAX_CLAIMS:
            return True
        self.extraction.fail_job(operation, job, failure)
        return False


@dataclass(frozen=True)
class EndExport:
    """Ends the operation as its jobs stand: lock released, and refunded if the system failed."""

    extraction: Extraction
    runs: DeliveryRuns

    def __call__(self, attempt: Attempt, failure: Failure | None = None) -> Operation:
        """The operation as it ended. Raises Fenced."""
        extraction, moment = self.extraction, self.extraction.clock.now()
        operation = extraction.operation(attempt)
        status = Status.FAILED if failure else operation.outcome()
        if status is Status.SUCCEEDED and extraction.access.is_withdrawn(operation):
            # Its files are handed out to nobody: no data of the client's stands at its version.
            status, failure = Status.FAILED, Failure(ConsentWithdrawn.code, WITHDRAWN)
        if status is Status.FAILED and failure is None:
            failed = [job for job in operation.jobs if job.status is not Status.SUCCEEDED]
            failure = Failure(
                "jobs_failed",
                f"{len(failed)} of {len(operation.jobs)} jobs did not succeed; see their errors, "
                "then retry: what succeeded is kept.",
            )
        ended = extraction.operations.end(
            operation,
            status,
            failure,
            expires_at=moment + extraction.limits.file_lifetime,
            moment=moment,
            refund=status is Status.FAILED,
            baseline=self._baseline(operation) if status is Status.SUCCEEDED else None,
        )
        begin_delivery(self.runs, ended)
        return ended

    def _baseline(self, operation: Operation) -> Baseline | None:
        """What the client's data comes to with this operation."""
        if operation.sync_version is None:
            return None
        _, configuration = self.extraction.configuration(operation)
        return Baseline(
            configuration_id=operation.request.configuration_id,
            entity=operation.request.entity,
            version=operation.told_version or operation.sync_version,
            grants={
                name: configuration.table(name).grant_hash for name in operation.request.tables
            },
            reached_at=self.extraction.clock.now(),
            operation_id=operation.operation_id,
            kind=operation.kind,
            organisation=operation.organisation,
        )
