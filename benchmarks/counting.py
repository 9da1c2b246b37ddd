"""What AWS would bill of an operation, counted: the real handlers over moto, in one process.

The handlers run as Lambda runs them, the workflow as ``tests.workflow`` interprets it. Every call
of botocore's is counted with the units that AWS bills it by. A handler's seconds are those of the
clock here, warm; moto answers in the process, within a few milliseconds, as DynamoDB does.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from math import ceil
from typing import Any

import boto3
import pytest

from benchmarks.data import EXPORTED, Data, table
from benchmarks.turn import TABLES
from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table as Items
from headrace.adapters.dynamodb.webhook_secrets import DynamoWebhookSecrets
from headrace.adapters.kms.seal import KmsSeal
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.catalog.model import Catalog, Client, Tenant
from headrace.exports.delivering import IssueWebhookSecret
from headrace.exports.sources import Column, Configuration
from headrace.exports.webhooks import Endpoint
from headrace.kernel.ids import RandomIds
from headrace.runtime import wiring
from headrace.runtime.settings import settings
from tests.builders import SteppingClock
from tests.component.identity.deployment import Deployment, deployed, event_of, forget
from tests.workflow import HANDLERS, Execution, definition
from tests.world import BUCKET, REGION, create_tables, template

CLIENT, TENANT, WEBHOOK = "acme-hr", "acme", "hooks"
SECRETS = "WebhookSecretsTable"
POLLS = 3
"""How often a client is taken to ask for the status of a small operation."""

type Usage = Counter[str]
"""Units by the name of their price (``benchmarks.cost.PRICES``)."""

_READS = ("GetItem", "Query")
_S3_WRITES = (
    *("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"),
    *("ListParts", "ListObjectsV2", "ListMultipartUploads"),
)
_FREE = ("AbortMultipartUpload", "DeleteObject", "DeleteObjects")


@dataclass
class Meter:
    """Counts while the process works; ``taken`` gives what came together, and begins anew."""

    usage: Usage = field(default_factory=Counter)
    written: list[tuple[str, str, str, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **units: float) -> None:
        """Adds units."""
        with self._lock:
            for name, number in units.items():
                self.usage[name] += number  # type: ignore[assignment]

    def watch(self, session: Any) -> None:
        """Counts the calls of all clients that the session makes from now on."""
        session.events.register("provide-client-params", self._write)
        session.events.register("after-call", self._answer)

    def _write(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        """Notes the writes to DynamoDB; what an item weighs is known when it is written."""
        one = {"PutItem": "Put", "UpdateItem": "Update", "DeleteItem": "Delete"}.get(model.name)
        actions = [{one: params}] if one else params.get("TransactItems", [])
        times = 1 if one else 2  # a transactional write costs two
        for action in actions:
            for kind, asked in action.items():
                key = asked.get("Key") or asked["Item"]
                pk, sk = key["pk"]["S"], key["sk"]["S"]
                self.written.append((asked["TableName"], pk, sk, times))
                # The index "due" is written as well: a new entry, or another in an old one's place.
                if kind == "Put" and "due_at" in asked["Item"]:
                    self.add(dynamodb_write=1)
                elif "due_at" in asked.get("UpdateExpression", ""):
                    self.add(dynamodb_write=2)

    def _answer(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        service, name = model.service_model.service_name, model.name
        if service == "dynamodb":
            if name in _READS:
                found = parsed.get("Items", [parsed.get("Item", {})])
                self.add(dynamodb_read=max(1, ceil(sum(map(_weight, found)) / 4096)))
        elif service == "s3":
            if name in _S3_WRITES:
                self.add(s3_put=1)
            elif name not in _FREE:
                self.add(s3_get=1)
            # Storage asks KMS for the key of an upload, and to open it for every part; a bucket
            # key, which the template turns on, spares most of these calls.
            self.add(kms=name in ("CreateMultipartUpload", "UploadPart"))
        elif service == "kms":
            self.add(**{"kms_sign" if name == "Sign" else "kms": 1})

    def taken(self) -> Usage:
        """What was counted since the last time."""
        client = boto3.client("dynamodb")
        written, self.written = self.written, []
        for name, pk, sk, times in written:
            key = {"pk": {"S": pk}, "sk": {"S": sk}}
            item = client.get_item(TableName=name, Key=key).get("Item", {})
            self.add(dynamodb_write=times * max(1, ceil(_weight(item) / 1024)))
            self.add(dynamodb_read=-max(1, ceil(_weight(item) / 4096)))
        usage, self.usage = self.usage, Counter()
        return Counter({name: number for name, number in usage.items() if number})


def _weight(value: Any) -> int:
    """About how many bytes an item or a value of DynamoDB's has, by its rules."""
    if isinstance(value, Mapping):
        return sum(len(str(name)) + _weight(one) for name, one in value.items())
    if isinstance(value, list):
        return sum(1 + _weight(one) for one in value)
    return len(value) if isinstance(value, bytes | str) else 1


