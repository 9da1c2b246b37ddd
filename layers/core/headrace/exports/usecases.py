"""What the API does for a caller: start, watch, retry, cancel, delete, and hand out files."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from headrace.exports.model import (
    Compression,
    DocumentRecord,
    ExportRequest,
    FileFormat,
    Job,
    Limits,
    Occasion,
    Operation,
    OperationKind,
    Quota,
    Status,
    new_operation,
)
from headrace.exports.outbox import begin_delivery
from headrace.exports.ports import (
    Configurations,
    DeliveryRuns,
    Files,
    Operations,
    Workflows,
)
from headrace.exports.row_access import RowAccess
from headrace.exports.sources import Configuration, Table
from headrace.exports.views import QuotaView
from headrace.exports.webhooks import Notice
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Fenced,
    FileExpired,
    HeadraceError,
    InvalidRequest,
    JobUnfinished,
    NotFound,
    OperationActive,
    OperationUnfinished,
    QuotaExhausted,
    Unavailable,
    ValidationFailed,
)
from headrace.kernel.idempotency import IdempotencyKey, idempotency_of
from headrace.kernel.ids import JOB_ID, OPERATION_ID, Ids


@dataclass(frozen=True)
class Standing:
    """An operation as its caller sees it now, with the client's quota."""

    operation: Operation
    quota: Quota


@dataclass(frozen=True)
class Export:
    """What the use cases share: the ports, and how a caller's operation is found."""

    configurations: Configurations
    operations: Operations
    clock: Clock

    def operation(
        self, caller: Caller, operation_id: str, kind: OperationKind | None = None
    ) -> Operation:
        """The caller's operation (of this kind) as it stands now. Raises NotFound."""
        if not OPERATION_ID.fullmatch(operation_id):
            raise NotFound("There is no such operation.")
        found = self.operations.get(caller.tenant, caller.client_id, operation_id)
        if kind not in (None, found.kind) or found.organisation != caller.organisation:
            raise NotFound("There is no such operation.")
        return found.seen_at(self.clock.now())

    def quota(self, caller: Caller) -> Quota:
        """How the caller's quota stands now."""
        rule = self.configurations.quota_rule(caller.tenant, caller.client_id)
        return self.operations.quota(caller.tenant, caller.client_id, rule, self.clock.now())

    def notice(self, caller: Caller, webhook: str | None, base_url: str) -> Notice | None:
        """Who is to be told: the client's webhook of this name, else its default one if it has any.

        ``base_url``: where the API is, for links. Raises ValidationFailed.
        """
        for endpoint in self.configurations.endpoints(caller.tenant, caller.client_id):
            if endpoint.default if webhook is None else endpoint.name == webhook:
                return Notice(endpoint.name, base_url)
        if webhook is None:
            return None
        raise ValidationFailed(
            "No webhook of this name is registered for the client.",
            [{"field": "webhook", "message": "is not registered"}],
        )

    def standing(self, caller: Caller, operation: Operation) -> Standing:
        """The operation beside the quota."""
        return Standing(operation.seen_at(self.clock.now()), self.quota(caller))

    def with_quota[E: HeadraceError](self, caller: Caller, error: E) -> E:
        """The error, saying how the quota stands and, of an exhausted one, when to come back."""
        quota = self.quota(caller)
        error.members = {**error.members, "quota": QuotaView.of(quota)}
        if isinstance(error, QuotaExhausted):
            error.retry_after = max(
                1, int((quota.resets_at - self.clock.now()).total_seconds()) + 1
            )
        return error


@dataclass(frozen=True)
class Starter:
    """Starts what a caller may have: records it, then begins its workflow."""

    export: Export
    ids: Ids
    workflows: Workflows
    occasion: Occasion | None = None

    def __call__(
        self,
        caller: Caller,
        catalog_version: int,
        request: ExportRequest,
        expected_rows: Mapping[str, int],
        idempotency: IdempotencyKey | None,
    ) -> Standing:
        """Raises OperationActive, QuotaExhausted, IdempotencyKeyReused."""
        export, moment = self.export, self.export.clock.now()
        rule = export.configurations.quota_rule(caller.tenant, caller.client_id)
        operation = new_operation(
            operation_id=self.ids.new(moment),
            tenant=caller.tenant,
            client_id=caller.client_id,
            request=request,
            catalog_version=catalog_version,
            quota_day=rule.day(moment),
            created_at=moment,
            expected_rows=expected_rows,
            occasion=self.occasion,
            organisation=caller.organisation,
        )
        try:
            started = export.operations.start(operation, rule, idempotency)
        except (OperationActive, QuotaExhausted) as error:
            raise export.with_quota(caller, error) from None
        if started.status is Status.SCHEDULED:
            begin(self.workflows, started)
        return export.standing(caller, started)


