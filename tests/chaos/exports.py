"""Exports while something goes wrong: an operation of one client, from start to webhook.

An ``Export`` says what is exported and how its documents are judged; ``ExportTravel`` is what any
client does. It starts with an idempotency key and starts again where no answer came, asks how the
operation stands until it has ended, retries one that failed, and takes what there is.
"""

import hashlib
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import httpx

from headrace.kernel.ids import OPERATION_ID
from tests.chaos.journeys import Invariant
from tests.chaos.points import EXPORT, Point
from tests.chaos.proxy import Request
from tests.system.conftest import NORTHWIND
from tests.system.deployed import ACTIVE, Integrator, Json, Platform
from tests.system.exports import columns, rows
from tests.system.exports.ledgers import Copy, Ledger
from tests.system.exports.test_webhooks import Receiver

_MOST_STARTS = 30
_MOST_ATTEMPTS = 4


class Export(Protocol):
    """An operation to be had again and again."""

    name: str
    client: Integrator
    path: str
    """Of the API, where it is started."""
    jobs: int
    """How many jobs it has."""

    def body(self, chance: random.Random) -> Json:
        """What is asked for; whatever has to be there before, is then."""
        ...

    def check(self, manifest: Json, documents: Mapping[str, bytes]) -> None:
        """Fails unless the documents, by table, hold the rows of the version's snapshot."""
        ...

    def forget(self) -> None:
        """Goes on from nothing: what was had so far may be wrong."""
        ...


@dataclass
class FullExport:
    """Two tables of the sample's lake, the one small, the other in several parts."""

    client: Integrator
    warehouse: Path
    name: str = "full export"
    path: str = "/data/v1/fulldata"
    jobs: int = 2
    _known: set[str] = field(default_factory=set)
    """Digests of documents whose rows were compared already: equal bytes are equal rows."""

    def body(self, chance: random.Random) -> Json:
        """See ``Export``."""
        return {"fileFormat": "csv", "compression": "gzip"}

    def check(self, manifest: Json, documents: Mapping[str, bytes]) -> None:
        """See ``Export``."""
        assert set(documents) == {"employees", "payslips"}
        version = manifest["syncVersion"]
        for table, document in documents.items():
            digest = f"{table} {version} {hashlib.sha256(document).hexdigest()}"
            if digest in self._known:
                continue
            if table == "payslips":
                expected = columns.in_source(self.warehouse, version, NORTHWIND)
                columns.assert_same(columns.in_document(document, "csv", "gzip"), expected)
            else:
                rows.assert_same_rows(
                    rows.EMPLOYEES.in_document(document, "csv", "gzip"),
                    rows.EMPLOYEES.in_source(self.warehouse, version, NORTHWIND),
                    rows.EMPLOYEES.names,
                )
            self._known.add(digest)

    def forget(self) -> None:
        """See ``Export``."""
        self._known.clear()


@dataclass
class Increment:
    """What changed in a ledger since the copy was last brought up to date."""

    client: Integrator
    ledger: Ledger
    name: str
    copy: Copy = field(default_factory=Copy)
    path: str = "/data/v1/incrementals"
    jobs: int = 1

    def body(self, chance: random.Random) -> Json:
        """See ``Export``."""
        if not self.copy.version:
            done = self.client.export(fileFormat="ndjson")
            manifest = self.client.manifest(done["operationId"])
            self.copy.replace(
                self.client.document(done["jobs"][0]["jobId"]), manifest["syncVersion"]
            )
        self.ledger.write(chance, 4)
        return {"fileFormat": "ndjson", "syncVersion": self.copy.version}

    def check(self, manifest: Json, documents: Mapping[str, bytes]) -> None:
        """See ``Export``: the changes, applied to the copy, make it what the ledger is."""
        self.copy.apply(documents["ledger"], manifest["syncVersion"])
        assert self.copy.holds() == self.ledger.rows()

    def forget(self) -> None:
        """See ``Export``."""
        self.copy = Copy()


@dataclass(frozen=True)
class Look:
    """The operation's state, whether the client's lock is held, and whether it is the baseline."""

    status: str
    locked: bool
    baseline: bool


@dataclass
class Travelled:
    """An operation from its start to its last webhook, as its client and an operator saw it."""

    export: Export
    before: Json
    """How much of the quota was used before it."""
    key: str = field(default_factory=lambda: str(uuid4()))
    body: Json = field(default_factory=dict)
    operation_id: str = ""
    ends: list[tuple[float, Json]] = field(default_factory=list)
    """When each attempt was seen to have ended, and how (monotonic seconds)."""
    looks: list["Look"] = field(default_factory=list)
    """How it lay in the table, again and again."""
    offered: list[str | None] = field(default_factory=list)
    """The version that the manifest offered when an attempt had failed."""
    deliveries: list[Json] = field(default_factory=list)
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    """The webhook's ids and bodies."""

    @property
    def last(self) -> Json:
        """The operation as it has ended."""
        return self.ends[-1][1]


