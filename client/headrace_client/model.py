"""The service's replies as frozen dataclasses.

Each has `from_json`, which demands what the client relies on, ignores members that it does not
know (a newer service may send more), and raises ProtocolError for the rest. Times are aware
datetimes in UTC, sizes are bytes of the stored (possibly compressed) document, digests are
lower-case hex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from headrace_client.errors import ProtocolError


class FileFormat(StrEnum):
    """The format of every file of an operation."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Compression(StrEnum):
    """How the files are compressed as they are stored and downloaded."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class OperationKind(StrEnum):
    """What an operation exports: all rows, or what changed since a version."""

    FULL = "full"
    INCREMENTAL = "incremental"


class Content(StrEnum):
    """What a document holds: all rows of the table, or its net changes."""

    FULL = "full"
    CHANGES = "changes"


class Status(StrEnum):
    """The states of an operation and of its jobs."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def active(self) -> bool:
        """Whether the service still works on it."""
        return self in (Status.SCHEDULED, Status.RUNNING)


class Document:
    """One JSON object with typed getters; `what` names it in complaints."""

    def __init__(self, held: object, what: str) -> None:
        if not isinstance(held, Mapping):
            raise ProtocolError(f"The service's {what} is not a JSON object.")
        self._held: Mapping[str, Any] = held
        self._what = what

    def _wrong(self, name: str, wanted: str) -> ProtocolError:
        return ProtocolError(f"The service's {self._what} has no usable {name!r} ({wanted}).")

    def text(self, name: str) -> str:
        held = self._held.get(name)
        if not isinstance(held, str):
            raise self._wrong(name, "text")
        return held

    def text_or_none(self, name: str) -> str | None:
        held = self._held.get(name)
        return held if isinstance(held, str) else None

    def count(self, name: str, default: int | None = None) -> int:
        held = self._held.get(name)
        if held is None and default is not None:
            return default
        if isinstance(held, bool) or not isinstance(held, int) or held < 0:
            raise self._wrong(name, "a whole number")
        return held

    def count_or_none(self, name: str) -> int | None:
        return None if self._held.get(name) is None else self.count(name)

    def percent(self, name: str) -> float:
        held = self._held.get(name)
        if held is None:
            return 0.0
        if isinstance(held, bool) or not isinstance(held, (int, float)):
            raise self._wrong(name, "0 to 100")
        return min(100.0, max(0.0, float(held)))

    def flag(self, name: str) -> bool:
        held = self._held.get(name)
        if not isinstance(held, bool):
            raise self._wrong(name, "true or false")
        return held

    def time_or_none(self, name: str) -> datetime | None:
        held = self._held.get(name)
        if held is None:
            return None
        try:
            moment = datetime.fromisoformat(held)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise self._wrong(name, "an RFC 3339 time") from None

    def status(self, name: str) -> Status:
        try:
            return Status(self.text(name))
        except ValueError:
            raise self._wrong(name, "a status this client knows") from None

    def content(self, name: str) -> Content:
        try:
            return Content(self.text_or_none(name) or Content.FULL)
        except ValueError:
            raise self._wrong(name, "a content this client knows") from None

    def documents(self, name: str) -> Sequence[object]:
        held = self._held.get(name)
        if held is None:
            return ()
        if not isinstance(held, list):
            raise self._wrong(name, "a list")
        return held

    def get(self, name: str) -> object:
        return self._held.get(name)


@dataclass(frozen=True)
class Quota:
    """How many operations the client may start in a day."""

    limit: int
    used: int
    remaining: int
    resets_at: datetime | None

    @classmethod
    def from_json(cls, held: object) -> Quota:
        """Read the `quota` member of an operation, a 409 or a 429."""
        doc = Document(held, "quota")
        return cls(
            doc.count("limit"),
            doc.count("used"),
            doc.count("remaining"),
            doc.time_or_none("resetsAt"),
        )


@dataclass(frozen=True)
class Failure:
    """Why an operation or a job failed: a stable code and a sentence."""

    code: str
    detail: str

    @classmethod
    def from_json(cls, held: object) -> Failure | None:
        """Read an `error` member; None stays None."""
        if held is None:
            return None
        doc = Document(held, "error")
        return cls(doc.text_or_none("code") or "unknown", doc.text_or_none("detail") or "")


@dataclass(frozen=True)
class Job:
    """The extraction of one table within an operation. `rows` and `bytes` grow while it runs."""

    job_id: str
    table: str
    status: Status
    rows: int
    bytes: int
    percent: float
    attempt: int
    error: Failure | None
    link: str | None
    expires_at: datetime | None
    seconds_left: int | None = None

    @classmethod
    def from_json(cls, held: object) -> Job:
        """Read one entry of an operation's `jobs`."""
        doc = Document(held, "job")
        return cls(
            job_id=doc.text("jobId"),
            table=doc.text("table"),
            status=doc.status("status"),
            rows=doc.count("rows", default=0),
            bytes=doc.count("bytes", default=0),
            percent=doc.percent("percent"),
            attempt=doc.count("attempt", default=1),
            error=Failure.from_json(doc.get("error")),
            link=doc.text_or_none("link"),
            expires_at=doc.time_or_none("expiresAt"),
            seconds_left=doc.count_or_none("secondsLeft"),
        )


