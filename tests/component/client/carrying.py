"""A Headrace service with data sets: what is created is built, and what is imported is counted.

What comes is read by the bodies that the product's own functions have, so that a client that sends
anything else fails here.
"""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from datasets.bodies import CreateDataSet, RebuildDataSet, StartBuild
from datasets.import_bodies import ImportForm, ImportFromEnvironment, ImportUpload, StartUndo
from datasets.prepare_upload import PrepareUpload
from tests.component.client.service import Answer, ApiRequest, Service, problem

DEFINITION = "CLAIMS_CONFIGURATION"
COUNTS = {"added": 1, "changed": 1, "deleted": 1, "unchanged": 7, "failedItems": 0}
DIFFERENCE = [
    {
        "change": "added",
        "table": "GROUP CLIENTS",
        "tableId": 18039405,
        "item": "GROUP CLIENTS ACME",
        "uuid": "0d2f",
        "key": ["ACME"],
        "values": {"name": {"new": "Acme"}},
    },
    {
        "change": "changed",
        "table": "GROUP CLIENTS",
        "tableId": 18039405,
        "item": "GROUP CLIENTS BETA",
        "uuid": "1d2f",
        "key": ["BETA"],
        "values": {
            "name": {"old": "Beta", "new": "Beta & sons"},
            "dynamic_logic_id": {"old": None, "new": {"uuid": "9e1f", "key": ["LOGIC"]}},
        },
    },
    {
        "change": "deleted",
        "table": "GROUP ACCOUNTS",
        "tableId": 18039410,
        "item": "GROUP CLIENTS BETA",
        "uuid": "2d2f",
        "key": ["OLD"],
        "values": {"code": {"old": "OLD"}},
    },
]


