"""What callers see of exports. Field names, in camel case, are the JSON of the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.exports.model import (
    Compression,
    Content,
    DocumentRecord,
    Failure,
    FileFormat,
    Job,
    Operation,
    OperationKind,
    Quota,
    Status,
    SyncStanding,
)
from headrace.exports.slices import SliceResult
from headrace.exports.sources import Column, ColumnType, Configuration, Table
from headrace.exports.webhooks import Delivery
from headrace.kernel.deliveries import DeliveryState
from headrace.kernel.paging import Page
from headrace.kernel.view import View

_PATH = "/data/v1"


@dataclass(frozen=True)
class QuotaView(View):
    """The client's operations of its tenant's day."""

    limit: int
    """Operations that may be started on a day."""
    used: int
    """Operations started today."""
    remaining: int
    """Operations that may still be started today."""
    resets_at: datetime
    """When the day ends, in the tenant's time zone."""

    @classmethod
    def of(cls, quota: Quota) -> "QuotaView":
        """The view of a quota."""
        return cls(quota.limit, quota.used, quota.remaining, quota.resets_at)


@dataclass(frozen=True)
class FailureView(View):
    """Why something failed: a stable code, and a sentence that says what to do."""

    code: str
    """A stable code."""
    detail: str
    """A sentence for people; its words may change."""

    @classmethod
    def of(cls, failure: Failure | None) -> "FailureView | None":
        """The view of a failure, if there is one."""
        return cls(failure.code, failure.detail) if failure else None


@dataclass(frozen=True)
class JobView(View):
    """The extraction of one table; ``link`` is there once the document is."""

    job_id: str
    """Names the job, and its document under `/data/v1/jobs/`."""
    table: str
    """The table's public name."""
    status: Status
    content: Content
    """What the document holds: all rows, or what changed."""
    rows: int | None
    """Rows in the document; until it is there, those read so far, null if none is counted yet."""
    bytes: int | None
    """The same of the document's bytes as stored, so compressed if it is."""
    percent: int
    """How far it is, 0 to 100."""
    seconds_left: int | None
    """About how many seconds it takes yet; null where nobody can tell."""
    attempt: int
    """How often it was begun."""
    error: FailureView | None
    """Why it failed, if it did."""
    link: str | None
    """Where the document is; null until it is."""
    expires_at: datetime | None
    """When the document is removed."""

    @classmethod
    def of(cls, job: Job, operation: Operation, base_url: str) -> "JobView":
        """The view of a job of the operation."""
        done = job.status is Status.SUCCEEDED
        return cls(
            job_id=job.job_id,
            table=job.table,
            status=job.status,
            content=job.content,
            rows=job.so_far.rows if done else job.so_far.rows or None,
            bytes=job.so_far.size if done else job.so_far.size or None,
            percent=job.percent,
            seconds_left=job.seconds_left,
            attempt=job.attempt,
            error=FailureView.of(job.failure),
            link=f"{base_url}{_PATH}/jobs/{job.job_id}" if done else None,
            expires_at=operation.expires_at if done else None,
        )


@dataclass(frozen=True)
class DeliveryView(View):
    """What a webhook was told, or is yet to be told, of the end of an attempt."""

    id: str
    """Names the message, as its header `webhook-id`: the same at every try."""
    endpoint: str
    """The webhook's name in the catalog."""
    state: DeliveryState
    """`delivered`; `pending`, so it is tried again; `gone`, it answered 410 or is not registered
    any more; `given_up`, a day went by."""
    tries: int
    """How often it was tried."""
    last_try_at: datetime | None
    """When it was tried last."""
    last_status: int | None
    """The HTTP status that the endpoint answered last; null if it gave none."""
    last_error: str | None
    """Why it gave none: `no_answer`; `address_refused`; `no_secret`, none was issued;
    `secret_unavailable`, it cannot be read now."""
    next_try_at: datetime | None
    """When it is tried next, while it is pending."""

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryView":
        """The view of a delivery. Its URL is not shown: secrets may be in it."""
        return cls(
            id=delivery.delivery_id,
            endpoint=delivery.endpoint,
            state=delivery.state,
            tries=delivery.tries,
            last_try_at=delivery.last_try_at,
            last_status=delivery.last.status,
            last_error=delivery.last.error,
            next_try_at=delivery.next_try_at,
        )