def chosen(configuration: Configuration, entity: str | None) -> tuple[Table, ...]:
    """The tables that are asked for: all, or one. Raises NotFound."""
    return configuration.tables if entity is None else (configuration.table(entity),)


@dataclass(frozen=True)
class StartExport:
    """Starts a full export: one job per table of the configuration, or of one table."""

    export: Export
    start: Starter

    def __call__(
        self,
        caller: Caller,
        configuration_id: str | None,
        file_format: FileFormat,
        compression: Compression,
        entity: str | None,
        idempotency_key: str | None,
        webhook: str | None = None,
        base_url: str = "",
    ) -> Standing:
        """Raises NotFound, ValidationFailed, OperationActive, QuotaExhausted, IdempotencyKeyReused.

        ``webhook`` names who is told of the end; ``base_url``: where the API is, for links there.
        """
        version, configuration = self.export.configurations.find(
            caller.tenant, caller.client_id, configuration_id
        )
        tables = chosen(configuration, entity)
        request = ExportRequest(
            configuration.configuration_id,
            tuple(table.name for table in tables),
            file_format,
            compression,
            entity,
            notice=self.export.notice(caller, webhook, base_url),
        )
        asked = [configuration_id, file_format, compression, entity, webhook]
        return self.start(
            caller,
            version,
            request,
            # How many rows there are of everybody is nothing that a service is told.
            {} if configuration.by_consent else {one.name: one.row_estimate for one in tables},
            idempotency_of(caller, idempotency_key, asked),
        )


@dataclass(frozen=True)
class GetExport:
    """How an operation stands."""

    export: Export

    def __call__(
        self, caller: Caller, operation_id: str, kind: OperationKind | None = None
    ) -> Standing:
        """Raises NotFound, also of one of another kind."""
        return self.export.standing(caller, self.export.operation(caller, operation_id, kind))


@dataclass(frozen=True)
class ListExports:
    """The caller's operations, newest first."""

    export: Export

    def __call__(
        self, caller: Caller, size: int, before: str | None
    ) -> tuple[tuple[Operation, ...], bool, Quota]:
        """A page, whether there are more, and the quota. Raises InvalidRequest.

        A cursor is an operation of the caller's own, deleted or not, and says nothing to others.
        """
        operations, tenant, client_id = self.export.operations, caller.tenant, caller.client_id
        last = operations.find(tenant, client_id, before) if before is not None else None
        if before is not None and (last is None or last.organisation != caller.organisation):
            raise InvalidRequest("The cursor is not one that a page gave out; start without one.")
        found = operations.page(tenant, client_id, size + 1, before, caller.organisation)
        moment = self.export.clock.now()
        page = tuple(operation.seen_at(moment) for operation in found[:size])
        return page, len(found) > size, self.export.quota(caller)


@dataclass(frozen=True)
class RetryExport:
    """Runs the jobs of a failed or cancelled operation that did not succeed again."""

    export: Export
    workflows: Workflows

    def __call__(
        self, caller: Caller, operation_id: str, kind: OperationKind | None = None
    ) -> Standing:
        """Raises NotFound, OperationNotRetryable, OperationActive."""
        export = self.export
        operation = export.operation(caller, operation_id, kind)
        operation.check_retryable()
        try:
            retried = export.operations.reset(operation, export.clock.now())
        except OperationActive as error:
            raise export.with_quota(caller, error) from None
        begin(self.workflows, retried)
        return export.standing(caller, retried)


@dataclass(frozen=True)
class CancelExport:
    """Ends an active operation at once; of an ended one, nothing changes."""

    export: Export
    workflows: Workflows
    files: Files
    runs: DeliveryRuns
    limits: Limits

    def __call__(
        self, caller: Caller, operation_id: str, kind: OperationKind | None = None
    ) -> Standing:
        """Raises NotFound."""
        export, moment = self.export, self.export.clock.now()
        operation = export.operation(caller, operation_id, kind)
        if operation.status.active:
            # The end is one conditional write: a completion that came first stands.
            try:
                operation = export.operations.end(
                    operation,
                    Status.CANCELLED,
                    None,
                    expires_at=moment + self.limits.file_lifetime,
                    moment=moment,
                    refund=False,
                )
            except Fenced:
                operation = export.operation(caller, operation_id)
            else:
                # What cannot be done now, the sweeper does: the operation has ended all the same.
                begin_delivery(self.runs, operation)
                with suppress(Unavailable):
                    self.workflows.stop(operation)
                with suppress(Unavailable):
                    discard_unfinished(self.files, operation)
        return export.standing(caller, operation)


