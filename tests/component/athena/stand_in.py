"""Athena and the workflow around it, as far as they can be had without an account.

What is real: the tasks and the states of the workflow, the rows' way through Parquet files in S3
(moto over HTTP) and DuckDB. What stands in: DuckDB runs the SELECT that Athena would be given, and
writes its rows where and as Athena documents it; a table of tables answers for Glue. Both are held
to botocore's models of the services.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import duckdb
import httpx
import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.validate import ParamValidator
from moto.server import ThreadedMotoServer

from headrace.adapters.athena.athena_tables import AthenaTables
from headrace.adapters.warehouse import engine
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.adapters.warehouse.duckdb_warehouse import DuckdbWarehouse
from headrace.exports import ending, planning, ranges
from headrace.exports.model import Limits, Operation
from headrace.exports.sources import ColumnType, Source, Table
from headrace.runtime import wiring
from tests.builders import a_configuration, a_table
from tests.fakes import FakeConfigurations
from tests.workflow import HANDLERS, Execution, TaskError, machine_with
from tests.world import BUCKET, REGION, World, create_tables

RECORDED = Path(__file__).with_name("recorded")
SOURCE = Source("lake", "athena", {"database": "hr", "workgroup": "exports"})
UNLOAD = "arn:Partition:states:::athena:startQueryExecution.sync"


def recorded(name: str) -> dict[str, Any]:
    """A recorded shape."""
    loaded: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return loaded


def glue_table(name: str, columns: dict[str, str], **partitions: str) -> dict[str, Any]:
    """A table as Glue is told of it, by names and Hive types."""
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": {"Columns": [{"Name": n, "Type": t} for n, t in columns.items()]},
        "PartitionKeys": [{"Name": n, "Type": t} for n, t in partitions.items()],
    }


def published(tables: AthenaTables, name: str, **changes: Any) -> Table:
    """A table of the source with all columns that can be carried, as it would be published."""
    columns = [c for c in tables.describe(SOURCE, f"hr.{name}") if c.type is not None]
    table = a_table(
        name,
        source=f"hr.{name}",
        columns=tuple(
            replace(
                a_table().columns[0],
                name=c.name,
                source=c.name,
                type=c.type or ColumnType.STRING,
                nullable=c.nullable,
                precision=c.precision,
                scale=c.scale,
            )
            for c in columns
        ),
        primary_key=(),
        row_estimate=0,
    )
    return replace(table, **changes)


def parameter_errors(request: dict[str, Any]) -> str:
    """What botocore's model of Athena finds wrong with a request to start a query."""
    service = get_session().get_service_model("athena")
    shape = service.operation_model("StartQueryExecution").input_shape
    assert shape is not None
    return str(ParamValidator().validate(request, shape).generate_report())