@dataclass(frozen=True)
class Operation:
    """One run of an export. `jobs` is empty in a list of operations. `rows` and `bytes` grow while
    it runs; `seconds_left` is the service's guess, None where it has none. An increment begins at
    `since_sync_version`, and has a `sync_version` once every document is complete.

    `retry_after` is not part of the document: the seconds that the reply asked to wait before
    the next look, or None.
    """

    operation_id: str
    kind: str
    status: Status
    configuration_id: str
    file_format: str
    compression: str
    entity: str | None
    sync_version: str | None
    attempt: int
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    percent: float
    quota: Quota | None
    error: Failure | None
    jobs: tuple[Job, ...]
    retry_after: float | None = None
    rows: int = 0
    bytes: int = 0
    seconds_left: int | None = None
    since_sync_version: str | None = None
    catalog_version: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object, retry_after: float | None = None) -> Operation:
        """Read an Operation document; `raw` keeps it as it came."""
        doc = Document(held, "operation")
        quota = doc.get("quota")
        return cls(
            operation_id=doc.text("operationId"),
            kind=doc.text_or_none("kind") or OperationKind.FULL,
            status=doc.status("status"),
            configuration_id=doc.text("configurationId"),
            file_format=doc.text("fileFormat"),
            compression=doc.text_or_none("compression") or "none",
            entity=doc.text_or_none("entity"),
            sync_version=doc.text_or_none("syncVersion"),
            attempt=doc.count("attempt", default=1),
            created_at=doc.time_or_none("createdAt"),
            started_at=doc.time_or_none("startedAt"),
            ended_at=doc.time_or_none("endedAt"),
            expires_at=doc.time_or_none("expiresAt"),
            percent=doc.percent("percent"),
            quota=None if quota is None else Quota.from_json(quota),
            error=Failure.from_json(doc.get("error")),
            jobs=tuple(Job.from_json(entry) for entry in doc.documents("jobs")),
            retry_after=retry_after,
            rows=doc.count("rows", default=0),
            bytes=doc.count("bytes", default=0),
            seconds_left=doc.count_or_none("secondsLeft"),
            since_sync_version=doc.text_or_none("sinceSyncVersion"),
            catalog_version=doc.count_or_none("catalogVersion"),
            raw=held if isinstance(held, Mapping) else {},
        )


@dataclass(frozen=True)
class OperationPage:
    """One page of the caller's operations, newest first; `next` is the cursor of the next."""

    operations: tuple[Operation, ...]
    next: str | None
    quota: Quota | None

    @classmethod
    def from_json(cls, held: object) -> OperationPage:
        """Read the reply of GET /data/v1/operations."""
        doc = Document(held, "list of operations")
        quota = doc.get("quota")
        return cls(
            tuple(Operation.from_json(entry) for entry in doc.documents("operations")),
            doc.text_or_none("next"),
            None if quota is None else Quota.from_json(quota),
        )


@dataclass(frozen=True)
class Part:
    """A stretch of a file that can be fetched and verified by itself."""

    number: int
    offset: int
    bytes: int
    sha256: str

    @classmethod
    def from_json(cls, held: object) -> Part:
        """Read one entry of a file's `parts`."""
        doc = Document(held, "part")
        return cls(
            doc.count("number"), doc.count("offset"), doc.count("bytes"), doc.text("sha256").lower()
        )


@dataclass(frozen=True)
class ManifestFile:
    """One file of a finished operation.

    `sha256` covers the whole file and is None where several workers wrote it; `parts` cover it
    always.
    """

    job_id: str
    table: str
    file_name: str
    content_type: str | None
    rows: int
    bytes: int
    sha256: str | None
    schema_hash: str | None
    schema_version: int | None
    snapshot: str | None
    parts: tuple[Part, ...]
    content: Content = Content.FULL

    @classmethod
    def from_json(cls, held: object) -> ManifestFile:
        """Read one entry of a manifest's `files`."""
        doc = Document(held, "file")
        digest = doc.text_or_none("sha256")
        return cls(
            job_id=doc.text("jobId"),
            table=doc.text("table"),
            file_name=doc.text("fileName"),
            content_type=doc.text_or_none("contentType"),
            rows=doc.count("rows"),
            bytes=doc.count("bytes"),
            sha256=None if digest is None else digest.lower(),
            schema_hash=doc.text_or_none("schemaHash"),
            schema_version=doc.count_or_none("schemaVersion"),
            snapshot=doc.text_or_none("snapshot"),
            parts=tuple(Part.from_json(entry) for entry in doc.documents("parts")),
            content=doc.content("content"),
        )


