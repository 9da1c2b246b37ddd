"""What the workflow does: plan an operation, run its jobs slice by slice, end it.

Each task may be run twice, late, or killed at any point; each ends in a conditional write, so
only the attempt that counts leaves a trace that anybody sees. ``Fenced`` and ``Stopped`` mean
that the work no longer counts; they are no failures.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from headrace.exports.increments import regranted
from headrace.exports.model import (
    MAX_BOUND_BYTES,
    MAX_CLAIMS,
    MAX_SLICES,
    WHOLE,
    Baseline,
    Content,
    ExportRequest,
    Failure,
    Job,
    Limits,
    Operation,
    OperationKind,
    PartPosition,
    Progress,
    RowRange,
    SharingSnapshot,
    SliceResult,
    Status,
    TableRange,
    coarser,
    part_numbers,
    parts_fit,
)
from headrace.exports.outbox import begin_delivery
from headrace.exports.ports import (
    Baselines,
    Changes,
    Configurations,
    DeliveryRuns,
    Files,
    Operations,
    PartUploads,
    RowStream,
    Unload,
    Unloads,
    Warehouse,
)
from headrace.exports.row_access import WITHDRAWN, RowAccess
from headrace.exports.slots import Slots
from headrace.exports.snapshots import Snapshots
from headrace.exports.sources import Configuration, Resync, SnapshotScope, Source, Table, staged
from headrace.exports.usecases import discard_work
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    ConsentWithdrawn,
    Fenced,
    HeadraceError,
    IncrementsUnavailable,
    ResyncRequired,
    SchemaChanged,
    SliceTooLong,
    SnapshotLost,
    Stopped,
    SyncVersionExpired,
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


@dataclass(frozen=True)
class PlannedExport:
    """The jobs to run, and whether one snapshot is to be held for all of them."""

    job_ids: tuple[str, ...]
    hold: bool


@dataclass(frozen=True)
class PlanExport:
    """Fixes the version that all tables are read at, and names the jobs to run."""

    extraction: Extraction
    warehouse: Warehouse

    def __call__(self, attempt: Attempt) -> PlannedExport:
        """Raises Fenced, Unavailable."""
        operation = self.extraction.operation(attempt)
        if operation.status is Status.SCHEDULED:
            # Who shares is looked up before the source: rows that were written since are theirs.
            sharing = self._sharing(operation)
            try:
                operation = self.extraction.operations.plan(
                    operation, self._version(operation), self.extraction.clock.now(), sharing
                )
            except Fenced:
                # The same invocation, twice: the one that came first has planned it for both.
                operation = self.extraction.operation(attempt)
        jobs = [job.job_id for job in operation.jobs if job.status is not Status.SUCCEEDED]
        return PlannedExport(tuple(jobs), operation.held)

    def _sharing(self, operation: Operation) -> SharingSnapshot | None:
        """Whose rows are read, of a service."""
        _, configuration = self.extraction.configuration(operation)
        if not configuration.by_consent:
            return None
        kms_key = self.extraction.configurations.kms_key(operation.tenant)
        return self.extraction.access.fixed(operation, kms_key)

    def _version(self, operation: Operation) -> str | None:
        """None: that of the snapshot which is yet to be held."""
        source, configuration = self.extraction.configuration(operation)
        as_one = (
            configuration.snapshot is SnapshotScope.OPERATION
            or operation.kind is OperationKind.INCREMENTAL
        )
        if as_one and not source.keeps_versions:
            return None
        version = operation.sync_version
        if version is not None and self.warehouse.holds_version(source, version):
            return version
        return self.warehouse.current_version(source)


@dataclass(frozen=True)
class PlanUnload:
    """Claims a job whose rows an engine of the source's own is to leave in our storage."""

    extraction: Extraction
    unloads: Unloads

    def __call__(self, attempt: Attempt, job_id: str) -> Unload | None:
        """The query that the workflow has to run first; None of a source that workers can read.

        Each attempt has a folder of its own, so that rows of two queries never meet. The query
        that the operation's attempt has already is the one that counts, however often it is asked
        for: its token makes it one for Athena too. Raises Fenced, Unavailable.
        """
        extraction = self.extraction
        operation = extraction.operation(attempt)
        before = operation.job(job_id)
        if before.status not in (Status.SCHEDULED, Status.RUNNING):
            raise Fenced("The job has ended.")
        source, _ = extraction.table(operation, before)
        if not source.unloads:
            return None
        if before.status is Status.RUNNING:
            return self._standing(operation, before)
        try:
            return self._claimed(operation, before)
        except Fenced:
            # The same invocation, twice: the query of the one that came first is for both.
            operation = extraction.operation(attempt)
            return self._standing(operation, operation.job(job_id))

    def _standing(self, operation: Operation, job: Job) -> Unload:
        """The query that the job waits for. Raises Fenced."""
        unload = self._asked(operation, job)
        if job.status is not Status.RUNNING or job.staging != unload.staging.prefix:
            raise Fenced("The job does not wait for a query any more.")
        return unload

    def _claimed(self, operation: Operation, before: Job) -> Unload:
        extraction = self.extraction
        discard_work(extraction.files, before)
        job = Job(before.job_id, before.table, Status.RUNNING, before.attempt + 1)
        unload = self._asked(operation, job)
        extraction.operations.claim_job(operation, replace(job, staging=unload.staging.prefix))
        return unload

    def _asked(self, operation: Operation, job: Job) -> Unload:
        extraction = self.extraction
        source, table = extraction.table(operation, job)
        kms_key = extraction.configurations.kms_key(operation.tenant)
        staging = extraction.files.staging(operation, job, kms_key)
        return self.unloads.unload(source, operation.sync_version or "", table, staging)


