"""What the exports product needs of the world. Adapters answer these; tests have fakes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from headrace.exports.model import (
    Baseline,
    ExportRequest,
    Failure,
    Job,
    Operation,
    Progress,
    Quota,
    QuotaRule,
    SharingSnapshot,
    Snapshot,
    Status,
)
from headrace.exports.schedules import Cursor, Schedule, ScheduledRun
from headrace.exports.slices import SliceResult, UploadedPart
from headrace.exports.sources import (
    Configuration,
    SharedAccounts,
    Source,
)
from headrace.exports.webhooks import Delivery, Endpoint
from headrace.kernel.idempotency import IdempotencyKey


class Configurations(Protocol):
    """The published catalog, as exports read it. A version never changes once published."""

    def find(
        self, tenant: str, client_id: str, configuration_id: str | None
    ) -> tuple[int, Configuration]:
        """The current catalog version and the configuration (the default one for None).

        Raises NotFound.
        """
        ...

    def at(self, version: int, tenant: str, client_id: str, configuration_id: str) -> Configuration:
        """The configuration as that version had it. Raises NotFound."""
        ...

    def source(self, version: int, name: str) -> Source:
        """The source as that version had it. Raises NotFound."""
        ...

    def quota_rule(self, tenant: str, client_id: str) -> QuotaRule:
        """The client's daily quota in its tenant's time zone, as published now."""
        ...

    def kms_key(self, tenant: str) -> str | None:
        """The tenant's own KMS key, if the catalog names one."""
        ...

    def endpoints(self, tenant: str, client_id: str) -> tuple[Endpoint, ...]:
        """Where the client wants to be told, as published now.

        None if it is not, or no longer, a client of the tenant.
        """
        ...


class Operations(Protocol):
    """Operations, locks and quotas. Every write states what must hold, and fails otherwise."""

    def start(self, operation: Operation, rule: QuotaRule, key: IdempotencyKey | None) -> Operation:
        """Records it, takes the client's lock and one of the day's quota, all or nothing.

        Returns the operation that the key started before, if it did. Raises OperationActive,
        QuotaExhausted, IdempotencyKeyReused.
        """
        ...

    def get(self, tenant: str, client_id: str, operation_id: str) -> Operation:
        """The operation with its jobs; consistent. Raises NotFound (also of a deleted one)."""
        ...

    def find(self, tenant: str, client_id: str, operation_id: str) -> Operation | None:
        """The operation with its jobs, deleted or not; consistent."""
        ...

    def page(
        self,
        tenant: str,
        client_id: str,
        size: int,
        before: str | None,
        organisation: str | None = None,
    ) -> tuple[Operation, ...]:
        """Up to ``size`` operations without jobs, newest first, older than id ``before``.

        Those that were started on behalf of this organisation, or of none.
        """
        ...

    def quota(self, tenant: str, client_id: str, rule: QuotaRule, moment: datetime) -> Quota:
        """How the quota stands."""
        ...

    def plan(
        self,
        operation: Operation,
        sync_version: str | None,
        moment: datetime,
        sharing: SharingSnapshot | None = None,
    ) -> Operation:
        """scheduled → running, at this version; None: at that of a snapshot that is to be held.

        ``sharing``: whose rows are read, of a service. Raises Fenced.
        """
        ...

    def reset(self, operation: Operation, moment: datetime) -> Operation:
        """failed or cancelled → scheduled, under a new attempt, with the lock taken.

        Jobs that succeeded keep their files as long as the version stays, and who shares.
        Raises OperationActive, OperationNotRetryable.
        """
        ...

    def end(
        self,
        operation: Operation,
        status: Status,
        failure: Failure | None,
        *,
        expires_at: datetime,
        moment: datetime,
        refund: bool,
        baseline: Baseline | None = None,
    ) -> Operation:
        """Ends the attempt, releases the lock, refunds at most once. Raises Fenced.

        With it goes the baseline that the client's data has come to.
        """
        ...

    def expire(self, operation: Operation, moment: datetime) -> None:
        """ended → expired. Raises Fenced."""
        ...

    def delete(self, operation: Operation, moment: datetime) -> None:
        """Hides it for good. Raises OperationRunning, NotFound."""
        ...

    def look_again(self, operation: Operation, moment: datetime | None) -> None:
        """Sets when the sweeper looks at it next, or that it need not (None)."""
        ...

    def claim_job(self, operation: Operation, job: Job) -> Job:
        """Makes ``job``, one attempt on, the one that counts. Raises Fenced."""
        ...

    def record_snapshot(self, operation: Operation, job: Job | None, snapshot: Snapshot) -> None:
        """Says which snapshot this attempt of the job (None: of the operation) is read in.

        No attempt has two. Raises Fenced.
        """
        ...

    def record_slice(self, operation: Operation, job: Job, result: SliceResult) -> None:
        """Keeps what a worker made of a slice, for this attempt of the job. Raises Fenced."""
        ...

    def slices(self, operation: Operation, job: Job) -> tuple[SliceResult, ...]:
        """The slices recorded for this attempt of the job, in order."""
        ...

    def tell_progress(self, operation: Operation, job: Job, index: int, progress: Progress) -> None:
        """Keeps how far range ``index`` of this attempt is; what says less changes nothing."""
        ...

    def end_job(self, operation: Operation, job: Job) -> Job:
        """running → the status that ``job`` carries, with its result. Raises Fenced."""
        ...

    def may_continue(self, operation: Operation, job: Job) -> bool:
        """Is this attempt of the job still the one that counts."""
        ...


