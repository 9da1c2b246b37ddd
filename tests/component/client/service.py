"""A Headrace service to test the client against: two real HTTP servers on loopback.

One speaks the API, one is the storage behind presigned URLs. Everything that goes wrong in the
world can be made to go wrong here, upon a condition and not upon a clock: `api_fault` and
`storage_fault` see each request and may answer in the service's place.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.component.client.changing import ChangingSource, Resync

CLIENT_ID = "integrator"
CLIENT_SECRET = "s3cret-of-the-integrator"
TENANT = "acme"


@dataclass(frozen=True)
class ApiRequest:
    """What arrived at the API."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    """Close the connection without answering."""
    content: bytes | None = None
    """What is answered instead of a document."""


@dataclass(frozen=True)
class StorageRequest:
    """What arrived at the storage: bytes `start` to before `end` of `name`."""

    name: str
    start: int
    end: int
    headers: Mapping[str, str]
    signature: str


@dataclass(frozen=True)
class Fault:
    """How the storage answers wrongly. Offsets are within the document."""

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """Close the connection before this byte."""
    flip_at: int | None = None
    """Send this byte wrong."""
    hold_at: int | None = None
    """Send what is before this byte, then wait for `release`."""
    release: threading.Event | None = None
    ignore_range: bool = False


def csv_rows(count: int, width: int = 40) -> bytes:
    """A CSV document with `count` rows, some with quotes and line breaks in them."""
    lines = ["id,note"]
    for number in range(count):
        note = hashlib.sha256(str(number).encode()).hexdigest()[:width]
        lines.append(f'{number},"{note}\n""quoted"""' if number % 7 == 0 else f"{number},{note}")
    return ("\n".join(lines) + "\n").encode()


