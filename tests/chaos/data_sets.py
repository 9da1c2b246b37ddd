"""Data sets while something goes wrong: builds, imports and undoings of one environment.

An environment of the tests' own, which is its own source: a tenant, a client of it, and a database
that is made anew for each travel. Before an import, or an undoing, records of the database are
changed, deleted and added, so that the import has several batches to write.
"""

import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any
from uuid import uuid4

import httpx

from headrace.datasets.definitions import Application, Definition, Table
from headrace.kernel.ids import OPERATION_ID
from local.postgresql import Server
from local.sample.comparing import records
from tests.chaos.journeys import Invariant
from tests.chaos.points import Point
from tests.chaos.proxy import Request
from tests.system.datasets.test_source_side import records as records_of
from tests.system.deployed import Integrator, Json, Platform
from tests.system.exports.test_webhooks import Receiver

DEFINITION = "PROVIDERS"
BATCHES = 3
"""In how many transactions ``CHANGES`` are imported, and undone."""

_CHANGES = """
UPDATE claims.tariffs SET amount = amount + 1;
UPDATE claims.providers SET name = name || ' here' WHERE id % 7 = {some};
DELETE FROM claims.tariffs WHERE id % 11 = {some};
DELETE FROM claims.provider_addresses WHERE id % 5 = {some};
INSERT INTO claims.tariffs (provider_id, procedure_code, valid_from, amount)
SELECT provider_id, 'HERE' || id, valid_from, 1 FROM claims.tariffs WHERE id % 13 = {some};
"""

_EXACT = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601';"
    "SET extra_float_digits = 1; SET bytea_output = 'hex';"
)

_MOST_STARTS = 30
_MOST_ATTEMPTS = 4

type Records = Mapping[str, Mapping[str, str]]
"""By table: the records' digests by their UUIDs."""


@dataclass(frozen=True)
class Environment:
    """An environment: its client, and the database of its application.

    ``pristine`` names a database that is like it, and stays so.
    """

    integrator: Integrator
    application: Application
    server: Server
    database: str
    pristine: str
    receiver: Receiver

    @property
    def tenant(self) -> str:
        """Whose environment it is."""
        return self.integrator.tenant

    @cached_property
    def definition(self) -> Definition:
        """What is carried."""
        found = self.application.definition(DEFINITION)
        assert found is not None
        return found

    def make_anew(self) -> None:
        """The database as it was at first; who still is in it is thrown out."""
        self.server.run(
            f"DROP DATABASE IF EXISTS {self.database} (FORCE);\n"
            f"CREATE DATABASE {self.database} TEMPLATE {self.pristine};",
            "postgres",
        )

    def change(self, chance: random.Random) -> None:
        """Changes, deletes and adds records."""
        self.server.run(_CHANGES.format(some=chance.randrange(5)), self.database)

    def records(self) -> Records:
        """What the database has of the definition."""
        return {
            table.name: records(self.server, self.database, self.definition, table)
            for table in self.definition.tables
        }

    def rows(self, table: Table) -> list[Json]:
        """A table's records as a payload is to have them, asked of the database itself."""
        values = ", ".join(f"'{name}', t.{name}::text" for name in table.columns)
        referred = ", ".join(
            f"'{one.column}', (SELECT r.{other.uuid_column} FROM {other.relation} r "
            f"WHERE r.{other.id_column} = t.{one.column})::text"
            for one in table.all_references
            for other in [self.definition.table(one.table_id)]
        )
        found = self.server.run(
            f"{_EXACT}\nSELECT json_build_object('uuid', t.{table.uuid_column}, "
            f"'values', json_build_object({values}), "
            f"'references', json_build_object({referred})) FROM {table.relation} t",
            self.database,
        )
        return [json.loads(line) for line in found.splitlines()]

    def items(self) -> dict[str, Json]:
        """All that is kept of the tenant's data sets but documents, by sort key, at one moment."""
        platform, start = self.integrator.platform, None
        items: dict[str, Json] = {}
        while True:
            reply = platform.aws("dynamodb").query(
                TableName=platform.outputs["DataSetsTableName"],
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": self.tenant}},
                ConsistentRead=True,
                **({"ExclusiveStartKey": start} if start else {}),
            )
            items |= {item["sk"]["S"]: item for item in reply["Items"]}
            start = reply.get("LastEvaluatedKey")
            if start is None:
                return items

    def objects(self) -> dict[str, int]:
        """The sizes of its documents, by their keys without the tenant."""
        platform, own = self.integrator.platform, f"{self.tenant}/"
        found = platform.sizes(own, "DataSetsBucketName")
        return {key.removeprefix(own): size for key, size in found.items()}

    def open_uploads(self) -> list[str]:
        """The keys of uploads that are neither completed nor aborted."""
        found = self.integrator.platform.uploads(f"{self.tenant}/", "DataSetsBucketName")
        return [one["Key"] for one in found]

    # --- what is done undisturbed -----------------------------------------------------------

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A call of its client's that succeeds."""
        reply = self.integrator.call(method, path, **options)
        assert reply.status_code < 400, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply

    def process(self, process_id: str) -> Json:
        """How a process stands."""
        process: Json = self.call("GET", f"/generic/datasetprocesses/{process_id}").json()
        return process

    def messages(self, process_id: str) -> list[Json]:
        """What a process has told."""
        path = f"/generic/datasetprocesses/{process_id}/messages"
        told: list[Json] = self.call("GET", path).json()["messages"]
        return told

    def done(self, path: str, body: Json, within: float = 120) -> Json:
        """A process that nothing disturbs, from its start to its success."""
        process_id = str(self.call("POST", path, json=body).json()["id"])
        deadline = time.monotonic() + within
        while True:
            process = self.process(process_id)
            if process["endDateTime"] is not None:
                assert process["result"] == "S", (process, self.messages(process_id))
                return process
            assert time.monotonic() < deadline, f"not within {within:g} s: {process}"
            time.sleep(0.3)

    def undo(self, process_id: str) -> Json:
        """Undoes an import."""
        return self.done(f"/generic/datasetprocesses/{process_id}/undo", {})

    def payload(self, code: str) -> dict[str, list[Json]]:
        """The records of a data set's payload, by table."""
        path = f"/dataexchange/export/datasetdefinition/{DEFINITION}/dataset/{code}"
        reply = self.integrator.call("GET", path, follow_redirects=True)
        assert reply.status_code == 200, reply.text
        return records_of(reply.content)

    def data_set(self, code: str) -> Json:
        """What is kept of a data set, in DynamoDB's notation."""
        return self.items()[f"SET#{DEFINITION}#{code}"]