@dataclass
class Glue:
    """A data catalog with the database ``hr``."""

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def get_database(self, *, Name: str) -> dict[str, Any]:
        """The database."""
        self._known(Name == "hr")
        return self._shaped("GetDatabase", {"Database": {"Name": Name}})

    def get_table(self, *, DatabaseName: str, Name: str) -> dict[str, Any]:
        """A table."""
        self._known(DatabaseName == "hr" and Name in self.tables)
        return self._shaped("GetTable", {"Table": self.tables[Name]})

    def _known(self, known: bool) -> None:
        if not known:
            answer = {"Error": {"Code": "EntityNotFoundException", "Message": "not found"}}
            raise ClientError(cast("Any", answer), "Get")

    def _shaped(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        shape = get_session().get_service_model("glue").operation_model(operation).output_shape
        assert shape is not None
        assert ParamValidator().validate(answer, shape).generate_report() == ""
        return answer


@dataclass
class StandIn:
    """DuckDB in Athena's place, with the tables of the database ``hr``."""

    connection: duckdb.DuckDBPyConnection
    requests: list[dict[str, Any]] = field(default_factory=list)
    files: int = 2
    before_answer: Callable[[], None] = lambda: None
    failure: dict[str, Any] | None = None

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """Starts the query and waits for its end, as the integration does."""
        assert parameter_errors(request) == ""
        self.requests.append(request)
        select, _, rest = request["QueryString"].removeprefix("UNLOAD (").partition(") TO '")
        location, _, options = rest.partition("' ")
        assert options == "WITH (format = 'PARQUET', compression = 'ZSTD')"
        values = [
            (self.connection.execute(f"SELECT {literal}").fetchone() or (None,))[0]
            for literal in request["ExecutionParameters"]
        ]
        rows = self.connection.execute(select, values).to_arrow_table()
        if rows.num_rows:
            # Files of any number, none with a suffix, in no order of their own.
            for index in range(self.files):
                name = f"20260304_120000_00001_abcde_{9 - index}"
                share = (
                    f"FROM rows WHERE true QUALIFY row_number() OVER () % {self.files} = {index}"
                )
                self.connection.execute(
                    f"COPY ({share}) TO '{location}{name}' (FORMAT parquet, COMPRESSION zstd)"
                )
        self.before_answer()
        if self.failure is not None:
            raise TaskError(self.failure["Error"], self.failure["Cause"])
        return recorded("query_execution.json")


@dataclass
class Deployment:
    """A deployment whose one source is Athena's, and Athena's stand-in."""

    world: World
    tables: AthenaTables
    athena: StandIn
    glue: Glue

    def create(self, name: str, columns: dict[str, str], rows: str, **partitions: str) -> None:
        """A table of Glue's, with these rows (a SELECT) for the stand-in."""
        made = glue_table(name, columns, **partitions)
        self.glue.tables[name] = made
        self.athena.connection.execute(f"CREATE TABLE hr.{name} AS {rows}")

    def publish(self, *tables: Table) -> None:
        """A catalog with these tables."""
        configurations = self.world.configurations
        configurations.publish(replace(a_configuration(), source="lake", tables=tables))

    def run_job(self, operation: Operation, job_id: str) -> None:
        """The states of the job, as the workflow has them."""
        attempt = self.world.attempt(operation)
        execution = Execution({**HANDLERS, UNLOAD: self.athena})
        execution.run(
            machine_with("Unload"),
            {
                "tenant": attempt.tenant,
                "client_id": attempt.client_id,
                "operation_id": attempt.operation_id,
                "attempt": attempt.attempt,
                "job_id": job_id,
            },
        )

    def run(self, operation: Operation) -> Operation:
        """All of the workflow."""
        for job_id in self.world.plan(operation):
            self.run_job(operation, job_id)
        self.world.end(operation)
        self.world.workflows.executions[operation.execution_name] = False
        return self.world.status(operation)

    def exported(self, **asked: Any) -> bytes:
        """The one document of an export from start to end."""
        ended = self.run(self.world.start(**asked))
        [job] = ended.jobs
        assert job.failure is None
        assert job.key is not None
        return self.world.stored()[job.key]

    def staged(self) -> list[str]:
        """The keys of unloaded rows that lie in storage."""
        return [key for key in self.world.stored() if key.startswith("-staging/")]


@contextmanager
def deployed(monkeypatch: pytest.MonkeyPatch, limits: Limits | None = None) -> Iterator[Deployment]:
    """A fresh deployment over moto, reached over HTTP as DuckDB has a client of its own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    try:
        names = ("dynamodb", "s3", "kms")
        clients = {name: boto3.client(name, region_name=REGION) for name in names}  # type: ignore[call-overload]
        create_tables(clients["dynamodb"])
        place = {"LocationConstraint": REGION}
        clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        world = World(
            clients,
            clients["kms"].create_key()["KeyMetadata"]["Arn"],
            configurations=FakeConfigurations(origin=SOURCE),
            limits=limits or Limits(lease=timedelta(seconds=60)),
        )
        glue = Glue()
        tables = AthenaTables(lambda: glue, world.clock)
        duck = DuckdbWarehouse(least_range_bytes=1 if limits else 20 * 1024 * 1024)
        world.warehouse = cast("Any", WarehouseByKind({"athena": tables, "duckdb": duck}))
        connection = duckdb.connect()
        engine.allow_s3(connection)
        connection.execute("CREATE SCHEMA hr")
        yield _wired(monkeypatch, Deployment(world, tables, StandIn(connection), glue))
    finally:
        # The server's state is the process's: what is left behind would meet the next test.
        httpx.post(f"http://{host}:{port}/moto-api/reset")
        server.stop()


def _wired(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> Deployment:
    """The handlers' use cases are this deployment's."""
    world = deployment.world
    work, warehouse = world.extraction, world.warehouse
    use_cases = {
        "plan_unload": planning.PlanUnload(work, deployment.tables),
        "plan_job": planning.PlanJob(
            work, warehouse, world.changes, world.baselines, world.snapshots
        ),
        "export_range": ranges.ExportRange(
            work, warehouse, world.changes, world.upload, world.snapshots, world.slots
        ),
        "complete_job": ending.CompleteJob(work),
        "fail_job": ending.FailJob(work),
    }
    for name, use_case in use_cases.items():
        monkeypatch.setattr(wiring, name, lambda use_case=use_case: use_case)
    return deployment