@dataclass(frozen=True)
class OperationLinks(View):
    """Where to go from here."""

    status: str
    """How it stands."""
    manifest: str
    """Its documents with their digests, once it has ended."""
    retry: str
    """To run what did not succeed again."""
    cancel: str
    """To end it."""


@dataclass(frozen=True)
class OperationSummary(View):
    """An operation without its jobs."""

    operation_id: str
    """Names the operation."""
    kind: OperationKind
    """What is exported: `full`, all rows; `incremental`, what changed since a version."""
    status: Status
    configuration_id: str
    """The configuration that was exported."""
    file_format: FileFormat
    compression: Compression
    entity: str | None
    """The one table that was asked for; null if all of the configuration's were."""
    schedule: str | None
    """The schedule that it is a run of; null if a call started it."""
    since_sync_version: str | None
    """Of an increment: the version that it begins at."""
    sync_version: str | None
    """The state of the source that every document shows; null until the first worker has looked.
    Of an increment: null until every document is complete."""
    catalog_version: int
    """The published catalog that it was started under, and keeps to."""
    attempt: int
    """1, and one more with each retry."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When its first work began."""
    ended_at: datetime | None
    """When it came to its end."""
    expires_at: datetime | None
    """When its documents are removed."""
    error: FailureView | None
    """Why it failed, if it did."""
    links: OperationLinks

    @classmethod
    def of(cls, operation: Operation, base_url: str) -> "OperationSummary":
        """The view of an operation."""
        return cls(**_summary(operation, base_url))  # type: ignore[arg-type]


@dataclass(frozen=True)
class OperationView(OperationSummary):
    """An operation with its jobs, its progress, and the quota as it stands."""

    percent: int
    """How far it is, 0 to 100."""
    rows: int
    """Rows of all jobs, as far as they are."""
    bytes: int
    """Bytes of all jobs as stored, as far as they are."""
    seconds_left: int | None
    """About how many seconds it takes yet; null where nobody can tell."""
    quota: QuotaView
    """The client's quota as it stands now."""
    jobs: tuple[JobView, ...]
    """One for each table."""
    deliveries: tuple[DeliveryView, ...]
    """What its webhook was told of its end: one for each attempt that has ended, none without a
    webhook."""

    @classmethod
    def shown(cls, operation: Operation, quota: Quota, base_url: str) -> "OperationView":
        """The view of an operation beside the client's quota."""
        return cls(
            **_summary(operation, base_url),  # type: ignore[arg-type]
            percent=operation.percent,
            rows=operation.so_far.rows,
            bytes=operation.so_far.size,
            seconds_left=operation.seconds_left,
            quota=QuotaView.of(quota),
            jobs=tuple(JobView.of(job, operation, base_url) for job in operation.jobs),
            deliveries=tuple(DeliveryView.of(one) for one in operation.deliveries),
        )


def status_url(operation: Operation, base_url: str) -> str:
    """Where the operation's status is."""
    return f"{_url(operation, base_url)}/status"


def _url(operation: Operation, base_url: str) -> str:
    return f"{base_url}{operation.kind.path}/{operation.operation_id}"


def _summary(operation: Operation, base_url: str) -> dict[str, object]:
    own = _url(operation, base_url)
    manifest = f"{base_url}{_PATH}/operations/{operation.operation_id}/manifest"
    if operation.kind is OperationKind.INCREMENTAL:
        manifest = f"{own}/manifest"
    return {
        "operation_id": operation.operation_id,
        "kind": operation.kind,
        "status": operation.status,
        "configuration_id": operation.request.configuration_id,
        "file_format": operation.request.file_format,
        "compression": operation.request.compression,
        "entity": operation.request.entity,
        "schedule": operation.occasion.schedule if operation.occasion else None,
        "since_sync_version": operation.request.since,
        "sync_version": (
            operation.told_version
            if operation.kind is OperationKind.FULL
            else operation.offered_version
        ),
        "catalog_version": operation.catalog_version,
        "attempt": operation.attempt,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "ended_at": operation.ended_at,
        "expires_at": operation.expires_at,
        "error": FailureView.of(operation.failure),
        "links": OperationLinks(
            status=status_url(operation, base_url),
            manifest=manifest,
            retry=f"{own}/retry",
            cancel=f"{own}/cancel",
        ),
    }


