"""The deployed product as the system tests see it: over HTTP, and from outside as an operator does.

``Platform`` is what `make up` left behind, ``Integrator`` a client of its API. What is not HTTP
here looks at AWS itself (objects, items, logs, processes), never into our code.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fcntl import ioctl
from functools import cached_property
from pathlib import Path
from struct import unpack
from termios import FIONREAD
from typing import Any

import httpx

from headrace_admin.deployment import Deployment
from local.deployment import client as aws_client
from local.home import CHECKOUT, Home
from local.platform import process_of, save

type Json = dict[str, Any]

ACTIVE = ("scheduled", "running")


def eventually[T](look: Callable[[], T], *, within: float, what: str, every: float = 0.1) -> T:
    """What ``look`` gives as soon as it is true; fails after ``within`` seconds, saying what."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what} (last seen: {seen!r})")
        time.sleep(every)


def at_once[T](count: int, call: Callable[[int], T]) -> list[T]:
    """The results of ``count`` calls that run at the same time, in the order of their numbers."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


@dataclass(frozen=True)
class Platform:
    """A running platform with the product deployed on it."""

    home: Home
    about: Mapping[str, Any]
    http: httpx.Client
    deployment: Deployment
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return str(self.about["api_url"])

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        outputs: Mapping[str, str] = self.about["outputs"]
        return outputs

    @staticmethod
    def now() -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC)

    def aws(self, service: str) -> Any:
        """A boto3 client of the platform's service."""
        if service not in self._clients:
            port = int(self.about["aws_endpoint_url"].rpartition(":")[2])
            self._clients[service] = aws_client(service, port)
        return self._clients[service]

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One HTTP call of the API, without a token."""
        return self.http.request(method, self.api_url + path, **options)

    def headrace_admin(self, *arguments: str, said: str = "") -> str:
        """What the operator's command prints; ``said`` is typed in."""
        command = [sys.executable, "-m", "headrace_admin", *arguments]
        done = subprocess.run(
            [*command, "--local", "--home", str(self.home.root)],
            env=os.environ,
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def demonstrates(self, demonstration: str, *, within: float = 180) -> str:
        """What a demonstration says, run as the Makefile does."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [sys.executable, "-m", "local", demonstration],
            cwd=CHECKOUT,
            env={**kept, "HEADRACE_HOME": str(self.home.root), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # --- what lies in storage ---------------------------------------------------------------

    def objects(self, prefix: str, bucket: str = "FilesBucketName") -> list[str]:
        """The keys of stored documents; ``bucket``: the output that names it."""
        return list(self.sizes(prefix, bucket))

    def sizes(self, prefix: str, bucket: str = "FilesBucketName") -> dict[str, int]:
        """The sizes of stored documents, by their keys."""
        pages = self.aws("s3").get_paginator("list_objects_v2")
        return {
            item["Key"]: item["Size"]
            for page in pages.paginate(Bucket=self.outputs[bucket], Prefix=prefix)
            for item in page.get("Contents", [])
        }

    def uploads(self, prefix: str, bucket: str = "FilesBucketName") -> list[Json]:
        """The multipart uploads that are neither completed nor aborted."""
        listed = self.aws("s3").list_multipart_uploads(Bucket=self.outputs[bucket], Prefix=prefix)
        return [one for one in listed.get("Uploads", []) if one["Key"].startswith(prefix)]

    def parts(self, prefix: str) -> int:
        """How many parts those uploads hold together."""
        bucket, parts = self.outputs["FilesBucketName"], 0
        for upload in self.uploads(prefix):
            with suppress(self.aws("s3").exceptions.NoSuchUpload):
                listed = self.aws("s3").list_parts(
                    Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
                parts += len(listed.get("Parts", []))
        return parts

    def items(self, table: str) -> list[Json]:
        """All items of a table, in DynamoDB's notation."""
        pages = self.aws("dynamodb").get_paginator("scan").paginate(TableName=table)
        return [item for page in pages for item in page["Items"]]

    def operation_items(self, tenant: str, client_id: str) -> dict[str, Json]:
        """What the operations table holds of a client, by sort key."""
        reply = self.aws("dynamodb").query(
            TableName=self.outputs["OperationsTableName"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"{tenant}#{client_id}"}},
            ConsistentRead=True,
        )
        return {item["sk"]["S"]: item for item in reply["Items"]}

    # --- workflow and logs ------------------------------------------------------------------

    def execution_arn(self, operation_id: str, attempt: int) -> str:
        """The execution of an operation's attempt."""
        machine = self.outputs["ExportStateMachineArn"]
        prefix = machine.replace(":stateMachine:", ":execution:")
        return f"{prefix}:{operation_id}-{attempt}"

    def execution(self, operation_id: str, attempt: int) -> Json:
        """How that execution stands."""
        described: Json = self.aws("stepfunctions").describe_execution(
            executionArn=self.execution_arn(operation_id, attempt)
        )
        return described

    def log_text(self, pattern: str = "") -> str:
        """All that functions have logged (with ``pattern``: the lines that hold it)."""
        logs, lines = self.aws("logs"), []
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                found = logs.get_paginator("filter_log_events").paginate(
                    logGroupName=group["logGroupName"],
                    **({"filterPattern": f'"{pattern}"'} if pattern else {}),
                )
                lines += [event["message"] for part in found for event in part["events"]]
        return "\n".join(lines)

    def logs(self, pattern: str) -> list[Json]:
        """The log lines that hold ``pattern`` and are JSON, as ours are."""
        found = []
        for line in self.log_text(pattern).splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    # --- functions and their processes ------------------------------------------------------

    @cached_property
    def functions(self) -> dict[str, str]:
        """The functions' names by their logical ids."""
        listed = self.aws("cloudformation").describe_stack_resources(StackName=self.about["stack"])
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in listed["StackResources"]
            if one["ResourceType"] == "AWS::Lambda::Function"
        }

    def invoke(self, function: str, event: Json) -> tuple[str | None, Any]:
        """Invokes a function: its kind of error (or None), and its reply."""
        reply = self.aws("lambda").invoke(
            FunctionName=self.functions[function], Payload=json.dumps(event)
        )
        return reply.get("FunctionError"), json.loads(reply["Payload"].read())

    def sweep(self) -> Json:
        """Has the sweeper look now; what it did."""
        error, swept = self.invoke("Sweep", {})
        assert error is None, swept
        assert isinstance(swept, dict)
        return swept

    def workers(self, function: str) -> list[int]:
        """The process ids of the function's execution environments."""
        mark = f"{self.home.temporary}/ministack-lambda-{self.functions[function]}-".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                arguments = process.read_bytes().split(b"\0")
                if len(arguments) > 1 and arguments[1].startswith(mark):
                    found.append(int(process.parent.name))
        return found

    def kill(self, *functions: str) -> list[int]:
        """Ends all processes of these functions on the spot, as a crash would; their ids."""
        killed = [pid for function in functions for pid in self.workers(function)]
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return killed

    @contextmanager
    def configured(self, function: str, **variables: str) -> Iterator[None]:
        """Gives the function these settings in place of the deployment's until the block ends."""
        functions, name = self.aws("lambda"), self.functions[function]
        deployed = functions.get_function_configuration(FunctionName=name)["Environment"]
        changed = {"Variables": {**deployed["Variables"], **variables}}
        functions.update_function_configuration(FunctionName=name, Environment=changed)
        try:
            yield
        finally:
            functions.update_function_configuration(FunctionName=name, Environment=deployed)

    @contextmanager
    def frozen(self, *functions: str) -> Iterator["Frozen"]:
        """Holds the functions' processes: what they are given waits until the block ends."""
        pids = [pid for function in functions for pid in self.workers(function)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield Frozen(tuple(pids))
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def save_state(self) -> None:
        """Has the emulator write all its state to disk, and waits until it did."""
        files = sorted(self.home.state.glob("*.json"))
        before = max(file.stat().st_mtime_ns for file in files)
        assert process_of(self.home) is not None
        save(self.home)
        marks = ("dynamodb.json", "cloudwatch_logs.json", "stepfunctions.json", "lambda.json")
        eventually(
            lambda: all(
                (self.home.state / mark).exists()
                and (self.home.state / mark).stat().st_mtime_ns > before
                for mark in marks
            ),
            within=30,
            what="the emulator saved its state",
        )


@dataclass(frozen=True)
class Frozen:
    """Processes that stand still."""

    pids: tuple[int, ...]

    def given_work(self) -> list[int]:
        """Those that have been sent an event, which they cannot have read."""
        return [pid for pid in self.pids if _unread(pid)]

    def kill(self) -> None:
        """Ends them as they stand."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _unread(pid: int) -> int:
    """Bytes that wait on the process's standard input."""
    try:
        pipe = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        (count,) = unpack("i", ioctl(pipe, FIONREAD, b"\0" * 4))
        return int(count)
    finally:
        os.close(pipe)


@dataclass
class Integrator:
    """A client of the API, with credentials of its own."""

    platform: Platform
    client_id: str
    client_secret: str
    tenant: str
    _tokens: dict[str | None, tuple[str, float]] = field(default_factory=dict, repr=False)
    """By scope: the token, and when to ask for another by the monotonic clock."""

    @property
    def prefix(self) -> str:
        """What the keys of its documents begin with."""
        return f"{self.tenant}/{self.client_id}/"

    def asks_for_token(self, scope: str | None = None, **options: Any) -> httpx.Response:
        """The token endpoint's answer."""
        form = {"grant_type": "client_credentials", "tenant_id": self.tenant}
        if scope is not None:
            form["scope"] = scope
        return self.platform.call(
            "POST",
            "/connect/token",
            data=form,
            auth=(self.client_id, self.client_secret),
            **options,
        )

    def token(self, scope: str | None = None) -> str:
        """A token, asked for anew when half of its time is over."""
        token, renewed_at = self._tokens.get(scope, ("", 0.0))
        if time.monotonic() >= renewed_at:
            asked_at, reply = time.monotonic(), self.asks_for_token(scope)
            assert reply.status_code == 200, reply.text
            token = reply.json()["access_token"]
            self._tokens[scope] = token, asked_at + reply.json()["expires_in"] / 2
        return token

    def with_token(self, token: str) -> "Integrator":
        """The same client, whose calls have this token."""
        return replace(self, _tokens={None: (token, math.inf)})

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """One call with the client's token."""
        given = {"Authorization": f"Bearer {self.token()}", **(headers or {})}
        return self.platform.call(method, path, headers=given, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET with the client's token."""
        return self.call("GET", path, **options)

    # --- exports ----------------------------------------------------------------------------

    def starts(self, *, key: str | None = None, **body: Any) -> httpx.Response:
        """The answer to a start."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self.call("POST", "/data/v1/fulldata", json=body, headers=headers)

    def start(self, **body: Any) -> Json:
        """An operation that was started."""
        reply = self.starts(**body)
        assert reply.status_code == 202, reply.text
        operation: Json = reply.json()
        return operation

    def sync_version(self, **query: str) -> Json:
        """The version that its data stands at."""
        reply = self.get("/data/v1/incrementals/syncversion", params=query)
        assert reply.status_code == 200, reply.text
        standing: Json = reply.json()
        return standing

    def starts_increment(self, version: str, **body: Any) -> httpx.Response:
        """The answer to the start of an increment."""
        return self.call("POST", "/data/v1/incrementals", json={"syncVersion": version, **body})

    def increment(self, version: str, *, within: float = 120, **body: Any) -> Json:
        """An increment since the version, from its start to its success."""
        reply = self.starts_increment(version, **body)
        assert reply.status_code == 202, reply.text
        operation = self.ended(reply.json()["operationId"], within=within, of="incrementals")
        assert operation["status"] == "succeeded", operation
        return operation

    def status(self, operation_id: str, of: str = "fulldata") -> Json:
        """How an operation stands."""
        reply = self.get(f"/data/v1/{of}/{operation_id}/status")
        assert reply.status_code == 200, reply.text
        operation: Json = reply.json()
        return operation

    def until(
        self,
        operation_id: str,
        holds: Callable[[Json], bool],
        *,
        within: float,
        what: str,
        of: str = "fulldata",
    ) -> Json:
        """The operation as soon as ``holds`` of it."""

        def look() -> Json | None:
            seen = self.status(operation_id, of)
            return seen if holds(seen) else None

        # A look costs the platform a good part of a processor's time.
        found = eventually(look, within=within, what=f"operation {what}", every=0.3)
        assert found is not None
        return found

    def ended(self, operation_id: str, *, within: float = 120, of: str = "fulldata") -> Json:
        """The operation when it is no longer active."""
        return self.until(
            operation_id,
            lambda seen: seen["status"] not in ACTIVE,
            within=within,
            what=f"{operation_id} came to an end",
            of=of,
        )

    def export(self, *, within: float = 120, **body: Any) -> Json:
        """An operation, from its start to its success."""
        operation = self.ended(self.start(**body)["operationId"], within=within)
        assert operation["status"] == "succeeded", operation
        return operation

    def cancel(self, operation_id: str) -> httpx.Response:
        """The answer to a cancellation."""
        return self.call("POST", f"/data/v1/fulldata/{operation_id}/cancel")

    def retry(self, operation_id: str) -> httpx.Response:
        """The answer to a retry."""
        return self.call("PUT", f"/data/v1/fulldata/{operation_id}/retry")

    def delete(self, operation_id: str) -> httpx.Response:
        """The answer to a deletion."""
        return self.call("DELETE", f"/data/v1/fulldata/{operation_id}")

    def manifest(self, operation_id: str) -> Json:
        """The manifest of an ended operation."""
        reply = self.get(f"/data/v1/operations/{operation_id}/manifest")
        assert reply.status_code == 200, reply.text
        manifest: Json = reply.json()
        return manifest

    def link(self, job_id: str) -> str:
        """Where a job's document is."""
        reply = self.get(f"/data/v1/jobs/{job_id}")
        assert reply.status_code == 303, reply.text
        return reply.headers["Location"]

    def document(self, job_id: str) -> bytes:
        """A job's document as it is stored."""
        # As any HTTP client does: the token goes to the API, not to the storage.
        reply = self.platform.http.get(self.link(job_id))
        assert reply.status_code == 200, reply.text
        return reply.content

    def quota(self) -> Json:
        """How the quota stands."""
        quota: Json = self.get("/data/v1/operations", params={"pageSize": 1}).json()["quota"]
        return quota

    def of_worker(self, operation_id: str, job: Json, index: int) -> Json:
        """What the workflow tells the worker of the job's range with this number."""
        return {
            "tenant": self.tenant,
            "client_id": self.client_id,
            "operation_id": operation_id,
            "attempt": 1,
            "job_id": job["jobId"],
            "job_attempt": job["attempt"],
            "range": index,
        }

    # --- what of it lies on AWS -------------------------------------------------------------

    def items(self) -> dict[str, Json]:
        """What the operations table holds of it."""
        return self.platform.operation_items(self.tenant, self.client_id)

    def is_free(self) -> bool:
        """No operation of it holds the lock."""
        return "lock" not in self.items()

    def leaves(self, *, documents: int) -> None:
        """Fails unless the lock is free, no upload open, and there are so many objects."""
        assert self.is_free()
        assert self.platform.uploads(self.prefix) == []
        assert len(self.platform.objects(self.prefix)) == documents


@dataclass
class Person:
    """A person who logs in."""

    platform: Platform
    username: str
    password: str
    tenant: str
    user_id: str

    def logs_in(self, password: str | None = None) -> httpx.Response:
        """The answer to a login; with the person's own password if none is given."""
        body = {"username": self.username, "password": password or self.password}
        return self.platform.call("POST", "/api/ver3/auth/login", json=body)

    def token(self) -> str:
        """A token of a login that succeeds."""
        reply = self.logs_in()
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])