class Service:
    """The service; a context manager. Its attributes are its settings and its records."""

    def __init__(
        self,
        tables: Mapping[str, bytes],
        part_bytes: int = 64 * 1024,
        source: ChangingSource | None = None,
    ) -> None:
        self.tables = dict(tables)
        self.source = source
        """What is exported instead of `tables`, with increments, if it is given."""
        self.fails_with: str | None = None
        """The code that the next increment's jobs fail with."""
        self.baselines: dict[str, dict[str, str]] = {}
        """The versions that this client's data stood at, each with the schema hashes then."""
        self.rows: dict[str, int] = {}
        self.part_bytes = part_bytes
        self.whole_digests = True
        self.looks_until_done = 2
        self.ends_as = "succeeded"
        self.expires_in = 3600
        self.quota_limit = 1000
        self.entity_shown = False
        self.default_configuration = "default"
        self.api_fault: Callable[[ApiRequest], Answer | None] = lambda request: None
        self.storage_fault: Callable[[StorageRequest], Fault | None] = lambda request: None
        self.manifest_made: Callable[[dict[str, Any]], dict[str, Any]] = lambda manifest: manifest

        self.lock = threading.RLock()
        self.api_requests: list[ApiRequest] = []
        self.storage_requests: list[StorageRequest] = []
        self.operations: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, bytes] = {}
        self.keys: dict[str, tuple[bytes, str]] = {}
        self.tokens: set[str] = set()
        self.signatures: set[str] = set()
        self._api = _serve(self, _ApiHandler)
        self._storage = _serve(self, _StorageHandler)

    def __enter__(self) -> Self:
        for server in (self._api, self._storage):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._api, self._storage):
            server.shutdown()
            server.server_close()

    @property
    def api_url(self) -> str:
        """The base of the API, with a path in it as a stage has."""
        return f"http://127.0.0.1:{self._api.server_port}/stage"

    @property
    def storage_url(self) -> str:
        return f"http://127.0.0.1:{self._storage.server_port}"

    # -- what tests look at and do -----------------------------------------------------------

    def calls(self, method: str, ending: str) -> list[ApiRequest]:
        """The API's requests by method and end of path."""
        with self.lock:
            return [
                request
                for request in self.api_requests
                if request.method == method and request.path.endswith(ending)
            ]

    def fetched(self, name: str) -> list[tuple[int, int]]:
        """The ranges that were asked of a document, sorted."""
        with self.lock:
            return sorted((r.start, r.end) for r in self.storage_requests if r.name == name)

    def forget_requests(self) -> None:
        with self.lock:
            self.api_requests.clear()
            self.storage_requests.clear()

    def expire_links(self) -> None:
        """No presigned URL that was given so far works any more."""
        with self.lock:
            self.signatures.clear()

    def revoke_tokens(self) -> None:
        with self.lock:
            self.tokens.clear()

    def begin(self, **request: Any) -> dict[str, Any]:
        """An operation as a POST makes it, begun by somebody else."""
        with self.lock:
            entity, since = request.get("entity"), request.get("syncVersion")
            names = self.tables if self.source is None else self.source.shapes
            operation = {
                "operationId": f"op-{len(self.operations) + 1:04d}",
                "kind": "full" if since is None else "incremental",
                "status": "scheduled",
                "configurationId": request.get("configurationId") or self.default_configuration,
                "fileFormat": request.get("fileFormat", "csv"),
                "compression": request.get("compression", "none"),
                "sinceSyncVersion": since,
                "syncVersion": None,
                "catalogVersion": 1 if self.source is None else self.source.catalog_version,
                "attempt": 1,
                "createdAt": "2026-11-23T01:02:03.456789Z",
                "startedAt": None,
                "endedAt": None,
                "expiresAt": None,
                "error": None,
                "looks": 0,
                "tables": [entity] if entity else sorted(names),
                "links": {},
            }
            if self.source is not None:  # what is read is fixed now, whatever is committed later
                operation["plan"] = self.source.plan(since, self.baselines.get(since or ""))
            if self.entity_shown:
                operation["entity"] = entity
            self.operations[operation["operationId"]] = operation
            return operation

    def finish(self, operation: dict[str, Any]) -> None:
        with self.lock:
            ends_as, code = self.ends_as, "job_failed"
            if operation["kind"] == "incremental" and self.fails_with is not None:
                ends_as, code, self.fails_with = "failed", self.fails_with, None
            operation["status"] = ends_as
            operation["endedAt"] = "2026-11-23T01:02:05Z"
            if ends_as == "succeeded" and self.source is not None:
                self._finish_planned(operation)
            elif ends_as == "succeeded":
                operation["syncVersion"] = "7"
                operation["expiresAt"] = "2126-11-24T01:02:05Z"
                for table in operation["tables"]:
                    name = self._file_name(operation, table)
                    self.documents[f"{operation['operationId']}/{name}"] = self.tables[table]
            else:
                operation["error"] = {"code": code, "detail": "A job failed."}

    def _finish_planned(self, operation: dict[str, Any]) -> None:
        assert self.source is not None
        plan = operation["plan"]
        operation |= {"syncVersion": plan.version, "expiresAt": "2126-11-24T01:02:05Z"}
        for table in operation["tables"]:
            name = self._file_name(operation, table)
            content = plan.document(table, operation["fileFormat"], operation["compression"])
            self.documents[f"{operation['operationId']}/{name}"] = content
        self.baselines[plan.version] = plan.hashes

    @staticmethod
    def _file_name(operation: Mapping[str, Any], table: str) -> str:
        suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[operation["compression"]]
        if operation["fileFormat"] == "parquet":
            suffix = ""
        return f"{table}.{operation['fileFormat']}{suffix}"

    # -- the API -----------------------------------------------------------------------------

    def answer(self, request: ApiRequest) -> Answer:
        with self.lock:
            self.api_requests.append(request)
        fault = self.api_fault(request)
        if fault is not None:
            return fault
        if request.path == "/connect/token":
            return self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return problem(401, "invalid_token", "The token is not valid.")
        with self.lock:
            return self._route(request)

    def _token(self, request: ApiRequest) -> Answer:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            said = "The client's credentials are wrong."
            return Answer(401, {"error": "invalid_client", "error_description": said})
        token = str(uuid.uuid4())
        with self.lock:
            self.tokens.add(token)
        return Answer(
            200,
            {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in},
            {"Cache-Control": "no-store"},
        )

    def _route(self, request: ApiRequest) -> Answer:
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("GET", "/data/v1/metadata", self._metadata),
            ("POST", "/data/v1/fulldata", self._start),
            ("POST", "/data/v1/incrementals", self._start),
            ("GET", "/data/v1/incrementals/syncversion", self._sync_version),
            ("GET", "/data/v1/operations", self._list),
            ("GET", "/data/v1/(fulldata|incrementals)/([^/]+)/status", self._status),
            ("PUT", "/data/v1/(fulldata|incrementals)/([^/]+)/retry", self._retry),
            ("POST", "/data/v1/(fulldata|incrementals)/([^/]+)/cancel", self._cancel),
            ("DELETE", "/data/v1/(fulldata|incrementals)/([^/]+)", self._delete),
            ("GET", "/data/v1/(operations|incrementals)/([^/]+)/manifest", self._manifest),
            ("GET", "/data/v1/jobs/([^/]+)", self._job),
        )
        for method, pattern, handle in routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                parts = match.groups()
                if len(parts) == 2 and not self._is_at(*parts):
                    break
                return handle(request, *parts[-1:])
        return problem(404, "not_found", "There is no such thing.")

    def _is_at(self, path: str, operation_id: str) -> bool:
        """An operation is at the path of its kind only."""
        kind = {"fulldata": "full", "incrementals": "incremental"}.get(path)
        operation = self.operations.get(operation_id)
        return operation is not None and kind in (None, operation["kind"])

    def _quota(self) -> dict[str, Any]:
        used = len(self.operations)
        return {
            "limit": self.quota_limit,
            "used": used,
            "remaining": max(0, self.quota_limit - used),
            "resetsAt": "2026-11-24T00:00:00Z",
        }

    def _metadata(self, request: ApiRequest) -> Answer:
        size, number = int(request.query["pageSize"]), int(request.query["currentPage"])
        size = min(size, 2)  # so that the client has to turn pages
        names = sorted(self.tables if self.source is None else self.source.shapes)
        shown = names[(number - 1) * size : number * size]
        return Answer(
            200,
            {
                "configurationId": request.query.get("configurationId", self.default_configuration),
                "tenant": TENANT,
                "catalogVersion": 1 if self.source is None else self.source.catalog_version,
                "tables": [self._table(name) for name in shown],
                "pageSize": size,
                "currentPage": number,
                "totalCount": len(names),
                "totalPages": -(-len(names) // size),
                "hasPreviousPage": number > 1,
                "hasNextPage": number * size < len(names),
            },
        )

    def _table(self, name: str) -> dict[str, Any]:
        if self.source is not None:
            return self.source.shapes[name].metadata()
        return {
            "name": name,
            "primaryKey": ["id"],
            "schemaHash": "5c4e",
            "schemaVersion": 2,
            "rowEstimate": 12345,
            "fields": [
                {"name": "id", "type": "bigint", "nullable": False},
                {"name": "note", "type": "string", "nullable": True},
            ],
        }

    def _sync_version(self, request: ApiRequest) -> Answer:
        if self.source is None:
            said = "The source keeps no record of what changes."
            return problem(422, "increments_unavailable", said, tables=sorted(self.tables))
        ended = [o for o in self.operations.values() if o["status"] == "succeeded"]
        baseline = ended[-1] if ended else None
        if baseline is None:
            self.baselines[self.source.version] = self.source.hashes()
        version = baseline["syncVersion"] if baseline else self.source.version
        known = ("syncVersion", "operationId", "kind")
        return Answer(
            200,
            {
                "configurationId": request.query.get("configurationId", self.default_configuration),
                "entity": None,
                "syncVersion": version,
                "baseline": baseline and {name: baseline[name] for name in known},
                "latest": self.source.version,
                "minValidSyncVersion": self.source.oldest,
                "retainedSince": None,
            },
        )

    def _refusal(self, since: str) -> Answer | None:
        """Why there is no increment since this version, if there is none."""
        if self.source is None:
            said = "The source keeps no record of what changes."
            return problem(422, "increments_unavailable", said, tables=sorted(self.tables))
        before = self.baselines.get(since)
        if before is None or not self.source.knows(since):
            wrong = {"field": "syncVersion", "message": "is not known"}
            return problem(422, "sync_version_unknown", "It is none of yours.", errors=[wrong])
        if self.source.expired(since):
            said, oldest = "The changes are not kept any more.", self.source.oldest
            return problem(410, "sync_version_expired", said, minValidSyncVersion=oldest)
        changed = [name for name, told in self.source.hashes().items() if before.get(name) != told]
        if changed and self.source.resync is Resync.REFUSE:
            told = [{"table": name, "reason": "Granted otherwise."} for name in changed]
            return problem(410, "resync_required", "What is granted has changed.", tables=told)
        return None

    def _start(self, request: ApiRequest) -> Answer:
        wanted = json.loads(request.body)
        if request.path.endswith("/incrementals"):
            refusal = self._refusal(wanted["syncVersion"])
            if refusal is not None:
                return refusal
        key = request.headers.get("idempotency-key")
        if key in self.keys:
            body, operation_id = self.keys[key]
            if body != request.body:
                return problem(422, "idempotency_key_reused", "The key belongs to another request.")
            return self._operation(self.operations[operation_id], 202)
        active = [o for o in self.operations.values() if o["status"] in ("scheduled", "running")]
        if active:
            return problem(
                409,
                "operation_active",
                "Another operation of this client is not finished.",
                blockingOperationId=active[0]["operationId"],
                quota=self._quota(),
            )
        if len(self.operations) >= self.quota_limit:
            return problem(
                429,
                "quota_exhausted",
                "All operations of today are used.",
                {"Retry-After": "90"},
                quota=self._quota(),
            )
        if wanted.get("entity") is not None and wanted["entity"] not in self.tables:
            none = "The configuration has no such table; see GET /data/v1/metadata."
            return problem(404, "not_found", none)
        operation = self.begin(**wanted)
        if key is not None:
            self.keys[key] = (request.body, operation["operationId"])
        return self._operation(operation, 202)

    def _list(self, request: ApiRequest) -> Answer:
        size = int(request.query.get("pageSize", "2"))
        first = int(request.query.get("cursor", "0"))
        newest = list(reversed(self.operations.values()))
        hidden = ("percent", "quota", "jobs")
        return Answer(
            200,
            {
                "operations": [
                    {k: v for k, v in self._document(o).items() if k not in hidden}
                    for o in newest[first : first + size]
                ],
                "next": str(first + size) if first + size < len(newest) else None,
                "quota": self._quota(),
            },
        )

    def _status(self, request: ApiRequest, operation_id: str) -> Answer:
        operation = self.operations.get(operation_id)
        if operation is None:
            return problem(404, "not_found", "There is no such thing.")
        if operation["status"] in ("scheduled", "running"):
            operation["looks"] += 1
            operation["status"] = "running"
            if operation["looks"] >= self.looks_until_done:
                self.finish(operation)
        return self._operation(operation)

    def _retry(self, request: ApiRequest, operation_id: str) -> Answer:
        operation = self.operations[operation_id]
        if operation["status"] not in ("failed", "cancelled"):
            return problem(409, "operation_not_retryable", "Only what failed can be retried.")
        operation |= {"status": "running", "looks": 0, "error": None}
        operation["attempt"] += 1
        return self._operation(operation, 202)

    def _cancel(self, request: ApiRequest, operation_id: str) -> Answer:
        operation = self.operations[operation_id]
        if operation["status"] in ("scheduled", "running"):
            operation["status"] = "cancelled"
        return self._operation(operation)

    def _delete(self, request: ApiRequest, operation_id: str) -> Answer:
        if self.operations.get(operation_id, {}).get("status") in ("scheduled", "running"):
            return problem(409, "operation_running", "It runs.")
        if self.operations.pop(operation_id, None) is None:
            return problem(404, "not_found", "There is no such thing.")
        return Answer(204)

    def _manifest(self, request: ApiRequest, operation_id: str) -> Answer:
        operation = self.operations[operation_id]
        if operation["status"] != "succeeded":
            return problem(409, "job_unfinished", "Not yet.", jobStatus=operation["status"])
        made = {
            "operationId": operation_id,
            "configurationId": operation["configurationId"],
            "sinceSyncVersion": operation["sinceSyncVersion"],
            "syncVersion": operation["syncVersion"],
            "fileFormat": operation["fileFormat"],
            "compression": operation["compression"],
            "createdAt": "2026-11-23T01:02:05Z",
            "files": [self._file(operation, table) for table in operation["tables"]],
        }
        return Answer(200, self.manifest_made(made))

    def _file(self, operation: Mapping[str, Any], table: str) -> dict[str, Any]:
        name = self._file_name(operation, table)
        content = self.documents[f"{operation['operationId']}/{name}"]
        step = self.part_bytes
        pieces = [(at, content[at : at + step]) for at in range(0, len(content), step)]
        return {
            "jobId": f"{operation['operationId']}.{table}",
            "table": table,
            "fileName": name,
            "contentType": "text/csv",
            "content": self._content(operation, table),
            "rows": self._rows(operation, table),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest() if self.whole_digests else None,
            "schemaHash": operation["plan"].hashes[table] if "plan" in operation else "5c4e",
            "schemaVersion": 2,
            "snapshot": "7",
            "link": f"{self.api_url}/data/v1/jobs/{operation['operationId']}.{table}",
            "parts": [
                {
                    "number": number,
                    "offset": at,
                    "bytes": len(piece),
                    "sha256": hashlib.sha256(piece).hexdigest(),
                }
                for number, (at, piece) in enumerate(pieces, 1)
            ],
        }

    def _bytes(self, operation: Mapping[str, Any], table: str) -> int:
        return len(
            self.documents[f"{operation['operationId']}/{self._file_name(operation, table)}"]
        )

    def _rows(self, operation: Mapping[str, Any], table: str) -> int:
        if "plan" in operation:
            return len(operation["plan"].rows(table))
        return self.rows.get(table, 0)

    def _content(self, operation: Mapping[str, Any], table: str) -> str:
        return "changes" if "plan" in operation and operation["plan"].changes(table) else "full"

    def _job(self, request: ApiRequest, job_id: str) -> Answer:
        operation_id, _, table = job_id.partition(".")
        operation = self.operations.get(operation_id)
        if operation is None or table not in operation["tables"]:
            return problem(404, "not_found", "There is no such thing.")
        if operation["status"] == "expired":
            return problem(410, "file_expired", "The file was deleted after its time.")
        if operation["status"] != "succeeded":
            return problem(409, "job_unfinished", "Not yet.", jobStatus=operation["status"])
        signature = str(uuid.uuid4())
        self.signatures.add(signature)
        name = self._file_name(operation, table)
        url = f"{self.storage_url}/{operation_id}/{name}?X-Amz-Signature={signature}"
        return Answer(303, None, {"Location": url})

    def _operation(self, operation: Mapping[str, Any], status: int = 200) -> Answer:
        headers = {"Retry-After": "0"} if operation["status"] in ("scheduled", "running") else {}
        return Answer(status, self._document(operation), headers)

    def _document(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        done = operation["status"] == "succeeded"
        jobs = [
            {
                "jobId": f"{operation['operationId']}.{table}",
                "table": table,
                "status": operation["status"],
                "content": self._content(operation, table),
                "rows": self._rows(operation, table) if done else None,
                "bytes": self._bytes(operation, table) if done else None,
                "percent": 100 if done else 50,
                "attempt": operation["attempt"],
                "error": operation["error"],
                "link": None,
                "expiresAt": operation["expiresAt"],
            }
            for table in operation["tables"]
        ]
        held = {k: v for k, v in operation.items() if k not in ("looks", "tables", "plan")}
        return held | {"percent": 100 if done else 50, "quota": self._quota(), "jobs": jobs}


def problem(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Answer:
    """A problem document as the contract has it."""
    document = {
        "type": f"urn:headrace:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
        "correlationId": "c0ffee",
    }
    return Answer(status, document | members, headers or {})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    service: Service

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what is tested here, not an error."""


def _serve(service: Service, handler: type[BaseHTTPRequestHandler]) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    server.service = service
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Tests look at the records instead."""

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class _ApiHandler(_Handler):
    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/stage")
        made = self.server.service.answer(
            ApiRequest(self.command, path, query, self._lower_headers(), body)
        )
        if made.drop:
            self._drop()
            return
        content = b"" if made.document is None else json.dumps(made.document).encode()
        kind = "application/problem+json" if made.status >= 400 else "application/json"
        self.send_response(made.status)
        if made.content is None:
            self.send_header("Content-Type", kind)
        content = content if made.content is None else made.content
        self.send_header("Content-Length", str(len(content)))
        for name, value in made.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve


class _StorageHandler(_Handler):
    def do_GET(self) -> None:
        service = self.server.service
        parts = urlsplit(self.path)
        key = parts.path.lstrip("/")
        content = service.documents.get(key, b"")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = int(asked[2]) + 1 if asked and asked[2] else len(content)
        signature = parse_qs(parts.query).get("X-Amz-Signature", [""])[0]
        request = StorageRequest(
            key.partition("/")[2], start, end, self._lower_headers(), signature
        )
        with service.lock:
            service.storage_requests.append(request)
            signed = signature in service.signatures
        fault = service.storage_fault(request) or Fault()
        if fault.status is not None:
            self._reply(fault.status, fault.body, fault.headers)
        elif not signed:
            said = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            self._reply(403, said)
        elif self.headers.get("If-Match", _etag(content)) != _etag(content):
            self._reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        elif start >= len(content):
            self._reply(416, b"<Error><Code>InvalidRange</Code></Error>")
        elif fault.ignore_range or asked is None:
            self._send(200, content, 0, len(content), fault)
        else:
            self._send(206, content, start, min(end, len(content)), fault)

    def do_PUT(self) -> None:
        """Takes a document at an address that was signed, if it is just as large as was said."""
        service = self.server.service
        parts = urlsplit(self.path)
        key = parts.path.lstrip("/")
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        signature = parse_qs(parts.query).get("X-Amz-Signature", [""])[0]
        request = StorageRequest(key, 0, len(content), self._lower_headers(), signature)
        with service.lock:
            service.storage_requests.append(request)
            signed = signature in service.signatures
        fault = service.storage_fault(request) or Fault()
        if fault.status is not None:
            self._reply(fault.status, fault.body, fault.headers)
        elif not signed:
            self._reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        else:
            service.documents[key] = content
            self._reply(200, b"")

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, status: int, content: bytes, start: int, end: int, fault: Fault) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Disposition", "attachment")
        self.send_header("ETag", _etag(content))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        sent = bytearray(content[start:end])
        if fault.flip_at is not None and start <= fault.flip_at < end:
            sent[fault.flip_at - start] ^= 0xFF
        if fault.cut_at is not None and start <= fault.cut_at < end:
            self.wfile.write(sent[: fault.cut_at - start])
            self._drop()
            return
        if fault.hold_at is not None and start <= fault.hold_at < end:
            assert fault.release is not None
            self.wfile.write(sent[: fault.hold_at - start])
            fault.release.wait()
            sent = sent[fault.hold_at - start :]
        self.wfile.write(sent)


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
