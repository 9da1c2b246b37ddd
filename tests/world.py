"""The exports product in one process: real use cases and adapters over moto, fakes elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from moto import mock_aws

from headrace.adapters.dynamodb.baselines import DynamoBaselines
from headrace.adapters.dynamodb.deliveries import DynamoDeliveries, DynamoDueDeliveries
from headrace.adapters.dynamodb.operations import DynamoDueOperations, DynamoOperations
from headrace.adapters.dynamodb.source_slots import DynamoSourceSlots
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.webhook_secrets import DynamoWebhookSecrets
from headrace.adapters.kms.seal import KmsSeal
from headrace.adapters.s3.account_lists import S3AccountLists
from headrace.adapters.s3.files import S3Files
from headrace.adapters.s3.part_upload import S3PartUploads
from headrace.exports import ending, extraction, planning, ranges, sweeping, usecases
from headrace.exports.delivering import DeliverWebhook, IssueWebhookSecret
from headrace.exports.increments import GetSyncVersion, Increments, StartIncrement
from headrace.exports.model import (
    Compression,
    Failure,
    FileFormat,
    Limits,
    Operation,
    Status,
    SyncStanding,
)
from headrace.exports.outbox import SweepDeliveries
from headrace.exports.row_access import RowAccess
from headrace.exports.slots import Slots
from headrace.exports.snapshots import Snapshots
from headrace.exports.webhooks import Delivery
from headrace.kernel.errors import Fenced, Stopped
from headrace.kernel.ids import RandomIds
from tests.builders import SteppingClock, a_caller
from tests.fakes import (
    FakeChanges,
    FakeConfigurations,
    FakeCourier,
    FakeDeliveryRuns,
    FakeSharing,
    FakeWarehouse,
    FakeWorkflows,
)

ROOT = Path(__file__).parent.parent
REGION = "eu-west-1"
BUCKET = "files"
TABLES = (
    "CatalogTable",
    "CredentialsTable",
    "WebhookSecretsTable",
    "OperationsTable",
    "ProofsTable",
    "AuditTable",
    "StatisticsTable",
    "UsersTable",
    "DataSetsTable",
    "TemplatesTable",
)


class _Template(yaml.SafeLoader):
    """Reads template.yaml, with its functions as plain text."""


_Template.add_multi_constructor(
    "!",
    lambda loader, tag, node: (
        loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None
    ),
)


@cache
def template() -> dict[str, Any]:
    """The deployment's template; whoever asks leaves it as it is."""
    text = (ROOT / "template.yaml").read_text()
    loaded: dict[str, Any] = yaml.load(text, _Template)
    return loaded


def create_tables(client: Any) -> None:
    """The tables as the template has them, under their logical names."""
    resources = template()["Resources"]
    for name in TABLES:
        properties = resources[name]["Properties"]
        wanted = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
        client.create_table(TableName=name, **{k: properties[k] for k in wanted if k in properties})