class Baselines(Protocol):
    """The versions that a client's data has come to, by configuration and entity; and, of a data
    broker, by the organisation on whose behalf it has the data.
    """

    def latest(
        self,
        tenant: str,
        client_id: str,
        configuration_id: str,
        entity: str | None,
        organisation: str | None = None,
    ) -> Baseline | None:
        """What the data stands at; of an entity, by itself or with all of the configuration."""
        ...

    def find(
        self,
        tenant: str,
        client_id: str,
        configuration_id: str,
        entity: str | None,
        version: str,
        organisation: str | None = None,
    ) -> Baseline | None:
        """What was recorded of this version, if it is one that the data has come to.

        If it has several times, with other grants: what they agree on.
        """
        ...

    def tell(self, tenant: str, client_id: str, baseline: Baseline) -> None:
        """Records a version that the client is told before it has data. What is there stays."""
        ...


class PublishedSchedules(Protocol):
    """The schedules of the published catalog, as it is now."""

    def published(self) -> tuple[datetime, tuple[Schedule, ...]] | None:
        """When it was published, and those of all clients; None before the first."""
        ...

    def of_client(self, tenant: str, client_id: str) -> tuple[Schedule, ...]:
        """A client's own, by name."""
        ...


class PublishedSources(Protocol):
    """The sources of the published catalog, as it is now."""

    def sources(self) -> tuple[Source, ...]:
        """All of them, each once; none before the first publication. Raises Unavailable."""
        ...


class ScheduleRuns(Protocol):
    """How far the schedules have come, and the runs of each."""

    def cursors(self) -> tuple[Cursor, ...]:
        """The cursors of all schedules."""
        ...

    def advance(self, cursor: Cursor, runs: Sequence[ScheduledRun], moment: datetime) -> Cursor:
        """Moves a cursor from the revision that it has, and records these runs with it.

        Raises Fenced if somebody else has moved it.
        """
        ...

    def forget(self, cursor: Cursor, runs: Sequence[ScheduledRun], moment: datetime) -> None:
        """Removes a cursor that is at the revision that it has, and records these runs.

        Raises Fenced.
        """
        ...

    def latest(
        self, tenant: str, client_id: str, schedule: str, limit: int
    ) -> tuple[ScheduledRun, ...]:
        """A schedule's last runs, latest due first."""
        ...


@dataclass(frozen=True)
class DueOperation:
    """An operation that the sweeper should look at: since ``due_at``, if the index says so."""

    tenant: str
    client_id: str
    operation_id: str
    due_at: datetime | None = None


