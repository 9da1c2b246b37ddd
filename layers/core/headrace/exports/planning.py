"""What is to be done: an operation is planned, then each of its jobs, in slices."""

from dataclasses import dataclass, replace

from headrace.exports.extraction import Attempt, Extraction
from headrace.exports.increments import regranted
from headrace.exports.model import (
    Content,
    Failure,
    Job,
    Operation,
    OperationKind,
    SharingSnapshot,
    Status,
)
from headrace.exports.ports import Baselines
from headrace.exports.slices import MAX_BOUND_BYTES, MAX_SLICES, WHOLE, TableRange, coarser
from headrace.exports.snapshots import Snapshots
from headrace.exports.sources import Resync, SnapshotScope
from headrace.exports.usecases import discard_work
from headrace.exports.warehouses import Changes, Unload, Unloads, Warehouse
from headrace.kernel.errors import (
    Fenced,
    HeadraceError,
    IncrementsUnavailable,
    ResyncRequired,
    SchemaChanged,
    SyncVersionExpired,
)


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