@dataclass(frozen=True)
class PlannedJob:
    """The job's attempt, how many ranges it has, and whether a snapshot is to be held for them."""

    attempt: int
    ranges: int
    hold: bool


@dataclass(frozen=True)
class PlanJob:
    """Cuts a table into slices and claims the job, with an upload of its own."""

    extraction: Extraction
    warehouse: Warehouse
    changes: Changes
    baselines: Baselines
    snapshots: Snapshots

    def __call__(
        self,
        attempt: Attempt,
        job_id: str,
        *,
        split: bool = True,
        staging: str | None = None,
        anew: bool = False,
    ) -> PlannedJob | None:
        """None if the job has failed for good: the table is not as it was published, say.

        ``staging`` is the folder that the job's rows were unloaded to, if they had to be. A plan
        that the operation's attempt has already is the one that counts, however often it is asked
        for: not if it is to be made ``anew``, as its snapshot was lost, or is to be one slice and
        is not. Raises Fenced, Unavailable.
        """
        try:
            operation = self.extraction.operation(attempt)
            if not anew and (planned := _standing(operation.job(job_id), split=split)):
                return planned
            try:
                return self._planned(operation, attempt, job_id, split=split, staging=staging)
            except Fenced:
                # The same invocation, twice: the plan of the one that came first is for both.
                job = self.extraction.operation(attempt).job(job_id)
                if anew or (planned := _standing(job, split=split)) is None:
                    raise
                return planned
        except (SchemaChanged, ResyncRequired, SyncVersionExpired, IncrementsUnavailable) as error:
            operation = self.extraction.operation(attempt)
            failure = Failure(error.code, error.detail)
            self.extraction.fail_job(operation, operation.job(job_id), failure)
            return None

    def _planned(
        self,
        operation: Operation,
        attempt: Attempt,
        job_id: str,
        *,
        split: bool,
        staging: str | None,
    ) -> PlannedJob:
        extraction = self.extraction
        if operation.held and operation.snapshot is None:
            # The job's claim says at which version it is read.
            self.snapshots.to_read(operation, operation.job(job_id))
            operation = extraction.operation(attempt)
        before = operation.job(job_id)
        if before.status not in (Status.SCHEDULED, Status.RUNNING):
            raise Fenced("The job has ended.")
        if before.status is Status.SCHEDULED and before.key is not None:
            extraction.files.discard(before.key, before.upload_id)
        job = before
        source, table = extraction.table(operation, job)
        if source.unloads:
            if staging is None or staging != job.staging:
                raise Fenced("Another attempt owns the job: its rows are unloaded elsewhere.")
            place, _, _ = extraction.reading(operation, job)
            job = replace(job, staged_version=self.warehouse.current_version(place))
        job = replace(job, content=self._content(operation, job))
        slices, rows = self._slices(operation, job, split=split)
        if before.slices and before.expected_rows is not None:
            rows = before.expected_rows  # so that the share of what was read does not fall
        job = replace(
            job,
            status=Status.RUNNING,
            attempt=before.attempt + 1,
            claims=before.claims + 1,
            slices=slices,
            ranges=extraction.limits.ranges(len(slices), source.max_readers),
            slices_done=frozenset(),
            held=len(slices) > 1 and not source.keeps_versions and not operation.held,
            snapshot=None,
            expected_rows=rows,
            started_at=extraction.clock.now(),
            schema_hash=table.schema_hash,
            schema_version=table.schema_version,
        )
        request = operation.request
        file_name = request.file_name(table.name)
        key = extraction.files.key(operation, job, file_name)
        kms_key = extraction.configurations.kms_key(operation.tenant)
        upload_id = extraction.files.open_upload(key, request, file_name, kms_key)
        job = replace(job, key=key, upload_id=upload_id)
        try:
            extraction.operations.claim_job(operation, job)
        except HeadraceError:
            extraction.files.abort(key, upload_id)
            raise
        if before.status is Status.RUNNING and before.key is not None:
            # Not before the claim: a late invocation must not take a document that has meanwhile
            # become the job's.
            extraction.files.discard(before.key, before.upload_id)
        return PlannedJob(job.attempt, job.ranges, job.held)

    def _content(self, operation: Operation, job: Job) -> Content:
        """What the document is to hold. Raises ResyncRequired, SchemaChanged."""
        since = operation.request.since
        if since is None:
            return Content.FULL
        source, configuration = self.extraction.configuration(operation)
        table = configuration.table(job.table)
        reason: str | None = "The table has no primary key."
        if table.primary_key:
            baseline = self.baselines.find(
                operation.tenant,
                operation.client_id,
                operation.request.configuration_id,
                operation.request.entity,
                since,
                operation.organisation,
            )
            snapshot = operation.snapshot.name if operation.snapshot else None
            version = operation.sync_version or ""
            try:
                reason = regranted(baseline, table) or self.changes.resync_reason(
                    source, operation.request.source_since, version, table, snapshot
                )
            except IncrementsUnavailable as error:
                if configuration.resync is Resync.REFUSE:
                    raise
                reason = error.detail
            if reason is None:
                return Content.CHANGES
        if configuration.resync is Resync.DOCUMENT:
            return Content.FULL
        raise ResyncRequired(f"{reason} Start a full export, and go on from its version.")

    def _slices(
        self, operation: Operation, job: Job, *, split: bool
    ) -> tuple[tuple[TableRange, ...], int | None]:
        """The slices, and how many rows they hold as far as anybody knows."""
        if job.content is Content.CHANGES:
            return (WHOLE,), None
        source, version, table = self.extraction.reading(operation, job)
        limits, request = self.extraction.limits, operation.request
        if split and request.file_format.splittable:
            slices = self.warehouse.plan(
                source,
                version,
                table,
                request.file_format,
                target_bytes=limits.slice_bytes,
                max_ranges=MAX_SLICES,
                compression=request.compression,
            )
            slices, rows = coarser(slices, MAX_BOUND_BYTES), sum(one.rows for one in slices)
            return (slices if len(slices) > 1 else (WHOLE,)), rows
        return (WHOLE,), job.expected_rows


