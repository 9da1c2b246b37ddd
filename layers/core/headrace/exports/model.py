"""What an export is and what may happen to it.

An *operation* is a group of *jobs*, one per table; a job makes one *document* (seed 000,
section 2). Operation and job move along the same table of states::

    scheduled ──> running ──> succeeded ──> expired
        │            ├──────> failed ─────> expired     failed, cancelled ──retry──> scheduled
        └────────────┴──────> cancelled ──> expired     terminal or expired ──delete──> deleted
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from headrace.exports.slices import SliceResult, TableRange
from headrace.exports.sources import ChangeWindow, marked, unmarked
from headrace.exports.webhooks import Completion, Delivery, Notice
from headrace.kernel.clock import day_in, start_of_next_day
from headrace.kernel.errors import (
    NotFound,
    OperationNotRetryable,
    OperationRunning,
)


class FileFormat(StrEnum):
    """The format of a document."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"

    @property
    def content_type(self) -> str:
        """The registered media type."""
        return {
            FileFormat.CSV: "text/csv; charset=utf-8; header=present",
            FileFormat.JSON: "application/json",
            FileFormat.NDJSON: "application/x-ndjson",
            FileFormat.PARQUET: "application/vnd.apache.parquet",
        }[self]

    @property
    def splittable(self) -> bool:
        """Do parts of it, one behind the other, make one document."""
        return self is not FileFormat.PARQUET


class Compression(StrEnum):
    """How a document is compressed; for Parquet it is the codec of its pages."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class OperationKind(StrEnum):
    """What an operation exports."""

    FULL = "full"
    """All rows."""
    INCREMENTAL = "incremental"
    """What changed since a version."""

    @property
    def path(self) -> str:
        """Where such operations are, below the API's root."""
        return {
            OperationKind.FULL: "/data/v1/fulldata",
            OperationKind.INCREMENTAL: "/data/v1/incrementals",
        }[self]

    @classmethod
    def at(cls, path: str) -> "OperationKind | None":
        """The kind of operation that is meant at this path; None where any is."""
        return next((kind for kind in cls if path.startswith(f"{kind.path}/")), None)


class Content(StrEnum):
    """What a document holds."""

    FULL = "full"
    """All rows of the table."""
    CHANGES = "changes"
    """Its net changes, each with what happened to the row."""


CHANGE_COLUMN = "_change"
"""The column in which a document of changes says what happened to a row; no table has its own."""


@dataclass(frozen=True)
class ExportRequest:
    """What a caller asked for, with defaults filled in. ``entity``: the one table asked for.

    ``since``: the version that an increment begins at; None of a full export. ``notice``: who is
    told when it has ended.
    """

    configuration_id: str
    tables: tuple[str, ...]
    file_format: FileFormat
    compression: Compression
    entity: str | None = None
    since: str | None = None
    notice: Notice | None = None

    @property
    def kind(self) -> OperationKind:
        """What is exported."""
        return OperationKind.FULL if self.since is None else OperationKind.INCREMENTAL

    @property
    def source_since(self) -> str:
        """The source's version that an increment begins at."""
        return unmarked(self.since or "")[0]

    def file_name(self, table: str) -> str:
        """The name under which a document is downloaded."""
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in table)
        if self.file_format is FileFormat.PARQUET:
            return f"{name}.parquet"
        suffix = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}
        return f"{name}.{self.file_format}{suffix[self.compression]}"

    @property
    def content_type(self) -> str:
        """The media type of a document as it is stored: that of the compression, if any."""
        if self.file_format is FileFormat.PARQUET or self.compression is Compression.NONE:
            return self.file_format.content_type
        return {Compression.GZIP: "application/gzip", Compression.ZSTD: "application/zstd"}[
            self.compression
        ]


