"""What callers see of exports. Field names, in camel case, are the JSON of the API."""

from dataclasses import dataclass
from datetime import datetime

from headrace.exports.model import (
    Column,
    Configuration,
    Failure,
    Job,
    Operation,
    Quota,
    RangeResult,
    Status,
    Table,
)
from headrace.kernel.paging import Page
from headrace.kernel.view import View

_PATH = "/data/v1"


@dataclass(frozen=True)
class QuotaView(View):
    """The client's operations of its tenant's day."""

    limit: int
    used: int
    remaining: int
    resets_at: datetime

    @classmethod
    def of(cls, quota: Quota) -> "QuotaView":
        """The view of a quota."""
        return cls(quota.limit, quota.used, quota.remaining, quota.resets_at)


@dataclass(frozen=True)
class FailureView(View):
    """Why something failed: a stable code, and a sentence that says what to do."""

    code: str
    detail: str

    @classmethod
    def of(cls, failure: Failure | None) -> "FailureView | None":
        """The view of a failure, if there is one."""
        return cls(failure.code, failure.detail) if failure else None


@dataclass(frozen=True)
class JobView(View):
    """The extraction of one table; ``link`` is there once the document is."""

    job_id: str
    table: str
    status: Status
    rows: int | None
    bytes: int | None
    percent: int
    attempt: int
    error: FailureView | None
    link: str | None
    expires_at: datetime | None

    @classmethod
    def of(cls, job: Job, operation: Operation, base_url: str) -> "JobView":
        """The view of a job of the operation."""
        done = job.status is Status.SUCCEEDED
        return cls(
            job_id=job.job_id,
            table=job.table,
            status=job.status,
            rows=job.rows,
            bytes=job.size,
            percent=job.percent,
            attempt=job.attempt,
            error=FailureView.of(job.failure),
            link=f"{base_url}{_PATH}/jobs/{job.job_id}" if done else None,
            expires_at=operation.expires_at if done else None,
        )


@dataclass(frozen=True)
class OperationLinks(View):
    """Where to go from here."""

    status: str
    manifest: str
    retry: str
    cancel: str


@dataclass(frozen=True)
class OperationSummary(View):
    """An operation without its jobs."""

    operation_id: str
    kind: str
    status: Status
    configuration_id: str
    file_format: str
    compression: str
    sync_version: str | None
    catalog_version: int
    attempt: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    error: FailureView | None
    links: OperationLinks

    @classmethod
    def of(cls, operation: Operation, base_url: str) -> "OperationSummary":
        """The view of an operation."""
        return cls(**_summary(operation, base_url))  # type: ignore[arg-type]


@dataclass(frozen=True)
class OperationView(OperationSummary):
    """An operation with its jobs, its progress, and the quota as it stands."""

    percent: int
    quota: QuotaView
    jobs: tuple[JobView, ...]

    @classmethod
    def shown(cls, operation: Operation, quota: Quota, base_url: str) -> "OperationView":
        """The view of an operation beside the client's quota."""
        return cls(
            **_summary(operation, base_url),  # type: ignore[arg-type]
            percent=operation.percent,
            quota=QuotaView.of(quota),
            jobs=tuple(JobView.of(job, operation, base_url) for job in operation.jobs),
        )


def status_url(operation: Operation, base_url: str) -> str:
    """Where the operation's status is."""
    return f"{base_url}{_PATH}/fulldata/{operation.operation_id}/status"


def _summary(operation: Operation, base_url: str) -> dict[str, object]:
    own = f"{base_url}{_PATH}/fulldata/{operation.operation_id}"
    return {
        "operation_id": operation.operation_id,
        "kind": operation.kind,
        "status": operation.status,
        "configuration_id": operation.request.configuration_id,
        "file_format": str(operation.request.file_format),
        "compression": str(operation.request.compression),
        "sync_version": operation.sync_version,
        "catalog_version": operation.catalog_version,
        "attempt": operation.attempt,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "ended_at": operation.ended_at,
        "expires_at": operation.expires_at,
        "error": FailureView.of(operation.failure),
        "links": OperationLinks(
            status=status_url(operation, base_url),
            manifest=f"{base_url}{_PATH}/operations/{operation.operation_id}/manifest",
            retry=f"{own}/retry",
            cancel=f"{own}/cancel",
        ),
    }


@dataclass(frozen=True)
class OperationPage(View):
    """Operations, newest first; ``next`` is the cursor of the next page."""

    operations: tuple[OperationSummary, ...]
    next: str | None
    quota: QuotaView


@dataclass(frozen=True)
class FieldView(View):
    """A field that may be exported."""

    name: str
    type: str
    nullable: bool
    precision: int | None
    scale: int | None

    @classmethod
    def of(cls, column: Column) -> "FieldView":
        """The view of a configured column; its name in the source is not shown."""
        return cls(column.name, column.type, column.nullable, column.precision, column.scale)


@dataclass(frozen=True)
class TableView(View):
    """A table that may be exported. ``row_estimate`` is of the day the catalog was published."""

    name: str
    primary_key: tuple[str, ...]
    schema_hash: str
    row_estimate: int
    fields: tuple[FieldView, ...]

    @classmethod
    def of(cls, table: Table) -> "TableView":
        """The view of a configured table; its name in the source is not shown."""
        return cls(
            name=table.name,
            primary_key=table.primary_key,
            schema_hash=table.schema_hash,
            row_estimate=table.row_estimate,
            fields=tuple(FieldView.of(column) for column in table.columns),
        )


@dataclass(frozen=True)
class MetadataView(View):
    """One page of what a configuration grants (facts on the seed: pages of 10, from 1)."""

    configuration_id: str
    tenant: str
    catalog_version: int
    tables: tuple[TableView, ...]
    page_size: int
    current_page: int
    total_count: int
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
    offset: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class FileView(View):
    """A document. ``sha256`` is that of the whole where one worker wrote it, else the parts'."""

    job_id: str
    table: str
    file_name: str
    content_type: str
    rows: int
    bytes: int
    sha256: str | None
    schema_hash: str | None
    snapshot: str | None
    link: str
    parts: tuple[PartView, ...]

    @classmethod
    def of(
        cls, operation: Operation, job: Job, ranges: tuple[RangeResult, ...], base_url: str
    ) -> "FileView":
        """The view of a succeeded job's document. Bytes and digests are of the stored form."""
        parts: list[PartView] = []
        offset = 0
        for number, part in enumerate((p for result in ranges for p in result.parts), start=1):
            parts.append(PartView(number, offset, part.size, part.sha256))
            offset += part.size
        return cls(
            job_id=job.job_id,
            table=job.table,
            file_name=operation.request.file_name(job.table),
            content_type=operation.request.content_type,
            rows=job.rows or 0,
            bytes=job.size or 0,
            sha256=job.sha256,
            schema_hash=job.schema_hash,
            snapshot=operation.sync_version,
            link=f"{base_url}{_PATH}/jobs/{job.job_id}",
            parts=tuple(parts),
        )


@dataclass(frozen=True)
class ManifestView(View):
    """Every document of an operation, with what is needed to verify and to resume it."""

    operation_id: str
    configuration_id: str
    sync_version: str | None
    file_format: str
    compression: str
    created_at: datetime
    files: tuple[FileView, ...]