def _standing(job: Job, *, split: bool) -> PlannedJob | None:
    """The plan that the job has."""
    if job.status is not Status.RUNNING or job.upload_id is None:
        return None
    if len(job.slices) > 1 and not split:
        return None
    return PlannedJob(job.attempt, job.ranges, job.held)


_RESERVE_S = 8.0
"""So long before the end of its time a worker stops: what it waits for gives way every second or
two, and it has to say how it ended."""


class _Shift:
    """The time of one worker: whether another slice is begun in it, and when it is over.

    ``time_left`` says how many seconds the worker has till it is ended from outside.
    """

    def __init__(self, time_left: Callable[[], float], seconds: float) -> None:
        self.time_left, self._seconds = time_left, seconds
        self._began = self._slice_began = time_left()
        self._longest = 0.0

    def is_over(self) -> bool:
        """Is there too little left of it for one more slice like those before."""
        left = self.time_left()
        return self._began - left >= self._seconds or left - _RESERVE_S < self._longest

    def begin_slice(self) -> None:
        """A slice begins."""
        self._slice_began = self.time_left()

    def end_slice(self) -> None:
        """The slice is done."""
        self._longest = max(self._longest, self._slice_began - self.time_left())

    def check(self) -> None:
        """Raises SliceTooLong if the slice must be left as it is."""
        if self.time_left() < _RESERVE_S:
            raise SliceTooLong("A slice of the table takes longer than a worker may run.")