@dataclass(frozen=True)
class Turns:
    """How a source's slots are divided: how many each tenant has, and since when it waits."""

    held: Mapping[str, int]
    waiting: Mapping[str, datetime]

    def may_take(self, tenant: str, now: datetime) -> bool:
        """Is it the tenant's turn at a slot that is free.

        It is that of who has the fewest slots of those that wait, and of two with as many that of
        who waits longer: so many workers of one tenant do not stand before one of another.
        """

        def place(one: str) -> tuple[int, datetime]:
            return self.held.get(one, 0), self.waiting.get(one, now)

        return all(place(tenant) <= place(other) for other in self.waiting)


class SourceSlots(Protocol):
    """Who reads from a source. A slot is taken for a while, and whose lease is over has lost it."""

    def turns(self, source: str, now: datetime) -> Turns:
        """Who has slots, and who waits."""
        ...

    def take(
        self, source: str, number: int, holder: str, tenant: str, now: datetime, until: datetime
    ) -> bool:
        """Is the slot the holder's now; then the tenant does not wait any more."""
        ...

    def wait(self, source: str, tenant: str, now: datetime, until: datetime) -> None:
        """Says until when to believe that workers of the tenant wait."""
        ...

    def renew(self, source: str, number: int, holder: str, until: datetime) -> None:
        """Moves the end of the holder's lease."""
        ...

    def free(self, source: str, number: int, holder: str) -> None:
        """Gives the slot back, if it still is the holder's."""
        ...


class DueOperations(Protocol):
    """The sweeper's view, and the only one across tenants."""

    def due(self, moment: datetime) -> Iterator[DueOperation]:
        """Operations whose time to be looked at has come."""
        ...