def a_payload(records: int = 3, definition: str = DEFINITION, code: str = "TEST_321") -> bytes:
    """An archive as a build writes it."""
    lines = b"".join(b'{"item":%d,"uuid":"%064d"}\n' % (n, n) for n in range(records))
    manifest = {
        "formatVersion": 1,
        "definition": definition,
        "dataSet": code,
        "tables": [
            {
                "tableId": 4,
                "document": "tables/4.ndjson",
                "records": records,
                "sha256": hashlib.sha256(lines).hexdigest(),
            }
        ],
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:  # stored: so many records are so many bytes
        archive.writestr("tables/4.ndjson", lines)
        archive.writestr("manifest.json", json.dumps(manifest))
    return written.getvalue()


class CarryingService(Service):
    """The service; a context manager."""

    def __init__(self) -> None:
        super().__init__({})
        self.looks_until_done = 2
        """Of a process; what it does is done at its start all the same."""
        self.processes: dict[str, dict[str, Any]] = {}
        self.data_sets: dict[str, dict[str, Any]] = {}
        self.payloads: dict[str, bytes] = {}
        self.payload = a_payload()
        """What a build writes."""
        self.linked = False
        """Whether payloads are handed out by a link."""
        self.result = "S"
        """How the next process ends."""
        self.messages: list[dict[str, Any]] = []
        """What the next process has to say."""
        self.imported: list[tuple[str, bytes]] = []
        """The definition and content of each file that came."""
        self.begun: dict[str, tuple[object, str]] = {}
        self.uploads: dict[str, str] = {}

    def lines(self) -> bytes:
        """The difference of every import."""
        return b"".join(json.dumps(one).encode() + b"\n" for one in DIFFERENCE)

    def started(self, kind: str) -> list[dict[str, Any]]:
        """The processes of this kind."""
        with self.lock:
            return [one for one in self.processes.values() if one["type"] == kind]

    def process(self, kind: str, code: str = "") -> dict[str, Any]:
        """Begins a process."""
        process_id = f"process-{len(self.processes) + 1}"
        self.processes[process_id] = {
            "id": process_id,
            "type": kind,
            "dataSetDefinitionCode": DEFINITION,
            "dataSetCode": code,
            "startDateTime": "2026-11-26T07:00:00.000000Z",
            "endDateTime": None,
            "result": None,
            "progress": {"done": 0, "total": None},
            "outcome": {},
            "links": {},
            "looks": 0,
            "ends_as": self.result,
            "messages": list(self.messages),
        }
        return self.processes[process_id]

    def end(self, process: dict[str, Any]) -> None:
        """Ends a process."""
        process |= {"endDateTime": "2026-11-26T07:00:09Z", "result": process["ends_as"]}
        process["progress"] = {"done": 10, "total": 10}
        if process["type"] != "build":
            process["outcome"] = {"counts": COUNTS}

    def _route(self, request: ApiRequest) -> Answer:
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("PUT", "/dataexchange/datasetdefinition/([^/]+)/dataset", self._create),
            (
                "POST",
                "/dataexchange/createandexport/datasetdefinition/([^/]+)/dataset",
                self._create_and_build,
            ),
            ("POST", "/dataexchange/export/datasetdefinition/([^/]+)/dataset/([^/]+)", self._build),
            ("GET", "/dataexchange/export/datasetdefinition/([^/]+)/dataset/([^/]+)", self._get),
            (
                "PATCH",
                "/dataexchange/createandexport/datasetdefinition/dataset/([^/]+)",
                self._rebuild,
            ),
            ("GET", "/dataexchange/environment", self._environment),
            ("GET", "/dataexchange/datasets/([^/]+)/4.24.1.0.0", self._built),
            (
                "GET",
                "/dataexchange/datasets/fetchavailabledatasets/([^/]+)/([^/]+)",
                self._available,
            ),
            ("POST", "/dataexchange/uploads", self._upload),
            ("POST", "/dataexchange/import/datasetdefinition/([^/]+)", self._import_file),
            (
                "POST",
                "/dataexchange/import/datasetdefinition/([^/]+)/dataset/([^/]+)",
                self._import_from,
            ),
            ("POST", "/generic/audittraildetails/search", self._latest),
            ("GET", "/generic/datasetprocesses/([^/]+)", self._look),
            ("GET", "/generic/datasetprocesses/([^/]+)/messages", self._messages),
            ("GET", "/generic/datasetprocesses/([^/]+)/difference", self._difference),
            ("POST", "/generic/datasetprocesses/([^/]+)/undo", self._undo),
        )
        for method, pattern, handle in routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                try:
                    return handle(request, *match.groups())
                except ValidationError as error:
                    return problem(422, "validation_failed", str(error))
        return super()._route(request)

    def _create(self, request: ApiRequest, definition: str) -> Answer:
        asked = CreateDataSet.model_validate_json(request.body)
        if asked.code in self.data_sets:
            return problem(409, "data_set_exists", "There is a data set of this code already.")
        self.data_sets[asked.code] = asked.model_dump()
        made = {
            "id": "7",
            "code": asked.code,
            "description": asked.description,
            "dataSetDefinitionCode": definition,
            "numberOfItems": len(asked.wanted.selections),
            "creationDate": {"value": "2026-11-26T07:00:00Z"},
            "lastPayloadBuiltDateTime": None,
        }
        return Answer(201, made)

    def _create_and_build(self, request: ApiRequest, definition: str) -> Answer:
        asked = CreateDataSet.model_validate_json(request.body)
        if asked.code in self.data_sets and not self._known_key(request):
            return problem(409, "data_set_exists", "There is a data set of this code already.")
        self.data_sets[asked.code] = asked.model_dump()
        return self._begin(request, "build", asked.code, asked.model_dump())

    def _build(self, request: ApiRequest, definition: str, code: str) -> Answer:
        asked = StartBuild.model_validate_json(request.body)
        if code not in self.data_sets:
            said = f"Unknown combination of data set code {code} and data set definition code"
            return problem(404, "OHI-IP-DATA-001", f"{said} {definition}", severity="Fatal")
        return self._begin(request, "build", code, asked.model_dump())

    def _built(self, request: ApiRequest, definition: str) -> Answer:
        held = [{"code": code, "id": f"id-of-{code}"} for code in self.data_sets]
        return Answer(200, {"dataSetMetaDataRestEntities": held})

    def _rebuild(self, request: ApiRequest, data_set_id: str) -> Answer:
        asked = RebuildDataSet.model_validate_json(request.body)
        code = data_set_id.removeprefix("id-of-")
        self.data_sets[code] |= asked.model_dump(exclude_unset=True)
        return self._begin(request, "build", code, asked.model_dump())

    def _get(self, request: ApiRequest, definition: str, code: str) -> Answer:
        if code not in self.payloads:
            return Answer(204)
        if not self.linked:
            kind = {"Content-Type": "application/zip"}
            return Answer(200, None, kind, content=self.payloads[code])
        return self._signed(f"payloads/{definition}_{code}.zip", self.payloads[code])

    def _environment(self, request: ApiRequest) -> Answer:
        return Answer(200, {"identifier": "PRODUCTION", "version": "4.24.1.0.0"})

    def _available(self, request: ApiRequest, definition: str, version: str) -> Answer:
        moment = {"value": "2026-11-25T14:57:59Z"}
        built = {
            "code": "TEST_321",
            "description": "What is new",
            "env": "TEST",
            "url": "https://test.example.com/v1/dataexchange",
            "numberOfItems": 12,
            "lastPayloadBuiltDateTime": moment,
        }
        answered = {"hostName": "https://test.example.com/v1/dataexchange", "httpResponse": "200"}
        failed = {
            "hostName": "https://old.example.com/v1/dataexchange",
            "errorDetails": f"HTTP 409 Conflict of {definition} {version}",
        }
        half = {"hostName": "https://half.example.com/v1", "errorDetails": "HTTP 404 Not Found"}
        return Answer(
            200,
            {
                "dataSetMetaDataResponse": [
                    {"dataSetMetaDataRestEntities": [built], "dataSetMetaData": answered},
                    {"dataSetMetaData": failed},
                    {"dataSetMetaData": half},
                ]
            },
        )

    def _upload(self, request: ApiRequest) -> Answer:
        asked = PrepareUpload.model_validate_json(request.body)
        upload_id = f"{len(self.uploads):026d}"
        signature = str(uuid.uuid4())
        self.signatures.add(signature)
        self.uploads[upload_id] = f"uploads/{upload_id}.zip"
        url = f"{self.storage_url}/{self.uploads[upload_id]}?X-Amz-Signature={signature}"
        headers = {"Content-Length": str(asked.size), "x-amz-server-side-encryption": "aws:kms"}
        made = {"uploadId": upload_id, "method": "PUT", "url": url, "headers": headers}
        return Answer(201, made | {"expiresAt": "2126-11-26T08:00:00Z"})

    def _import_file(self, request: ApiRequest, definition: str) -> Answer:
        if request.headers["content-type"].startswith("multipart/form-data"):
            name, content, fields = _form(request)
            ImportForm.model_validate({**fields, "file": ""})
            what: object = [fields, hashlib.sha256(content).hexdigest()]
        else:
            asked = ImportUpload.model_validate_json(request.body)
            name = self.uploads.get(asked.upload_id, "")
            if name not in self.documents:
                return problem(404, "not_found", "There is no such upload.")
            content, what = self.documents[name], asked.model_dump()
        if not name.endswith(".zip"):
            said = "Import file must have a .zip extension"
            return problem(422, "GEN-MIGR-007", said, severity="Fatal")
        if not self._known_key(request):
            self.imported.append((definition, content))
        return self._begin(request, "import", "", what)

    def _import_from(self, request: ApiRequest, definition: str, code: str) -> Answer:
        asked = ImportFromEnvironment.model_validate_json(request.body)
        return self._begin(request, "import", code, asked.model_dump())

    def _undo(self, request: ApiRequest, process_id: str) -> Answer:
        if process_id not in self.processes:
            return problem(404, "not_found", "There is no such process.")
        asked = StartUndo.model_validate_json(request.body)
        return self._begin(request, "undo", "", [process_id, asked.model_dump()])

    def _known_key(self, request: ApiRequest) -> bool:
        return request.headers["idempotency-key"] in self.begun

    def _begin(self, request: ApiRequest, kind: str, code: str, what: object) -> Answer:
        key = request.headers["idempotency-key"]
        if key in self.begun:
            before, process_id = self.begun[key]
            if before != what:
                return problem(422, "idempotency_key_reused", "The key started another request.")
            return Answer(201, self._shown(self.processes[process_id]))
        running = [one["id"] for one in self.processes.values() if one["result"] is None]
        if running:
            refusal = "GEN-MIGR-008" if kind == "build" else "GEN-MIGR-009"
            said = f"It is not possible to start a new {kind} while another is in progress"
            members = {"severity": "Fatal", "blockingProcessId": running[0]}
            return problem(409, refusal, said, **members)
        process = self.process(kind, code)
        self.begun[key] = (what, process["id"])
        if kind == "build":
            self.payloads[code] = self.payload
        return Answer(201, self._shown(process))

    def _look(self, request: ApiRequest, process_id: str) -> Answer:
        process = self.processes.get(process_id)
        if process is None:
            return problem(404, "not_found", "There is no such process.")
        if process["result"] is None:
            process["looks"] += 1
            process["progress"] = {"done": process["looks"], "total": 10}
            if process["looks"] >= self.looks_until_done:
                self.end(process)
        return Answer(200, self._shown(process), {"Retry-After": "0"})

    def _latest(self, request: ApiRequest) -> Answer:
        newest = [self._shown(one) for one in reversed(self.processes.values())]
        limit = json.loads(request.body)["resource"]["limit"]
        return Answer(200, {"processes": newest[:limit], "items": [], "hasMore": False})

    def _messages(self, request: ApiRequest, process_id: str) -> Answer:
        number = int(request.query["currentPage"])
        told = self.processes[process_id]["messages"]
        shown = told[2 * number - 2 : 2 * number]  # so that the client has to turn pages
        page = {"messages": shown, "currentPage": number, "hasNextPage": len(told) > 2 * number}
        return Answer(200, page)

    def _difference(self, request: ApiRequest, process_id: str) -> Answer:
        if process_id not in self.processes:
            return problem(404, "not_found", "There is no such process.")
        if self.processes[process_id]["result"] is None:
            return Answer(204)
        if not self.linked:
            kind = {"Content-Type": "application/x-ndjson"}
            return Answer(200, None, kind, content=self.lines())
        return self._signed(f"{process_id}/difference.ndjson", self.lines())

    def _signed(self, name: str, content: bytes) -> Answer:
        signature = str(uuid.uuid4())
        self.signatures.add(signature)
        self.documents[name] = content
        url = f"{self.storage_url}/{name}?X-Amz-Signature={signature}"
        return Answer(303, None, {"Location": url})

    @staticmethod
    def _shown(process: Mapping[str, Any]) -> dict[str, Any]:
        ours = ("looks", "ends_as", "messages")
        return {name: value for name, value in process.items() if name not in ours}


def _form(request: ApiRequest) -> tuple[str, bytes, dict[str, str]]:
    """The file's name, its content, and the fields of a multipart form."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    parts = {
        str(part.get_param("name", header="content-disposition")): part
        for part in parsed.iter_parts()
    }
    file = parts.pop("file")
    fields = {name: str(part.get_content()).strip() for name, part in parts.items()}
    return str(file.get_filename()), bytes(file.get_content()), fields