@dataclass(frozen=True)
class OperationPage(View):
    """Operations, newest first; ``next`` is the cursor of the next page."""

    operations: tuple[OperationSummary, ...]
    next: str | None
    """Send it as `cursor` to get the next page; null on the last."""
    quota: QuotaView
    """The client's quota as it stands now."""


@dataclass(frozen=True)
class FieldView(View):
    """A field that may be exported."""

    name: str
    """Its name in documents."""
    type: ColumnType
    """Its canonical type."""
    nullable: bool
    """Whether it may be null."""
    precision: int | None
    """Of a decimal: its digits."""
    scale: int | None
    """Of a decimal: its digits after the point."""
    text_of: str | None
    """If its values are the texts that the source writes of a type of its own: that type."""

    @classmethod
    def of(cls, column: Column) -> "FieldView":
        """The view of a configured column; its name in the source is not shown."""
        return cls(
            column.name,
            column.type,
            column.nullable,
            column.precision,
            column.scale,
            column.text_of,
        )


@dataclass(frozen=True)
class TableView(View):
    """A table that may be exported. ``row_estimate`` is of the day the catalog was published."""

    name: str
    """Its public name: send it as `entity` to export it alone."""
    primary_key: tuple[str, ...]
    """The fields that tell its rows apart."""
    schema_hash: str
    """Changes whenever names, types or nullability do."""
    schema_version: int
    """1, and one more with each publication that changes the hash."""
    row_estimate: int
    """About how many rows it has."""
    fields: tuple[FieldView, ...]

    @classmethod
    def of(cls, table: Table) -> "TableView":
        """The view of a configured table; its name in the source is not shown."""
        return cls(
            name=table.name,
            primary_key=table.primary_key,
            schema_hash=table.schema_hash,
            schema_version=table.schema_version,
            row_estimate=table.row_estimate,
            fields=tuple(FieldView.of(column) for column in table.columns),
        )


@dataclass(frozen=True)
class MetadataView(View):
    """One page of the tables that a configuration grants."""

    configuration_id: str
    tenant: str
    catalog_version: int
    """The published catalog that this was read from."""
    tables: tuple[TableView, ...]
    page_size: int
    current_page: int
    """This page, from 1."""
    total_count: int
    """Tables on all pages."""
    total_pages: int
    has_previous_page: bool
    has_next_page: bool

    @classmethod
    def of(cls, version: int, configuration: Configuration, page: Page[Table]) -> "MetadataView":
        """The view of one page of a configuration's tables."""
        return cls(
            configuration_id=configuration.configuration_id,
            tenant=configuration.tenant,
            catalog_version=version,
            tables=tuple(TableView.of(table) for table in page.items),
            page_size=page.size,
            current_page=page.number,
            total_count=page.total,
            total_pages=page.pages,
            has_previous_page=page.has_previous,
            has_next_page=page.has_next,
        )


@dataclass(frozen=True)
class PartView(View):
    """A part of a document: where it starts, its size, and the SHA-256 (hex) of its bytes."""

    number: int
    """From 1."""
    offset: int
    """Where it starts in the document."""
    bytes: int
    sha256: str
    """The SHA-256 of its bytes, in hex."""