_TELL_EVERY = timedelta(seconds=2)


class _Meter:
    """Counts what a worker reads of its range, and tells it now and then.

    ``before`` is what the range has of slices that are recorded already.
    """

    def __init__(self, tell: Callable[[Progress], None], clock: Clock, before: Progress) -> None:
        self._tell, self._clock, self._before = tell, clock, before
        self._told = clock.now()

    def counted(self, stream: RowStream) -> Iterator[bytes]:
        """The chunks of the stream."""
        size = 0
        for chunk in stream:
            size += len(chunk)
            now = self._clock.now()
            if now - self._told >= _TELL_EVERY:
                self._told = now
                self._say(self._before + Progress(stream.rows_so_far or 0, size))
            yield chunk

    def end_slice(self, result: SliceResult, *, last: bool) -> None:
        """A slice is there; told at once, unless its record is about to say so of the whole job."""
        self._before += Progress(result.rows, result.size)
        if not last:
            self._say(self._before)

    def _say(self, progress: Progress) -> None:
        # Whether anybody hears of it is no matter of life and death.
        with suppress(Unavailable):
            self._tell(progress)


@dataclass(frozen=True)
class ExportRange:
    """Streams the slices of a range, one by one, each into its block of the job's upload.

    Each is recorded when it is there, and none is read twice that is. So a worker that comes near
    the end of its time hands over to the next, and one that dies costs the slice it was at.
    """

    extraction: Extraction
    warehouse: Warehouse
    changes: Changes
    upload: PartUploads
    snapshots: Snapshots
    slots: Slots

    def __call__(
        self,
        attempt: Attempt,
        job_id: str,
        job_attempt: int,
        index: int,
        time_left: Callable[[], float],
    ) -> bool:
        """Is there something left for the next worker; then this one has recorded a slice at least.

        ``time_left``: the seconds that this worker has. Raises Fenced, Stopped, Unavailable;
        SliceTooLong if all its time was not enough for one slice. Any other failure of ours fails
        the job.
        """
        operation, job = self._owned(attempt, job_id, job_attempt)
        shift = _Shift(time_left, self.extraction.limits.range_seconds)
        meter = self._meter(operation, job, index)
        for turn, number in enumerate(job.open_slices(index)):
            if turn:
                if shift.is_over():
                    return True
                operation, job = self._owned(attempt, job_id, job_attempt)
            if number in job.slices_done:
                continue
            shift.begin_slice()
            try:
                result = self._run(operation, job, number, shift, meter)
            except SliceTooLong:
                if turn:
                    return True
                raise
            except (Fenced, Stopped, Unavailable):
                raise
            except HeadraceError as error:
                failure = Failure(error.code, error.detail)
                self.extraction.end_job(operation, job, status=Status.FAILED, failure=failure)
                self.extraction.unstage(job)
                return False
            meter.end_slice(result, last=len(job.slices) == 1)
            self.extraction.operations.record_slice(operation, job, result)
            shift.end_slice()
        return False

    def _owned(self, attempt: Attempt, job_id: str, job_attempt: int) -> tuple[Operation, Job]:
        operation, job = self.extraction.running_job(attempt, job_id)
        if job.attempt != job_attempt or job.key is None or job.upload_id is None:
            raise Fenced("Another attempt owns the job.")
        return operation, job

    def _meter(self, operation: Operation, job: Job, index: int) -> _Meter:
        operations, own = self.extraction.operations, job.own_slices(index)
        done = operations.slices(operation, job) if job.slices_done.intersection(own) else ()
        before = (Progress(one.rows, one.size) for one in done if one.index in own)

        def tell(progress: Progress) -> None:
            operations.tell_progress(operation, job, index, progress)

        return _Meter(tell, self.extraction.clock, sum(before, Progress()))

    def _run(
        self, operation: Operation, job: Job, number: int, shift: _Shift, meter: _Meter
    ) -> SliceResult:
        source, version, table = self.extraction.reading(operation, job)
        snapshot = self.snapshots.to_read(operation, job)
        rows, last = job.slices[number], len(job.slices) - 1
        request: ExportRequest = operation.request

        def should_stop() -> bool:
            shift.check()
            slot.keep()
            return not self.extraction.operations.may_continue(operation, job)

        version, name = (snapshot.version, snapshot.name) if snapshot else (version, None)

        def opened() -> AbstractContextManager[RowStream]:
            if job.content is Content.CHANGES:
                return self.changes.stream_changes(
                    source,
                    request.source_since,
                    version,
                    table,
                    request.file_format,
                    request.compression,
                    name,
                )
            return self.warehouse.stream(
                source,
                version,
                table,
                None if rows == WHOLE else rows,
                request.file_format,
                request.compression,
                PartPosition(first=number == 0, last=number == last),
                name,
            )

        with (
            self.slots.taken(source, operation.tenant, shift.time_left) as slot,
            opened() as stream,
        ):
            parts, digest = self.upload(
                job.key or "",
                job.upload_id or "",
                part_numbers(number, len(job.slices)),
                meter.counted(stream),
                should_stop,
                whole=len(job.slices) == 1,
            )
            exact = isinstance(rows, RowRange) and rows != WHOLE
            if exact and stream.rows != rows.rows:
                raise HeadraceError("A slice of the table does not hold the rows it was cut for.")
            return SliceResult(number, stream.rows, parts, digest)


@dataclass(frozen=True)
class CompleteJob:
    """Makes the document of a job whose slices are all there."""

    extraction: Extraction

    def __call__(self, attempt: Attempt, job_id: str, job_attempt: int) -> bool:
        """True when done; False if the slices turned out too small for one upload.

        Then the table is to be planned again, unsplit: S3 takes no small part but the last.
        Raises Fenced.
        """
        extraction = self.extraction
        operation, job = extraction.running_job(attempt, job_id)
        if job.attempt != job_attempt or job.key is None or job.upload_id is None:
            raise Fenced("Another attempt owns the job.")
        results = extraction.operations.slices(operation, job)
        if [result.index for result in results] != list(range(len(job.slices))):
            raise Fenced("The job's slices are not all there.")
        if not parts_fit(results):
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
