"""What the tasks of the workflow share: plan an operation, run its jobs slice by slice, end it.

Each task may be run twice, late, or killed at any point; each ends in a conditional write, so
only the attempt that counts leaves a trace that anybody sees. ``Fenced`` and ``Stopped`` mean
that the work no longer counts; they are no failures.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from headrace.exports.model import (
    Failure,
    Job,
    Limits,
    Operation,
    Status,
)
from headrace.exports.ports import (
    Configurations,
    Files,
    Operations,
)
from headrace.exports.row_access import RowAccess
from headrace.exports.sources import Configuration, Source, Table, staged
from headrace.exports.usecases import discard_work
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Fenced,
    Unavailable,
)


@dataclass(frozen=True)
class Attempt:
    """What a task is told: which attempt of which operation it works for."""

    tenant: str
    client_id: str
    operation_id: str
    attempt: int


@dataclass(frozen=True)
class Extraction:
    """What the tasks share: the ports, and how the work of an attempt is found."""

    configurations: Configurations
    operations: Operations
    files: Files
    clock: Clock
    limits: Limits
    access: RowAccess

    def operation(self, attempt: Attempt) -> Operation:
        """The operation, if this attempt of it is active. Raises Fenced."""
        operation = self.operations.get(attempt.tenant, attempt.client_id, attempt.operation_id)
        if operation.attempt != attempt.attempt or not operation.status.active:
            raise Fenced("The attempt has ended.")
        return operation

    def running_job(self, attempt: Attempt, job_id: str) -> tuple[Operation, Job]:
        """The operation and its job, if both run. Raises Fenced."""
        operation = self.operation(attempt)
        job = operation.job(job_id)
        if job.status is not Status.RUNNING:
            raise Fenced("The job has ended.")
        return operation, job

    def configuration(self, operation: Operation) -> tuple[Source, Configuration]:
        """The source and the configuration, as the catalog had them when the operation started."""
        configuration = self.configurations.at(
            operation.catalog_version,
            operation.tenant,
            operation.client_id,
            operation.request.configuration_id,
        )
        source = self.configurations.source(operation.catalog_version, configuration.source)
        return source, configuration

    def table(self, operation: Operation, job: Job) -> tuple[Source, Table]:
        """The job's source and table."""
        source, configuration = self.configuration(operation)
        return source, configuration.table(job.table)

    def reading(self, operation: Operation, job: Job) -> tuple[Source, str, Table]:
        """Where the job's rows are read, at which version, and as which table: of whom, too.

        Raises Fenced if they were to be unloaded and are not; SyncVersionExpired, ResyncRequired.
        """
        source, table = self.table(operation, job)
        table = self.access.granted(operation, table, job.content)
        if not source.unloads:
            return source, operation.sync_version or "", table
        if job.staging is None:
            raise Fenced("The job's rows are not there to be read.")
        source, table = staged(self.files.staged_rows(job.staging), table)
        return source, job.staged_version or "", table

    def unstage(self, job: Job) -> None:
        """Removes the unloaded rows of a job that has ended; if not now, the sweeper does."""
        if job.staging is not None:
            with suppress(Unavailable):
                self.files.discard_staged(job.staging)

    def end_job(self, operation: Operation, job: Job, **result: object) -> Job:
        """Ends the job with this result."""
        ended = replace(job, ended_at=self.clock.now(), **result)  # type: ignore[arg-type]
        return self.operations.end_job(operation, ended)

    def fail_job(self, operation: Operation, job: Job, failure: Failure) -> None:
        """Ends a job that has no document, begun or not. Raises Fenced."""
        if job.status is Status.SCHEDULED:
            # It never got as far as a claim; a claim now makes it a job that can fail.
            job = replace(job, status=Status.RUNNING, attempt=job.attempt + 1)
            self.operations.claim_job(operation, job)
        elif job.status is not Status.RUNNING:
            raise Fenced("The job has ended.")
        self.end_job(operation, job, status=Status.FAILED, failure=failure)
        discard_work(self.files, job)