@dataclass(frozen=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    owner: "DueOperation | None" = None
    """The operation that the key names, if it is one of ours."""


@dataclass(frozen=True)
class Staging:
    """A folder of ours for rows that another engine writes: its prefix, its URL, its key.

    The URL ends with a slash; ``kms_key`` encrypts what is written there.
    """

    prefix: str
    location: str
    kms_key: str


@dataclass(frozen=True)
class StagedFolder:
    """A folder of unloaded rows that lies in storage, and whose it is."""

    prefix: str
    owner: DueOperation


class Files(Protocol):
    """Encrypted documents in storage. Keys start with the tenant."""

    def key(self, operation: Operation, job: Job, file_name: str) -> str:
        """Where this attempt of the job writes; no other attempt ever does."""
        ...

    def abort(self, key: str, upload_id: str) -> None:
        """Ends an upload; what it stored goes. Again is harmless."""
        ...

    def open_uploads(self, before: datetime) -> Iterator[OpenUpload]:
        """Uploads that began before this moment and are not completed."""
        ...

    def open_upload(
        self, key: str, request: ExportRequest, file_name: str, kms_key: str | None
    ) -> str:
        """Begins a multipart upload, encrypted; returns its id."""
        ...

    def complete(self, key: str, upload_id: str, parts: tuple[UploadedPart, ...]) -> None:
        """Makes the document visible, if storage holds exactly these parts; again is harmless.

        Raises Fenced if the upload is gone and no such document is there.
        """
        ...

    def discard(self, key: str, upload_id: str | None) -> None:
        """Aborts the upload and removes the document, whatever is there."""
        ...

    def staging(self, operation: Operation, job: Job, kms_key: str | None) -> Staging:
        """Where this attempt of the job has its rows unloaded to; no other attempt ever does."""
        ...

    def staged_rows(self, prefix: str) -> str:
        """The URL of the folder of rows in the staging folder with this prefix."""
        ...

    def discard_staged(self, prefix: str) -> None:
        """Removes all that was unloaded there; again is harmless."""
        ...

    def staged_folders(self) -> Iterator[StagedFolder]:
        """All folders of unloaded rows."""
        ...

    def link(self, key: str) -> str:
        """A short-lived URL of the document. Raises FileExpired, FileUnavailable."""
        ...


class PartUploads(Protocol):
    """Sends a stream of bytes as parts of an upload that others may write to as well."""

    def __call__(
        self,
        key: str,
        upload_id: str,
        numbers: range,
        chunks: Iterator[bytes],
        should_stop: Callable[[], bool],
        *,
        whole: bool = True,
    ) -> tuple[tuple[UploadedPart, ...], str | None]:
        """The parts, numbered from ``numbers``, and if ``whole`` the SHA-256 (hex) of all bytes.

        Raises Stopped, Fenced, RangeTooLarge.
        """
        ...


class Workflows(Protocol):
    """The workflow engine."""

    def start(self, operation: Operation) -> None:
        """Starts the execution of the operation's attempt; again is harmless."""
        ...

    def stop(self, operation: Operation) -> None:
        """Ends the execution, if it runs."""
        ...

    def is_running(self, operation: Operation) -> bool | None:
        """Does the execution of the operation's attempt run; None if it never began."""
        ...


class WebhookSecrets(Protocol):
    """What endpoints' messages are signed with; at most two an endpoint."""

    def of(self, client_id: str, endpoint: str) -> tuple[str, ...]:
        """The secrets, oldest first; consistent. Raises Unavailable."""
        ...

    def add(
        self, client_id: str, endpoint: str, secret_id: str, secret: str, moment: datetime
    ) -> None:
        """Adds one. Raises Conflict when there are two, or somebody changes them just now."""
        ...


class Courier(Protocol):
    """Carries a message out of the deployment."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer. Raises AddressRefused, Unavailable."""
        ...


@dataclass(frozen=True)
class DueDelivery:
    """A delivery that the sweeper should look at."""

    tenant: str
    client_id: str
    operation_id: str
    attempt: int


class Deliveries(Protocol):
    """The outbox. What ends an operation writes to it (``Operations.end``)."""

    def get(self, tenant: str, client_id: str, operation_id: str, attempt: int) -> Delivery:
        """What is owed for the end of that attempt; consistent. Raises NotFound."""
        ...

    def save(self, before: Delivery, after: Delivery) -> Delivery:
        """Writes ``after`` if it stands as ``before`` says: pending, same run, same tries.

        Raises Fenced.
        """
        ...


class DeliveryRuns(Protocol):
    """The workflow that tries a delivery until it is over."""

    def start(self, delivery: Delivery) -> None:
        """Starts the execution of the delivery's run; again is harmless."""
        ...

    def is_running(self, delivery: Delivery) -> bool | None:
        """Does the execution of the delivery's run go on; None if it never began."""
        ...


class AccountLists(Protocol):
    """Lists of accounts, kept by their marks (``model.mark_of``), of each client by itself.

    A list stays for 30 days after it was last kept. Raises Unavailable, FileUnavailable.
    """

    def keep(
        self, tenant: str, client_id: str, accounts: Sequence[str], kms_key: str | None
    ) -> str:
        """Keeps the sorted accounts, encrypted; their mark."""
        ...

    def of(self, tenant: str, client_id: str, mark: str) -> tuple[str, ...]:
        """The accounts. Raises SyncVersionExpired if the list is kept no longer."""
        ...


class Sharing(Protocol):
    """Whose rows a service may see: of the account holders that share with it, or, of a data
    broker, with the organisation on whose behalf it calls (seed 002).

    Raises Unavailable.
    """

    def shared_by(
        self, tenant: str, client_id: str, organisation: str | None, at: datetime
    ) -> SharedAccounts | None:
        """Who shares at that moment; None if the client is no service, and needs no consent.

        Consistent. Nobody shares with a broker without an organisation, or with one whose
        membership in the broker is not active.
        """
        ...

    def ended_since(
        self, tenant: str, client_id: str, organisation: str | None, version: str
    ) -> frozenset[str]:
        """Whose sharing has ended after that version was read, even if it began again since.

        Names all that the version had and that have ended, and perhaps some that it did not have.
        Raises ValueError for what is no version.
        """
        ...