@dataclass(frozen=True)
class Look:
    """How the process lay in the table, and whether it had the environment's lease."""

    running: bool
    leased: bool


@dataclass
class Carried:
    """Processes from their start to the notice of their end, as client and operator saw them."""

    environment: Environment
    code: str
    """Of the data set."""
    before: Records = field(default_factory=dict)
    """What the database had before the first process."""
    wanted: Records = field(default_factory=dict)
    """What it is to have after the last one."""
    undoes: str = ""
    """The import that is undone."""
    process_ids: list[str] = field(default_factory=list)
    """Several if the first ones failed."""
    ends: list[Json] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    notices: list[tuple[str, bytes]] = field(default_factory=list)
    """The webhook's ids and bodies."""

    @property
    def last(self) -> Json:
        """The process that succeeded, at its end."""
        return self.ends[-1]


@dataclass(frozen=True)
class CarryingTravel:
    """See ``Travel``: a client that starts the process until it has succeeded."""

    seen: Carried
    method: str
    path: str
    body: Json
    keys: list[str] = field(default_factory=list)
    """The idempotency keys of the processes so far."""

    def travel(self, within: float) -> None:
        """See ``Travel``."""
        seen, environment = self.seen, self.seen.environment
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            self.keys.append(str(uuid4()))
            process_id = self.start()
            seen.process_ids.append(process_id)
            self._until(partial(self._has_ended, process_id), within)
            ended = environment.process(process_id)
            seen.ends.append(ended)
            if ended["result"] == "S":
                break
            assert attempt < _MOST_ATTEMPTS, f"it failed {attempt} times: {ended}"
        self._until(self._is_told, within)
        seen.notices = [
            (headers["webhook-id"], body) for _, body, headers in environment.receiver.requests
        ]

    def start(self) -> str:
        """The process's id; the same however often it is asked for."""
        for _ in range(_MOST_STARTS):
            try:
                reply = self.seen.environment.integrator.call(
                    self.method,
                    self.path,
                    json=self.body,
                    headers={"Idempotency-Key": self.keys[-1]},
                )
            except httpx.TransportError:
                continue
            if reply.status_code < 500:
                assert reply.status_code == 201, reply.text
                return str(reply.json()["id"])
            time.sleep(0.5)
        raise AssertionError("it cannot be started")

    def again(self, request: Request) -> None:
        """See ``Travel``."""
        if not self.seen.process_ids:
            self.start()
            return
        platform = self.seen.environment.integrator.platform
        said = request.path + request.body.decode("latin-1")
        found = re.search(OPERATION_ID.pattern, said)
        process_id = self.seen.process_ids[-1]
        if found is not None and found[0] in self.seen.process_ids:
            process_id = found[0]
        platform.invoke(request.function, self._event(platform, process_id, request.function))

    # --- pieces -------------------------------------------------------------------------------

    def _event(self, platform: Platform, process_id: str, function: str) -> Json:
        """What the workflow gave the function, the last time that it came to it."""
        machine = platform.outputs["DataSetsStateMachineArn"]
        execution = machine.replace(":stateMachine:", ":execution:")
        history = platform.aws("stepfunctions").get_execution_history(
            executionArn=f"{execution}:{process_id}-1", reverseOrder=True, maxResults=1000
        )
        entered = next(
            one["stateEnteredEventDetails"]
            for one in history["events"]
            if one.get("stateEnteredEventDetails", {}).get("name") == function
        )
        event: Json = json.loads(entered["input"])
        return event

    def _has_ended(self, process_id: str) -> bool:
        items = self.seen.environment.items()
        running = "ended_at" not in items[f"PROCESS#{process_id}"]
        leased = items.get("LEASE", {}).get("process_id") == {"S": process_id}
        self.seen.looks.append(Look(running, leased))
        return not running

    def _is_told(self) -> bool:
        items = self.seen.environment.items()
        states = {items[f"NOTICE#{one}"]["state"]["S"] for one in self.seen.process_ids}
        return "pending" not in states

    def _until(self, holds: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline, f"not within {within:g} s: {self.seen.looks[-1:]}"
            time.sleep(0.5)


@dataclass(frozen=True)
class _Journey:
    """What the journeys share; see ``Journey``."""

    environment: Environment
    name: str
    points: Sequence[Point]
    at_once: Sequence[Invariant]
    settled: Sequence[Invariant]
    code: str
    jobs: int = BATCHES

    @property
    def mark(self) -> str:
        """See ``Journey``."""
        return self.environment.tenant

    def start_over(self) -> None:
        """See ``Journey``: waits until no process has the lease."""
        deadline = time.monotonic() + 120
        while "LEASE" in self.environment.items() and time.monotonic() < deadline:
            time.sleep(1)

    def open_uploads(self) -> list[str]:
        """See ``Journey``; and the processes that the sweeper has yet to see to."""
        items = self.environment.items().items()
        due = [sort for sort, item in items if item.get("due_shard") == {"S": "ended"}]
        return self.environment.open_uploads() + due

    def _began(self) -> Carried:
        self.environment.receiver.requests.clear()
        return Carried(self.environment, self.code)


@dataclass(frozen=True)
class BuildJourney(_Journey):
    """A full data set is built anew, with what is in the database then."""

    def begin(self, chance: random.Random) -> CarryingTravel:
        """See ``Journey``."""
        self.environment.make_anew()
        self.environment.change(chance)
        data_set_id = self.environment.data_set(self.code)["data_set_id"]["S"]
        path = f"/dataexchange/createandexport/datasetdefinition/dataset/{data_set_id}"
        return CarryingTravel(self._began(), "PATCH", path, {"description": "once more"})


@dataclass(frozen=True)
class ImportJourney(_Journey):
    """The data set, built of the database as it was, is fetched and imported."""

    def begin(self, chance: random.Random) -> CarryingTravel:
        """See ``Journey``."""
        self.environment.make_anew()
        wanted = self.environment.records()
        self.environment.change(chance)
        seen = replace(self._began(), before=self.environment.records(), wanted=wanted)
        return CarryingTravel(seen, "POST", *import_of(self.environment, self.code))


@dataclass(frozen=True)
class UndoJourney(_Journey):
    """An import is undone."""

    def begin(self, chance: random.Random) -> CarryingTravel:
        """See ``Journey``."""
        self.environment.make_anew()
        before = self.environment.records()
        self.environment.change(chance)
        wanted = self.environment.records()
        imported = self.environment.done(*import_of(self.environment, self.code))
        assert self.environment.records() == before
        self._told_of(imported["id"])
        seen = replace(self._began(), before=before, wanted=wanted, undoes=imported["id"])
        path = f"/generic/datasetprocesses/{imported['id']}/undo"
        return CarryingTravel(seen, "POST", path, {})

    def _told_of(self, process_id: str) -> None:
        deadline = time.monotonic() + 60
        while self.environment.items()[f"NOTICE#{process_id}"]["state"]["S"] == "pending":
            assert time.monotonic() < deadline, "the notice of the import"
            time.sleep(0.3)


def import_of(environment: Environment, code: str) -> tuple[str, Json]:
    """Where and how the import of a data set is asked for."""
    path = f"/dataexchange/import/datasetdefinition/{DEFINITION}/dataset/{code}"
    named = environment.call("GET", "/dataexchange/environment").json()["identifier"]
    return path, {"sourceEnvironment": named, "stopTaskProcessing": True}