@dataclass(frozen=True)
class Manifest:
    """What a finished operation holds. `raw` is the document as it came.

    `sync_version` is what the data stands at once all files are applied; None where one is missing.
    """

    operation_id: str
    configuration_id: str
    sync_version: str | None
    file_format: str
    compression: str
    created_at: datetime | None
    files: tuple[ManifestFile, ...]
    since_sync_version: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object) -> Manifest:
        """Read the reply of GET /data/v1/operations/{operationId}/manifest."""
        doc = Document(held, "manifest")
        return cls(
            operation_id=doc.text("operationId"),
            configuration_id=doc.text("configurationId"),
            sync_version=doc.text_or_none("syncVersion"),
            file_format=doc.text("fileFormat"),
            compression=doc.text_or_none("compression") or "none",
            created_at=doc.time_or_none("createdAt"),
            files=tuple(ManifestFile.from_json(entry) for entry in doc.documents("files")),
            since_sync_version=doc.text_or_none("sinceSyncVersion"),
            raw=held if isinstance(held, Mapping) else {},
        )


@dataclass(frozen=True)
class FieldMetadata:
    """One public column of a table.

    ``text_of``: its values are the texts that the source writes of this type of its own.
    ``precision`` and ``scale`` are those of a decimal, None where it has none.
    """

    name: str
    type: str
    nullable: bool
    text_of: str | None = None
    precision: int | None = None
    scale: int | None = None

    @classmethod
    def from_json(cls, held: object) -> FieldMetadata:
        """Read one entry of a table's `fields`."""
        doc = Document(held, "field")
        return cls(
            name=doc.text("name"),
            type=doc.text("type"),
            nullable=doc.flag("nullable"),
            text_of=doc.text_or_none("textOf"),
            precision=doc.count_or_none("precision"),
            scale=doc.count_or_none("scale"),
        )


@dataclass(frozen=True)
class TableMetadata:
    """One table that the configuration grants."""

    name: str
    primary_key: tuple[str, ...]
    schema_hash: str | None
    schema_version: int | None
    row_estimate: int | None
    fields: tuple[FieldMetadata, ...]

    @classmethod
    def from_json(cls, held: object) -> TableMetadata:
        """Read one entry of the metadata's `tables`."""
        doc = Document(held, "table")
        return cls(
            name=doc.text("name"),
            primary_key=tuple(str(name) for name in doc.documents("primaryKey")),
            schema_hash=doc.text_or_none("schemaHash"),
            schema_version=doc.count_or_none("schemaVersion"),
            row_estimate=doc.count_or_none("rowEstimate"),
            fields=tuple(FieldMetadata.from_json(entry) for entry in doc.documents("fields")),
        )


@dataclass(frozen=True)
class MetadataPage:
    """One page of the tables that a configuration grants."""

    configuration_id: str
    tenant: str | None
    catalog_version: int | None
    tables: tuple[TableMetadata, ...]
    current_page: int
    total_count: int
    has_next_page: bool

    @classmethod
    def from_json(cls, held: object) -> MetadataPage:
        """Read the reply of GET /data/v1/metadata."""
        doc = Document(held, "metadata")
        return cls(
            configuration_id=doc.text("configurationId"),
            tenant=doc.text_or_none("tenant"),
            catalog_version=doc.count_or_none("catalogVersion"),
            tables=tuple(TableMetadata.from_json(entry) for entry in doc.documents("tables")),
            current_page=doc.count("currentPage"),
            total_count=doc.count("totalCount"),
            has_next_page=doc.flag("hasNextPage"),
        )


@dataclass(frozen=True)
class Metadata:
    """All tables that a configuration grants, every page of them."""

    configuration_id: str
    tenant: str | None
    catalog_version: int | None
    tables: tuple[TableMetadata, ...]


@dataclass(frozen=True)
class SyncStanding:
    """The version that the caller's data stands at, and between which increments can be had.

    `sync_version` is that of the caller's last completed operation, else `latest`, the version
    that an operation begun now would see.
    """

    configuration_id: str
    sync_version: str
    latest: str
    min_valid_sync_version: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, held: object) -> SyncStanding:
        """Read the reply of GET /data/v1/incrementals/syncversion."""
        doc = Document(held, "sync version")
        return cls(
            configuration_id=doc.text("configurationId"),
            sync_version=doc.text("syncVersion"),
            latest=doc.text("latest"),
            min_valid_sync_version=doc.text_or_none("minValidSyncVersion"),
            raw=held if isinstance(held, Mapping) else {},
        )