class Status(StrEnum):
    """Where an operation or a job stands."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DELETED = "deleted"

    @property
    def active(self) -> bool:
        """Does it hold the client's lock."""
        return self in (Status.SCHEDULED, Status.RUNNING)

    @property
    def ended(self) -> bool:
        """Has its work ended, with files perhaps still there."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


MOVES: Mapping[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset({Status.EXPIRED, Status.DELETED}),
    Status.FAILED: frozenset({Status.SCHEDULED, Status.EXPIRED, Status.DELETED}),
    Status.CANCELLED: frozenset({Status.SCHEDULED, Status.EXPIRED, Status.DELETED}),
    Status.EXPIRED: frozenset({Status.DELETED}),
    Status.DELETED: frozenset(),
}
"""The states that each state may move to; every conditional write is derived from it."""


def origins(target: Status) -> tuple[Status, ...]:
    """The states from which ``target`` may be reached, in the order of ``Status``."""
    return tuple(status for status in Status if target in MOVES[status])


@dataclass(frozen=True)
class Failure:
    """Why something failed: a stable code and a sentence for the caller."""

    code: str
    detail: str


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that a worker holds open: what others find it by, and the version it shows."""

    name: str
    version: str


MAX_CLAIMS = 3
"""So often a job is planned whose snapshot was lost; then it fails."""


@dataclass(frozen=True)
class Progress:
    """How much was read: ``rows``, 0 where they are not counted on the way, and stored bytes."""

    rows: int = 0
    size: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(self.rows + other.rows, self.size + other.size)


def read_so_far(attempts: Mapping[int, Sequence[Progress]]) -> Progress:
    """What a caller is told of a job, from what the workers of each of its attempts say.

    The most that an attempt has read: what its workers say only grows, and so does the most, also
    where a job begins anew and its next attempt has still to come as far.
    """
    sums = [sum(told, Progress()) for told in attempts.values()]
    return Progress(
        max((one.rows for one in sums), default=0), max((one.size for one in sums), default=0)
    )