@dataclass(frozen=True)
class FileView(View):
    """A document. ``sha256`` is that of the whole where one worker wrote it, else the parts'."""

    job_id: str
    table: str
    file_name: str
    """The name that a download suggests."""
    content_type: str
    """Its media type."""
    content: Content
    """What it holds: all rows of the table, or what changed of it."""
    rows: int
    bytes: int
    """Its size as stored."""
    sha256: str | None
    """The SHA-256 of the whole, in hex; null where several workers wrote it, beside the parts."""
    schema_hash: str | None
    """That of the table's metadata when it was written."""
    schema_version: int | None
    """Likewise."""
    snapshot: str | None
    """The state of the source that it shows."""
    link: str
    parts: tuple[PartView, ...]
    """All its bytes, part by part: verify and resume by them."""

    @classmethod
    def of(
        cls, operation: Operation, job: Job, slices: tuple[SliceResult, ...], base_url: str
    ) -> "FileView":
        """The view of a succeeded job's document. Bytes and digests are of the stored form."""
        parts: list[PartView] = []
        offset = 0
        for number, part in enumerate((p for result in slices for p in result.parts), start=1):
            parts.append(PartView(number, offset, part.size, part.sha256))
            offset += part.size
        return cls(
            job_id=job.job_id,
            table=job.table,
            file_name=operation.request.file_name(job.table),
            content_type=operation.request.content_type,
            content=job.content,
            rows=job.rows or 0,
            bytes=job.size or 0,
            sha256=job.sha256,
            schema_hash=job.schema_hash,
            schema_version=job.schema_version,
            snapshot=operation.sync_version,
            link=f"{base_url}{_PATH}/jobs/{job.job_id}",
            parts=tuple(parts),
        )


@dataclass(frozen=True)
class ManifestView(View):
    """Every document of an operation, with what is needed to verify and to resume it."""

    operation_id: str
    kind: OperationKind
    configuration_id: str
    since_sync_version: str | None
    """Of an increment: the version that it begins at."""
    sync_version: str | None
    """The state of the source that every document shows: keep it once you have applied them all.
    Null where a document is missing."""
    file_format: FileFormat
    compression: Compression
    created_at: datetime
    files: tuple[FileView, ...]
    """One for each job that succeeded."""

    @classmethod
    def of(
        cls, operation: Operation, documents: Sequence[DocumentRecord], base_url: str
    ) -> "ManifestView":
        """The view of an ended operation and its documents."""
        return cls(
            operation_id=operation.operation_id,
            kind=operation.kind,
            configuration_id=operation.request.configuration_id,
            since_sync_version=operation.request.since,
            sync_version=operation.offered_version,
            file_format=operation.request.file_format,
            compression=operation.request.compression,
            created_at=operation.created_at,
            files=tuple(
                FileView.of(operation, document.job, document.slices, base_url)
                for document in documents
            ),
        )


@dataclass(frozen=True)
class BaselineView(View):
    """What the caller's data stands at."""

    sync_version: str
    operation_id: str
    """The operation that brought it there."""
    kind: OperationKind
    completed_at: datetime
    """When that ended."""


@dataclass(frozen=True)
class SyncVersionView(View):
    """The version to go on from, and between which the source can tell what changed."""

    configuration_id: str
    entity: str | None
    """The one table that was asked about; null if all of the configuration's were."""
    sync_version: str
    """Send this to get what changed since: that of the baseline once there is one, else the
    latest."""
    baseline: BaselineView | None
    """What the last completed operation brought your data to; null before the first."""
    latest: str
    """What an operation begun now would bring it to."""
    min_valid_sync_version: str
    """The oldest version that changes can be told from."""
    retained_since: datetime | None
    """When that was; null where the source does not know."""

    @classmethod
    def of(cls, standing: SyncStanding) -> "SyncVersionView":
        """The view of how things stand."""
        found, window = standing.baseline, standing.window
        baseline = None
        if found is not None and found.operation_id is not None and found.kind is not None:
            baseline = BaselineView(found.version, found.operation_id, found.kind, found.reached_at)
        return cls(
            configuration_id=standing.configuration_id,
            entity=standing.entity,
            sync_version=standing.sync_version,
            baseline=baseline,
            latest=window.latest,
            min_valid_sync_version=window.oldest,
            retained_since=window.retained_since,
        )