@dataclass(frozen=True)
class DeleteExport:
    """Hides an operation and removes its files."""

    export: Export
    files: Files

    def __call__(
        self, caller: Caller, operation_id: str, kind: OperationKind | None = None
    ) -> None:
        """Raises NotFound, OperationRunning."""
        export, moment = self.export, self.export.clock.now()
        operation = export.operation(caller, operation_id, kind)
        operation.check_deletable()
        stored = export.operations.get(caller.tenant, caller.client_id, operation_id)
        export.operations.delete(stored, moment)
        with suppress(Unavailable):  # the sweeper comes back to it
            discard_all(self.files, operation)
            export.operations.look_again(operation, None)


def begin(workflows: Workflows, operation: Operation) -> None:
    """Starts the workflow of an operation that is recorded.

    If the service does not answer, the operation is accepted all the same: the sweeper starts
    what has not begun.
    """
    with suppress(Unavailable):
        workflows.start(operation)


def discard_unfinished(files: Files, operation: Operation) -> None:
    """Removes what jobs without a document have left in storage."""
    for job in operation.jobs:
        if job.status is not Status.SUCCEEDED:
            discard_work(files, job)


def discard_work(files: Files, job: Job) -> None:
    """Removes the document, the upload and the unloaded rows of a job, whatever is there."""
    if job.key is not None:
        files.discard(job.key, job.upload_id)
    if job.staging is not None:
        files.discard_staged(job.staging)


def discard_all(files: Files, operation: Operation) -> None:
    """Removes all that the operation's jobs have in storage."""
    for job in operation.jobs:
        discard_work(files, job)


@dataclass(frozen=True)
class DownloadJob:
    """A short-lived link to a job's document."""

    export: Export
    files: Files
    access: RowAccess

    def __call__(self, caller: Caller, job_id: str) -> str:
        """The URL.

        Raises NotFound, JobUnfinished, FileExpired, FileUnavailable, ConsentWithdrawn.
        """
        try:
            operation, job, configuration = self._granted(caller, job_id)
        except NotFound:
            # The same words, whatever of it is not there or not the caller's (any more).
            raise NotFound("There is no such job.") from None
        if operation.status is Status.EXPIRED:
            raise FileExpired("The files of this operation have expired; start a new export.")
        if job.status is not Status.SUCCEEDED or job.key is None:
            raise JobUnfinished(
                f"The job is {job.status}; ask for the operation's status until it has succeeded.",
                jobStatus=str(job.status),
                retry_after=2 if job.status.active else None,
            )
        self.access.check(operation, configuration)
        return self.files.link(job.key)

    def _granted(self, caller: Caller, job_id: str) -> tuple[Operation, Job, Configuration]:
        match = JOB_ID.fullmatch(job_id)
        if match is None:
            raise NotFound("There is no such job.")
        operation = self.export.operation(caller, match[1])
        job = operation.job(job_id)
        # What the configuration no longer grants is not handed out, whenever it was made.
        configuration = granted(self.export.configurations, operation)
        configuration.table(job.table)
        return operation, job, configuration


def granted(configurations: Configurations, operation: Operation) -> Configuration:
    """The operation's configuration as published now. Raises NotFound if there is none now."""
    try:
        _, configuration = configurations.find(
            operation.tenant, operation.client_id, operation.request.configuration_id
        )
    except NotFound:
        raise NotFound("There is no such operation.") from None
    return configuration


@dataclass(frozen=True)
class GetManifest:
    """Every document of an ended operation, with what is needed to verify and resume it."""

    export: Export
    access: RowAccess

    def __call__(
        self, caller: Caller, operation_id: str, kind: OperationKind | None = None
    ) -> tuple[Operation, tuple[DocumentRecord, ...]]:
        """Raises NotFound, OperationUnfinished, FileExpired, ConsentWithdrawn."""
        operation = self.export.operation(caller, operation_id, kind)
        if operation.status.active:
            raise OperationUnfinished(
                f"The operation is {operation.status}; its manifest is there when it has ended.",
                operationStatus=str(operation.status),
                retry_after=2,
            )
        if operation.status is Status.EXPIRED:
            raise FileExpired("The files of this operation have expired; start a new export.")
        configuration = granted(self.export.configurations, operation)
        self.access.check(operation, configuration)
        names = {table.name for table in configuration.tables}
        documents = tuple(
            DocumentRecord(job, self.export.operations.slices(operation, job))
            for job in operation.jobs
            if job.status is Status.SUCCEEDED and job.table in names
        )
        return operation, documents


@dataclass(frozen=True)
class DescribeTables:
    """The tables and fields that a configuration grants."""

    configurations: Configurations

    def __call__(self, caller: Caller, configuration_id: str | None) -> tuple[int, Configuration]:
        """The catalog version and the configuration. Raises NotFound."""
        return self.configurations.find(caller.tenant, caller.client_id, configuration_id)