@dataclass(frozen=True)
class Job:
    """The extraction of one table.

    ``attempt`` rises with each claim by a workflow; only its owner may write. ``claims`` counts
    those of the operation's present attempt. ``slices`` are the pieces that are read and recorded
    one by one, in the document's order; they are shared out to ``ranges``, each the work of one
    worker at a time. ``slices_done`` are the numbers of those that are recorded. ``key`` and
    ``upload_id`` are where that attempt writes; no two attempts share a key. ``staging`` is the
    folder that its rows were unloaded to, and ``staged_version`` what was in there when the job
    was planned. ``held``: its slices are read in a snapshot of the job's own, which is
    ``snapshot`` as soon as a worker holds it. ``rows`` and ``size`` are those of the document,
    ``read`` is what was read on the way to it, of ``expected_rows`` if anybody knows;
    ``seconds_left`` is a guess of how long the rest takes.
    """

    job_id: str
    table: str
    status: Status = Status.SCHEDULED
    attempt: int = 0
    claims: int = 0
    slices: tuple[TableRange, ...] = ()
    ranges: int = 0
    slices_done: frozenset[int] = frozenset()
    expected_rows: int | None = None
    started_at: datetime | None = None
    read: Progress = Progress()
    seconds_left: int | None = None
    rows: int | None = None
    size: int | None = None
    sha256: str | None = None
    schema_hash: str | None = None
    schema_version: int | None = None
    key: str | None = None
    upload_id: str | None = None
    staging: str | None = None
    staged_version: str | None = None
    held: bool = False
    snapshot: Snapshot | None = None
    content: Content = Content.FULL
    failure: Failure | None = None
    ended_at: datetime | None = None

    @property
    def is_read(self) -> bool:
        """Has every slice of it been read."""
        return len(self.slices_done) == len(self.slices)

    @property
    def percent(self) -> int:
        """How far it is, 0 to 100: by rows, or by slices where rows are not counted."""
        if self.status in (Status.SUCCEEDED, Status.EXPIRED):
            return 100
        if self.read.rows and self.expected_rows:
            return min(99, 100 * self.read.rows // self.expected_rows)
        if not self.slices:
            return 0
        return min(99, 100 * len(self.slices_done) // len(self.slices))

    @property
    def so_far(self) -> Progress:
        """The document's rows and bytes if it is there, else what was read."""
        if self.rows is None or self.size is None:
            return self.read
        return Progress(self.rows, self.size)

    def open_slices(self, index: int) -> tuple[int, ...]:
        """The numbers of the slices of range ``index`` (from 0) that are not recorded yet."""
        return tuple(n for n in self.own_slices(index) if n not in self.slices_done)

    def own_slices(self, index: int) -> range:
        """The numbers of the slices of range ``index`` (from 0)."""
        count = len(self.slices)
        return range(index * count // self.ranges, (index + 1) * count // self.ranges)

    def within(self, status: Status, failure: Failure | None) -> "Job":
        """The job inside an operation that stands so: it cannot outlive its operation's end."""
        if not self.status.active:
            return self
        if status is Status.CANCELLED:
            return replace(self, status=Status.CANCELLED)
        if status in (Status.FAILED, Status.EXPIRED):
            reason = failure or Failure("not_run", "The operation ended before this job did.")
            return replace(self, status=Status.FAILED, failure=reason)
        return self


@dataclass(frozen=True)
class SharingSnapshot:
    """Whose rows an operation of a service reads: a version of who shares (``SharedAccounts``), and
    the mark of the accounts, by which the list of them is kept.
    """

    version: str
    mark: str


@dataclass(frozen=True)
class Occasion:
    """What an operation was started for that nobody called for: a schedule, and its due time."""

    schedule: str
    due: datetime


@dataclass(frozen=True)
class Operation:
    """One request for data, and all that is known of it. ``jobs`` are in the tables' order.

    ``held``: all its tables are read in one snapshot, which is ``snapshot`` as soon as a worker
    holds it; then ``sync_version`` is what it shows, and None before. ``organisation``: on whose
    behalf a data broker has started it. ``sharing``: whose rows it reads, of a service.
    """

    operation_id: str
    tenant: str
    client_id: str
    request: ExportRequest
    catalog_version: int
    quota_day: str
    created_at: datetime
    status: Status = Status.SCHEDULED
    attempt: int = 1
    sync_version: str | None = None
    held: bool = False
    snapshot: Snapshot | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    refunded: bool = False
    failure: Failure | None = None
    jobs: tuple[Job, ...] = ()
    seconds_left: int | None = None
    occasion: Occasion | None = None
    deliveries: tuple[Delivery, ...] = ()
    organisation: str | None = None
    sharing: SharingSnapshot | None = None

    @property
    def kind(self) -> OperationKind:
        """What is exported."""
        return self.request.kind

    @property
    def so_far(self) -> Progress:
        """Rows and bytes of all jobs, as far as they are."""
        return sum((job.so_far for job in self.jobs), Progress())

    @property
    def execution_name(self) -> str:
        """The name of the workflow's execution: one per attempt, so a second start is a repeat."""
        return f"{self.operation_id}-{self.attempt}"

    @property
    def percent(self) -> int:
        """How far it is, 0 to 100; only a succeeded one says 100."""
        if self.status in (Status.SUCCEEDED, Status.EXPIRED):
            return 100
        if not self.jobs:
            return 0
        return min(99, sum(job.percent for job in self.jobs) // len(self.jobs))

    def job(self, job_id: str) -> Job:
        """The job with this id. Raises NotFound."""
        for job in self.jobs:
            if job.job_id == job_id:
                return job
        raise NotFound("There is no such job.")

    def seen_at(self, moment: datetime) -> "Operation":
        """As a caller sees it then: past ``expires_at`` it is expired, swept already or not."""
        past = self.expires_at is not None and moment >= self.expires_at
        if self.status is Status.EXPIRED or (self.status.ended and past):
            jobs = tuple(
                replace(job, status=Status.EXPIRED) if job.status is Status.SUCCEEDED else job
                for job in self.jobs
            )
            return replace(self, status=Status.EXPIRED, jobs=jobs)
        if self.status is Status.RUNNING:
            jobs = tuple(_with_seconds_left(job, moment) for job in self.jobs)
            return replace(self, jobs=jobs, seconds_left=self._seconds_left(moment))
        return self

    def _seconds_left(self, moment: datetime) -> int | None:
        """By the rows that this attempt has read since it began."""
        own = [
            job
            for job in self.jobs
            if job.status is not Status.SUCCEEDED or _since(self.started_at, job.ended_at)
        ]
        if any(job.status.active and job.expected_rows is None for job in own):
            return None
        left = sum((job.expected_rows or 0) - job.read.rows for job in own if job.status.active)
        return _time_for(left, sum(job.so_far.rows for job in own), self.started_at, moment)

    def outcome(self) -> Status:
        """The state that the jobs' states add up to: succeeded only if every job is."""
        if all(job.status is Status.SUCCEEDED for job in self.jobs):
            return Status.SUCCEEDED
        return Status.FAILED

    @property
    def offered_version(self) -> str | None:
        """The version that a caller may take its data to stand at: only once all of it is there."""
        succeeded = self.status in (Status.SUCCEEDED, Status.EXPIRED)
        return self.told_version if succeeded and self._all_succeeded else None

    @property
    def told_version(self) -> str | None:
        """The version that its tables are read at, as callers know it."""
        if self.sync_version is None or self.sharing is None:
            return self.sync_version
        return marked(self.sync_version, self.sharing.mark)

    @property
    def _all_succeeded(self) -> bool:
        return all(job.status in (Status.SUCCEEDED, Status.EXPIRED) for job in self.jobs)

    def delivery(
        self, status: Status, failure: Failure | None, moment: datetime
    ) -> Delivery | None:
        """What is owed to the endpoint that is to be told, if the attempt ends so at this moment.

        Whatever writes that end must record it in the same write.
        """
        notice = self.request.notice
        if notice is None:
            return None
        completion = Completion(
            operation_id=self.operation_id,
            attempt=self.attempt,
            kind=str(self.kind),
            status=str(status),
            configuration_id=self.request.configuration_id,
            entity=self.request.entity,
            sync_version=self.told_version if status is Status.SUCCEEDED else None,
            error_code=failure.code if failure else None,
            error_detail=failure.detail if failure else None,
            ended_at=moment,
            manifest=f"{notice.base_url}/data/v1/operations/{self.operation_id}/manifest",
        )
        return Delivery(
            self.tenant, self.client_id, notice.endpoint, completion, next_try_at=moment
        )

    def check_retryable(self) -> None:
        """Raises OperationNotRetryable unless it failed or was cancelled."""
        if Status.SCHEDULED not in MOVES[self.status]:
            raise OperationNotRetryable(
                f"The operation is {self.status}; only a failed or cancelled one can be retried.",
                operationStatus=str(self.status),
            )

    def check_deletable(self) -> None:
        """Raises OperationRunning while it is active."""
        if self.status.active:
            raise OperationRunning(
                "The operation is still running; cancel it first, then delete it.",
                operationStatus=str(self.status),
            )


def _since(moment: datetime | None, ended_at: datetime | None) -> bool:
    return moment is not None and ended_at is not None and ended_at >= moment


def _with_seconds_left(job: Job, moment: datetime) -> Job:
    if job.status is not Status.RUNNING or job.expected_rows is None:
        return job
    left = job.expected_rows - job.read.rows
    return replace(job, seconds_left=_time_for(left, job.read.rows, job.started_at, moment))


def _time_for(left: int, done: int, since: datetime | None, moment: datetime) -> int | None:
    """Seconds that ``left`` rows take if ``done`` took since then; None if nobody can tell yet."""
    if since is None or done <= 0 or left <= 0:
        return None
    return math.ceil(left / done * max(0.0, (moment - since).total_seconds()))


def new_operation(
    operation_id: str,
    tenant: str,
    client_id: str,
    request: ExportRequest,
    catalog_version: int,
    quota_day: str,
    created_at: datetime,
    expected_rows: Mapping[str, int] | None = None,
    occasion: Occasion | None = None,
    organisation: str | None = None,
) -> Operation:
    """A scheduled operation with one scheduled job per table; how many rows, if it is known."""
    expected = expected_rows or {}
    jobs = tuple(
        Job(f"{operation_id}-{index:04d}", table, expected_rows=expected.get(table))
        for index, table in enumerate(request.tables, start=1)
    )
    return Operation(
        operation_id=operation_id,
        tenant=tenant,
        client_id=client_id,
        request=request,
        catalog_version=catalog_version,
        quota_day=quota_day,
        created_at=created_at,
        jobs=jobs,
        occasion=occasion,
        organisation=organisation,
    )


@dataclass(frozen=True)
class Baseline:
    """A version that a client's data of a configuration stands at, or of one ``entity`` of it.

    ``grants``: what was granted of each table then (``Table.grant_hash``). ``operation_id`` and
    ``kind`` are those of the operation that brought the data there; without one, the client was
    told of the version before it had any. ``organisation``: on whose behalf a data broker has it.
    """

    configuration_id: str
    entity: str | None
    version: str
    grants: Mapping[str, str]
    reached_at: datetime
    operation_id: str | None = None
    kind: OperationKind | None = None
    organisation: str | None = None

    def agreed(self, other: "Baseline") -> "Baseline":
        """Both in one, of the same version: only what was granted alike is known of it.

        A client may have several copies that stand at one version and were granted otherwise.
        """
        grants = {
            table: grant for table, grant in self.grants.items() if other.grants.get(table) == grant
        }
        return replace(self, grants=grants)


@dataclass(frozen=True)
class DocumentRecord:
    """A document and the parts that it was uploaded in."""

    job: Job
    slices: tuple[SliceResult, ...]


@dataclass(frozen=True)
class SyncStanding:
    """What there is to know before an increment: where the source stands, and the caller's data."""

    configuration_id: str
    entity: str | None
    baseline: Baseline | None
    window: ChangeWindow
    told: str
    """The version that a caller without data is told."""

    @property
    def sync_version(self) -> str:
        """The version to go on from: the baseline once there is one, else the one that is told."""
        return self.baseline.version if self.baseline is not None else self.told


@dataclass(frozen=True)
class Quota:
    """How many operations a client has started on its tenant's day, of how many."""

    limit: int
    used: int
    resets_at: datetime

    @property
    def remaining(self) -> int:
        """How many are left."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class QuotaRule:
    """A client's daily quota and the time zone whose midnight resets it."""

    limit: int
    time_zone: str

    def day(self, moment: datetime) -> str:
        """The quota's day at ``moment``."""
        return day_in(self.time_zone, moment)

    def resets_at(self, moment: datetime) -> datetime:
        """When the quota of ``moment``'s day resets."""
        return start_of_next_day(self.time_zone, moment)


_LEAST_BYTES_PER_S = 1024 * 1024
"""What a worker reads of the dearest table from the busiest source; usually it is thirty times
as much."""


@dataclass(frozen=True)
class Limits:
    """What the deployment allows and aims at. Sizes in bytes."""

    file_lifetime: timedelta = timedelta(hours=24)
    lease: timedelta = timedelta(minutes=15)
    """How long an active operation may show no sign of life before the sweeper looks at it."""
    range_bytes: int = 256 * 1024 * 1024
    """The encoded size that a range aims at."""
    max_ranges: int = 40
    range_seconds: float = 780
    """How long a worker begins slice after slice before it hands the range over to the next."""
    longest_hold: timedelta = timedelta(seconds=870)
    """How long a snapshot of a source is held open at most."""
    part_bytes: int = 8 * 1024 * 1024

    @property
    def slice_bytes(self) -> int:
        """The encoded size that a slice aims at: no more than a slow worker reads in its time."""
        return min(self.range_bytes, int(self.range_seconds * _LEAST_BYTES_PER_S))

    def ranges(self, slices: int, readers: int | None = None) -> int:
        """To how many ranges so many slices are shared out.

        No more than there may be ``readers`` of the source: others would but wait for them.
        """
        wanted = math.ceil(slices * self.slice_bytes / self.range_bytes)
        most = self.max_ranges if readers is None else min(readers, self.max_ranges)
        return max(1, min(wanted, slices, most))