@dataclass
class Account:
    """A deployment over moto whose one client may export ``employments`` of one source."""

    deployment: Deployment
    meter: Meter
    clock: SteppingClock
    billed: Usage = field(default_factory=Counter)
    """GB-seconds of the last operation, by function."""

    def call(
        self, function: str, method: str, path: str, parameters: Any = None, **body: Any
    ) -> Any:
        """A call of the API with its authorizer; the answer's body."""
        token = self.deployment.secrets["token"]
        event = event_of(method, path, headers={"Authorization": f"Bearer {token}"})
        event["methodArn"] = f"arn:aws:execute-api:{REGION}:123456789012:abc123/v1/{method}{path}"
        allowed = self.invoke("Authorize", "identity.authorize", {**event, "type": "REQUEST"})
        event["requestContext"]["authorizer"] = allowed["context"]
        event["pathParameters"] = parameters
        if body:
            event["body"] = json.dumps(body)
            event["headers"]["Content-Type"] = "application/json"
            event["multiValueHeaders"]["Content-Type"] = ["application/json"]
        self.meter.add(api_call=1)
        answer = self.invoke(function, f"exports.{_snake(function)}", event)
        assert answer["statusCode"] < 400, answer
        return json.loads(answer["body"] or "null")

    def new_token(self) -> None:
        """POST /connect/token."""
        self.meter.add(api_call=1)
        with self._billed("IssueToken"):
            self.deployment.secrets["token"] = self.deployment.token(CLIENT, tenant_id=TENANT)

    def invoke(self, function: str, module: str, event: Any) -> Any:
        """What the function answers; its time is billed."""
        handler = import_module(module).handler
        with self._billed(function):
            return handler(event, None)

    def export(
        self, file_format: str, compression: str, **asked: str
    ) -> tuple[Usage, Usage, list[Any]]:
        """A whole operation: what the client's calls and what the workflow used, and its parts."""
        self.meter.taken()
        self.billed.clear()
        self.new_token()
        asked |= {"fileFormat": file_format, "compression": compression}
        started = self.call("StartFullExport", "POST", "/data/v1/fulldata", **asked)
        operation_id = started["operationId"]
        calls = self.meter.taken()
        self._workflow(operation_id)
        workflow = self.meter.taken()
        place = f"/data/v1/fulldata/{operation_id}"
        parameters = {"operationId": operation_id}
        for _ in range(POLLS):
            standing = self.call("GetExportStatus", "GET", f"{place}/status", parameters)
        assert standing["status"] == "succeeded", standing
        manifest = self.call("GetManifest", "GET", f"{place}/manifest", parameters)
        for job in standing["jobs"]:
            where = {"operationId": operation_id, "jobId": job["jobId"]}
            self.call("DownloadJob", "GET", f"{place}/job/{job['jobId']}", where)
            self.meter.add(s3_get=1, kms=1)
        [file] = manifest["files"]
        return calls + self.meter.taken(), workflow, file["parts"]

    def told_export(self) -> tuple[Usage, Usage]:
        """What the workflow uses for an operation of whose end the client's webhook is told, and
        what the delivery uses, whose first try is answered.
        """
        _, workflow, _ = self.export("csv", "zstd", webhook=WEBHOOK)
        pages = boto3.client("stepfunctions").get_paginator("list_executions")
        machine = settings().delivery_state_machine
        runs = [one for p in pages.paginate(stateMachineArn=machine) for one in p["executions"]]
        began = max(runs, key=lambda one: one["startDate"])
        told = boto3.client("stepfunctions").describe_execution(executionArn=began["executionArn"])
        handler = import_module("exports.deliver_webhook").handler
        deliver = self._task("DeliverWebhook", lambda event: handler(event, None))
        self.meter.taken()
        delivery = _Counted({"DeliverWebhookFunctionArn": deliver}, meter=self.meter)
        delivery.run(definition("delivery"), json.loads(told["input"]))
        return workflow, self.meter.taken()

    def slices(self) -> int:
        """How many slices all operations so far had."""
        pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName="OperationsTable")
        found = [item["sk"]["S"] for page in pages for item in page["Items"]]
        return sum(name.startswith("slice#") for name in found)

    def _workflow(self, operation_id: str) -> None:
        machine = _Counted(
            {name: self._task(name, handle) for name, handle in HANDLERS.items()}, meter=self.meter
        )
        value = {"tenant": TENANT, "client_id": CLIENT, "operation_id": operation_id, "attempt": 1}
        machine.run(definition(), value)

    def _task(self, name: str, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(event: Any) -> Any:
            with self._billed(name.removesuffix("FunctionArn")):
                return handle(event)

        return run

    def sweep(self) -> Usage:
        """The scheduled sweep."""
        return self._scheduled("Sweep")

    def look_at_schedules(self) -> Usage:
        """A look at the recurring exports, of which there are none."""
        return self._scheduled("RunSchedules")

    def look_at_sources(self) -> Usage:
        """A look at the sources, of which there is one."""
        return self._scheduled("WatchSources")

    def _scheduled(self, function: str) -> Usage:
        self.meter.taken()
        self.meter.add(scheduler=1)
        self.invoke(function, f"exports.{_snake(function)}", {})
        return self.meter.taken()

    @contextmanager
    def _billed(self, function: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        used = seconds * memory_gb(function)
        self.billed[function] += used  # type: ignore[assignment]
        self.meter.add(lambda_call=1, lambda_gb_s=used)


@dataclass
class _Counted(Execution):
    """An execution that counts the states it enters: each is a transition."""

    meter: Meter = field(kw_only=True)

    def _step(self, state: Any, value: Any) -> tuple[Any, str | None]:
        self.meter.add(transition=1)
        return super()._step(state, value)


def memory_gb(function: str) -> float:
    """What the template gives the function."""
    told = template()
    given = told["Resources"][function]["Properties"].get("MemorySize")
    if given is None:
        given = told["Globals"]["Function"]["MemorySize"]
    elif not isinstance(given, int):
        given = told["Parameters"][given]["Default"]
    return float(given) / 1024


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


@contextmanager
def an_account(data: Data, kind: str, **environment: str) -> Iterator[Account]:
    """The deployment, whose source of that kind has the data's rows."""
    source = data.postgresql if kind == "postgresql" else data.ducklake
    described = {c.name: c for c in WarehouseByKind().describe(source, TABLES[kind])}
    columns = tuple(
        Column(c.name, c.name, c.type, c.nullable, c.precision, c.scale, text_of=c.text_of)
        for c in (described[name] for name in EXPORTED)
        if c.type is not None
    )
    exported = replace(table(columns, TABLES[kind]), row_estimate=data.rows)
    patch, meter = pytest.MonkeyPatch(), Meter()
    clock = SteppingClock(datetime.now(UTC))
    try:
        with deployed(patch) as deployment, _an_endpoint() as url:
            meter.watch(boto3.DEFAULT_SESSION)
            create_tables(boto3.client("dynamodb"))
            where: Any = {"LocationConstraint": REGION}
            boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
            role = boto3.client("iam").create_role(
                RoleName="workflow", AssumeRolePolicyDocument="{}"
            )["Role"]["Arn"]
            machines = {
                name: boto3.client("stepfunctions").create_state_machine(
                    name=name,
                    definition=json.dumps(
                        {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
                    ),
                    roleArn=role,
                )["stateMachineArn"]
                for name in ("export", "delivery")
            }
            key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
            for name, value in {
                "OPERATIONS_TABLE": "OperationsTable",
                "WEBHOOK_SECRETS_TABLE": SECRETS,
                "WEBHOOK_KEY": key,
                "WEBHOOK_NETWORKS": "127.0.0.0/8",
                "FILES_BUCKET": BUCKET,
                "FILES_KEY": key,
                "EXPORT_STATE_MACHINE": machines["export"],
                "DELIVERY_STATE_MACHINE": machines["delivery"],
                **environment,
            }.items():
                patch.setenv(name, value)
            forget()
            patch.setattr(wiring, "clock", lambda: clock)
            hooks = (Endpoint(WEBHOOK, url),)
            client = Client(CLIENT, "Acme", (TENANT,), daily_quota=1000, webhooks=hooks)
            catalogs = DynamoCatalogs(deployment.tables["catalog"])
            current = catalogs.current()
            catalogs.publish(
                Catalog(
                    tenants=(Tenant(TENANT, "Acme", "Europe/Amsterdam"),),
                    clients=(client,),
                    sources=(source,),
                    configurations=(
                        Configuration("all", TENANT, CLIENT, True, source.name, (exported,)),
                    ),
                ),
                expected=current.version if current else 0,
                moment=clock.now(),
            )
            secrets = Items(boto3.client("dynamodb"), SECRETS)
            kept = DynamoWebhookSecrets(secrets, KmsSeal(boto3.client("kms"), key))
            IssueWebhookSecret(kept, clock, RandomIds())(CLIENT, WEBHOOK)
            yield Account(deployment, meter, clock)
    finally:
        patch.undo()


class _Thankful(BaseHTTPRequestHandler):
    """Answers each message with 204."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def _an_endpoint() -> Iterator[str]:
    """The URL of an endpoint of webhooks on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Thankful)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