@dataclass(frozen=True)
class ExportTravel:
    """See ``Travel``: a client on its way."""

    platform: Platform
    seen: Travelled
    receiver: Receiver

    @property
    def _client(self) -> Integrator:
        return self.seen.export.client

    def travel(self, within: float) -> None:
        """From the start to the last webhook. Fails if either takes longer than ``within``."""
        travelled = self.seen
        travelled.operation_id = self.start()
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            ended = self._until(lambda seen: seen["status"] not in ACTIVE, within)
            travelled.ends.append((time.monotonic(), ended))
            if ended["status"] == "succeeded":
                break
            assert attempt < _MOST_ATTEMPTS, f"it failed {attempt} times: {ended}"
            manifest = self._client.manifest(travelled.operation_id)
            travelled.offered.append(manifest["syncVersion"])
            self._retry()
        told = self._until(
            lambda seen: all(one["state"] != "pending" for one in seen["deliveries"]), within
        )
        travelled.deliveries = told["deliveries"]
        travelled.messages = [
            (headers["webhook-id"], body) for _, body, headers in self.receiver.requests
        ]

    def start(self) -> str:
        """The operation's id; the same however often it is asked for."""
        for _ in range(_MOST_STARTS):
            try:
                reply = self._client.call(
                    "POST",
                    self.seen.export.path,
                    json=self.seen.body,
                    headers={"Idempotency-Key": self.seen.key},
                )
            except httpx.TransportError:
                continue
            if reply.status_code < 500:
                assert reply.status_code == 202, reply.text
                return str(reply.json()["operationId"])
            time.sleep(0.5)
        raise AssertionError("it cannot be started")

    def again(self, request: Request) -> None:
        """Invokes the function again with the event that it made this request for."""
        if request.function.startswith("Start"):
            self.start()
            return
        said = request.path + request.body.decode("latin-1")
        job = re.search(rf"{OPERATION_ID.pattern}-[0-9]{{4}}", said)
        operation = re.search(OPERATION_ID.pattern, said)
        assert operation is not None, said
        operation_id = operation[0]
        items = self._client.items()
        event: Json = {
            "tenant": self._client.tenant,
            "client_id": self._client.client_id,
            "operation_id": operation_id,
            "attempt": int(items[f"operation#{operation_id}"]["attempt"]["N"]),
        }
        if request.function == "DeliverWebhook":
            event["run"] = 1
        if job is not None:
            event["job_id"] = job[0]
            kept = items.get(f"job#{job[0]}")
            event["job_attempt"] = int(kept["attempt"]["N"]) if kept else 1
            event["range"] = 0
        self.platform.invoke(request.function, event)

    # --- pieces -------------------------------------------------------------------------------

    def _retry(self) -> None:
        path = f"{self.seen.export.path}/{self.seen.operation_id}/retry"
        reply = self._client.call("PUT", path)
        assert reply.status_code == 202, reply.text

    def _until(self, holds: Callable[[Json], bool], within: float) -> Json:
        of = self.seen.export.path.rpartition("/")[2]
        deadline = time.monotonic() + within
        while True:
            self._look()
            seen = self._client.status(self.seen.operation_id, of)
            if holds(seen):
                return seen
            assert time.monotonic() < deadline, f"not within {within:g} s: {seen}"
            time.sleep(0.5)

    def _look(self) -> None:
        items, own = self._client.items(), self.seen.operation_id
        baselines = [item for sort, item in items.items() if sort.startswith("baseline#")]
        self.seen.looks.append(
            Look(
                items[f"operation#{own}"]["status"]["S"],
                "lock" in items,
                any(item.get("operation_id") == {"S": own} for item in baselines),
            )
        )


@dataclass(frozen=True)
class ExportJourney:
    """See ``Journey``."""

    platform: Platform
    export: Export
    receiver: Receiver
    at_once: Sequence[Invariant]
    settled: Sequence[Invariant]
    points: Sequence[Point] = EXPORT

    @property
    def name(self) -> str:
        """See ``Journey``."""
        return self.export.name

    @property
    def mark(self) -> str:
        """See ``Journey``."""
        return self.export.client.client_id

    @property
    def jobs(self) -> int:
        """See ``Journey``."""
        return self.export.jobs

    def begin(self, chance: random.Random) -> ExportTravel:
        """See ``Journey``."""
        body = {**self.export.body(chance), "webhook": "hooks"}
        before = {"used": self.export.client.quota()["used"]}
        self.receiver.requests.clear()
        return ExportTravel(self.platform, Travelled(self.export, before, body=body), self.receiver)

    def start_over(self) -> None:
        """See ``Journey``."""
        self.export.forget()
        client = self.export.client
        lock = client.items().get("lock")
        if lock is not None:
            client.call("POST", f"{self.export.path}/{lock['operation_id']['S']}/cancel")

    def open_uploads(self) -> list[str]:
        """See ``Journey``."""
        return [one["Key"] for one in self.platform.uploads(self.export.client.prefix)]