@dataclass
class World:
    """One deployment. ``run`` does what the workflow does, task by task."""

    clients: dict[str, Any]
    key_id: str
    clock: SteppingClock = field(default_factory=SteppingClock)
    configurations: FakeConfigurations = field(default_factory=FakeConfigurations)
    workflows: FakeWorkflows = field(default_factory=FakeWorkflows)
    runs: FakeDeliveryRuns = field(default_factory=FakeDeliveryRuns)
    courier: FakeCourier = field(default_factory=FakeCourier)
    jitter: float = 0.5
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    changes: FakeChanges = field(default_factory=FakeChanges)
    limits: Limits = field(default_factory=lambda: Limits(lease=timedelta(seconds=60)))

    def __post_init__(self) -> None:
        table = Table(self.clients["dynamodb"], "OperationsTable", pause=lambda _: None)
        self.operations = DynamoOperations(table, self.limits.lease)
        self.files = S3Files(self.clients["s3"], BUCKET, self.key_id, timedelta(minutes=5))
        self.deliveries = DynamoDeliveries(table, self.limits.lease)
        secrets = Table(self.clients["dynamodb"], "WebhookSecretsTable", pause=lambda _: None)
        seal = KmsSeal(self.clients["kms"], self.key_id)
        self.webhook_secrets = DynamoWebhookSecrets(secrets, seal)
        self.baselines = DynamoBaselines(table)
        self.export = usecases.Export(self.configurations, self.operations, self.clock)
        self.sharing = FakeSharing(self.clock)
        lists = S3AccountLists(self.clients["s3"], BUCKET, self.key_id)
        self.access = RowAccess(self.sharing, lists, self.clock)
        self.extraction = extraction.Extraction(
            self.configurations,
            self.operations,
            self.files,
            self.clock,
            self.limits,
            self.access,
        )
        self.slots = Slots(DynamoSourceSlots(table), self.clock, pause=self.pass_time)
        self.snapshots = Snapshots(self.operations, self.clock, pause=self.pass_time)
        self.upload = S3PartUploads(self.clients["s3"], BUCKET, self.limits.part_bytes)

    @property
    def starter(self) -> usecases.Starter:
        """What starts operations."""
        return usecases.Starter(self.export, RandomIds(), self.workflows)

    @property
    def increments(self) -> Increments:
        """What the use cases of increments share."""
        return Increments(self.export, self.baselines, self.changes)

    def pass_time(self, seconds: float) -> None:
        """Waits: the clock moves on, and nobody's time with it."""
        self.clock.advance(seconds=seconds)

    # --- what callers do --------------------------------------------------------------------

    def start(self, key: str | None = None, **changes: Any) -> Operation:
        """Starts an export."""
        asked = {
            "caller": a_caller(),
            "configuration_id": None,
            "file_format": FileFormat.NDJSON,
            "compression": Compression.NONE,
            "entity": None,
            "idempotency_key": key,
        } | changes
        return usecases.StartExport(self.export, self.starter)(**asked).operation

    def start_increment(self, since: str, key: str | None = None, **changes: Any) -> Operation:
        """Starts an export of what changed since a version."""
        asked: dict[str, Any] = {
            "caller": a_caller(),
            "since": since,
            "configuration_id": None,
            "file_format": FileFormat.NDJSON,
            "compression": Compression.NONE,
            "entity": None,
            "idempotency_key": key,
        } | changes
        return StartIncrement(self.increments, self.starter)(**asked).operation

    def sync_version(self, entity: str | None = None, **changes: Any) -> SyncStanding:
        """The version that the caller's data stands at."""
        return GetSyncVersion(self.increments)(a_caller(**changes), None, entity)

    def status(self, operation: Operation) -> Operation:
        """How it stands now."""
        caller = a_caller(organisation=operation.organisation)
        return usecases.GetExport(self.export)(caller, operation.operation_id).operation

    def cancel(self, operation: Operation) -> Operation:
        """Cancels it."""
        use_case = usecases.CancelExport(
            self.export, self.workflows, self.files, self.runs, self.limits
        )
        return use_case(a_caller(), operation.operation_id).operation

    def retry(self, operation: Operation) -> Operation:
        """Retries it."""
        use_case = usecases.RetryExport(self.export, self.workflows)
        caller = a_caller(organisation=operation.organisation)
        return use_case(caller, operation.operation_id).operation

    def delete(self, operation: Operation) -> None:
        """Deletes it."""
        usecases.DeleteExport(self.export, self.files)(a_caller(), operation.operation_id)

    def link(self, job_id: str, **changes: Any) -> str:
        """The link to a job's document."""
        return usecases.DownloadJob(self.export, self.files, self.access)(
            a_caller(**changes), job_id
        )

    def used(self) -> int:
        """How much of today's quota is used."""
        return self.export.quota(a_caller()).used

    # --- what the workflow does -------------------------------------------------------------

    def attempt(self, operation: Operation) -> extraction.Attempt:
        """The operation's present attempt."""
        return extraction.Attempt(
            operation.tenant, operation.client_id, operation.operation_id, operation.attempt
        )

    def plan(self, operation: Operation) -> tuple[str, ...]:
        """The task that plans the operation."""
        task = planning.PlanExport(self.extraction, self.warehouse)
        return task(self.attempt(operation)).job_ids

    def plan_job(
        self, operation: Operation, job_id: str, *, split: bool = True, anew: bool = False
    ) -> tuple[int, int]:
        """The task that plans a job."""
        task = planning.PlanJob(
            self.extraction, self.warehouse, self.changes, self.baselines, self.snapshots
        )
        planned = task(self.attempt(operation), job_id, split=split, anew=anew)
        if planned is None:
            raise Fenced("The job has failed.")
        return planned.attempt, planned.ranges

    def export_range(
        self,
        operation: Operation,
        job_id: str,
        job_attempt: int,
        index: int = 0,
        time_left: Callable[[], float] = lambda: 900.0,
    ) -> bool:
        """The task that streams a range; whether it has to be called again."""
        task = ranges.ExportRange(
            self.extraction,
            self.warehouse,
            self.changes,
            self.upload,
            self.snapshots,
            self.slots,
        )
        return task(self.attempt(operation), job_id, job_attempt, index, time_left)

    def complete_job(self, operation: Operation, job_id: str, job_attempt: int) -> bool:
        """The task that makes the document."""
        task = ending.CompleteJob(self.extraction)
        return task(self.attempt(operation), job_id, job_attempt)

    def complete_is_refused(self, operation: Operation, job_id: str, job_attempt: int) -> bool:
        """Whether the task refuses to make a document of what is there."""
        try:
            self.complete_job(operation, job_id, job_attempt)
        except Fenced:
            return True
        return False

    def fail_job(self, operation: Operation, job_id: str) -> None:
        """The task that fails a job."""
        failure = Failure("worker_failed", "It broke.")
        ending.FailJob(self.extraction)(self.attempt(operation), job_id, failure)

    def end(self, operation: Operation, failure: Failure | None = None) -> Status:
        """The task that ends the operation."""
        end = ending.EndExport(self.extraction, self.runs)
        return end(self.attempt(operation), failure).status

    def run_job(self, operation: Operation, job_id: str) -> None:
        """All of a job."""
        split = True
        while True:
            job_attempt, ranges = self.plan_job(operation, job_id, split=split)
            for index in range(ranges):
                while self.export_range(operation, job_id, job_attempt, index):
                    pass
            if self.complete_job(operation, job_id, job_attempt):
                return
            split = False

    def run(self, operation: Operation) -> Operation:
        """All of the workflow."""
        with suppress(Fenced, Stopped):
            for job_id in self.plan(operation):
                with suppress(Fenced):
                    self.run_job(operation, job_id)
            self.end(operation)
        self.workflows.executions[operation.execution_name] = False
        return self.status(operation)

    def sweep(self) -> sweeping.Swept:
        """The scheduled sweep."""
        due = DynamoDueOperations(Table(self.clients["dynamodb"], "OperationsTable"))
        due_deliveries = DynamoDueDeliveries(Table(self.clients["dynamodb"], "OperationsTable"))
        sweep_deliveries = SweepDeliveries(self.deliveries, self.runs, due_deliveries)
        return sweeping.Sweep(self.extraction, self.workflows, due, sweep_deliveries)()

    # --- what the workflow of deliveries does -----------------------------------------------

    def issue_secret(self, endpoint: str) -> str:
        """A signing secret of the client's endpoint."""
        issue = IssueWebhookSecret(self.webhook_secrets, self.clock, RandomIds())
        return issue("bureau", endpoint)[1]

    def deliver(self, operation: Operation, *, run: int = 1) -> Delivery:
        """The task that tries what is owed for the end of the operation's attempt."""
        task = DeliverWebhook(
            self.deliveries,
            self.configurations,
            self.webhook_secrets,
            self.courier,
            self.clock,
            lambda: self.jitter,
        )
        return task(self.attempt(operation), run)

    # --- what lies in storage ---------------------------------------------------------------

    def stored(self) -> dict[str, bytes]:
        """Every document in the bucket."""
        s3 = self.clients["s3"]
        listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            item["Key"]: s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            for item in listed
        }

    def open_uploads(self) -> int:
        """How many uploads are neither completed nor aborted."""
        return len(self.clients["s3"].list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))

    def lock(self) -> str | None:
        """The id of the operation that holds the client's lock."""
        item = Table(self.clients["dynamodb"], "OperationsTable").get("north#bureau", "lock")
        return item["operation_id"] if item else None


@contextmanager
def a_world(**changes: Any) -> Iterator[World]:
    """A fresh deployment over moto."""
    with mock_aws():
        names = ("dynamodb", "s3", "kms")
        clients = {name: boto3.client(name, region_name=REGION) for name in names}  # type: ignore[call-overload]
        create_tables(clients["dynamodb"])
        location = {"LocationConstraint": REGION}
        clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        key_id = clients["kms"].create_key()["KeyMetadata"]["Arn"]
        yield World(clients=clients, key_id=key_id, **changes)
