"""The composition root of data sets, apart from ``wiring``: its functions load no more.

Each factory imports what it needs when it is first called: the functions of the API that only read
tables load neither psycopg nor the workers' code.
"""

# ruff: noqa: PLC0415

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from headrace.adapters.dynamodb.data_set_processes import (
    DynamoNotices,
    DynamoProcesses,
)
from headrace.adapters.dynamodb.data_sets import DynamoDataSets
from headrace.adapters.dynamodb.table import Table
from headrace.datasets import usecases
from headrace.datasets.model import Result
from headrace.datasets.running import Ran
from headrace.kernel.ids import RandomIds
from headrace.runtime.environments import applications, know_environment, properties
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings
from headrace.runtime.wiring import webhook_policy

if TYPE_CHECKING:
    from headrace.adapters.s3.data_sets import S3Payloads
    from headrace.adapters.stepfunctions.data_set_runs import StepFunctionsRuns
    from headrace.datasets.building import BuildDataSet
    from headrace.datasets.ending import EndProcess, NotifyEnd, SweepProcesses
    from headrace.datasets.ports import Items, PayloadWriter, SourceDatabase


@cache
def _catalog() -> Table:
    return Table(client("dynamodb"), settings().catalog_table)


@cache
def table() -> Table:
    """All that is kept of data sets but documents."""
    return Table(client("dynamodb"), settings().datasets_table)


@cache
def data_sets() -> DynamoDataSets:
    """The data sets."""
    return DynamoDataSets(table())


@cache
def processes() -> DynamoProcesses:
    """Builds, imports and undoings."""
    return DynamoProcesses(table(), clock())


@cache
def payloads() -> "S3Payloads":
    """Payloads, differences and undo sets."""
    from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
    from headrace.adapters.s3.data_sets import S3Payloads

    return S3Payloads(
        client("s3"),
        settings().datasets_bucket,
        settings().files_key,
        int(settings().link_lifetime.total_seconds()),
        DynamoCatalogs(_catalog()).kms_key,
    )


@cache
def items() -> "Items":
    """The items of data sets."""
    from headrace.adapters.s3.data_sets import S3Items

    return S3Items(payloads())


@cache
def source() -> "SourceDatabase":
    """The applications' databases, read."""
    from headrace.adapters.postgresql.application import PostgresqlApplication

    return PostgresqlApplication()


@cache
def writer() -> "PayloadWriter":
    """What makes payloads."""
    from headrace.adapters.payload.by_format import PayloadWriterByFormat

    return PayloadWriterByFormat()


@cache
def runs() -> "StepFunctionsRuns":
    """The executions of processes."""
    from headrace.adapters.stepfunctions.data_set_runs import StepFunctionsRuns
    from headrace.adapters.stepfunctions.executions import Executions

    machine = settings().datasets_state_machine
    return StepFunctionsRuns(Executions(client("stepfunctions"), machine))


@cache
def exchange() -> usecases.Exchange:
    """What the calls share."""
    return usecases.Exchange(know_environment(), data_sets(), processes(), clock())


def _starter() -> usecases.Starter:
    return usecases.Starter(exchange(), runs(), RandomIds())


def create_data_set() -> usecases.CreateDataSet:
    """PUT /dataexchange/datasetdefinition/{dataSetDefinitionCode}/dataset."""
    return usecases.CreateDataSet(exchange(), items(), source(), RandomIds())


def create_and_build() -> usecases.CreateAndBuild:
    """POST /dataexchange/createandexport/datasetdefinition/{dataSetDefinitionCode}/dataset."""
    return usecases.CreateAndBuild(exchange(), source(), _starter())


def rebuild_data_set() -> usecases.RebuildDataSet:
    """PATCH /dataexchange/createandexport/datasetdefinition/dataset/{dataSetId}."""
    return usecases.RebuildDataSet(exchange(), _starter())


def start_build() -> usecases.StartBuild:
    """POST …/export/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}."""
    return usecases.StartBuild(exchange(), _starter())


def get_payload() -> usecases.GetPayload:
    """GET …/export/datasetdefinition/{dataSetDefinitionCode}/dataset/{dataSetCode}."""
    from headrace.runtime.api import MOST_INLINE_BYTES

    return usecases.GetPayload(exchange(), payloads(), MOST_INLINE_BYTES)


def get_data_set_process() -> usecases.GetProcess:
    """GET /generic/datasetprocesses/{dataSetProcessId}."""
    return usecases.GetProcess(processes())


def list_data_set_messages() -> usecases.ListMessages:
    """GET /generic/datasetprocesses/{dataSetProcessId}/messages."""
    return usecases.ListMessages(processes())


# --- the workflow ---------------------------------------------------------------------------


def build_data_set() -> "BuildDataSet":
    """Task of a build."""
    from headrace.datasets.building import BuildDataSet

    return BuildDataSet(
        applications(),
        know_environment(),
        data_sets(),
        items(),
        processes(),
        source(),
        writer(),
        payloads(),
        clock(),
        RandomIds(),
    )


def end_data_set_process() -> "EndProcess":
    """The task that ends a process."""
    from headrace.datasets.ending import EndProcess

    return EndProcess(processes(), clock())


def notify_data_set_process() -> "NotifyEnd":
    """The task that tells the end of a process."""
    import random

    from headrace.adapters.dynamodb.webhook_secrets import DynamoWebhookSecrets
    from headrace.adapters.http.outbound import Poster
    from headrace.adapters.kms.seal import KmsSeal
    from headrace.datasets.ending import NotifyEnd

    secrets = Table(client("dynamodb"), settings().webhook_secrets_table)
    return NotifyEnd(
        processes(),
        DynamoNotices(table()),
        properties(),
        DynamoWebhookSecrets(secrets, KmsSeal(client("kms"), settings().webhook_key)),
        Poster(webhook_policy(settings().webhook_networks), "application/xml"),
        clock(),
        random.random,
    )


def sweep_data_sets() -> "SweepProcesses":
    """The scheduled sweep."""
    from headrace.adapters.dynamodb.data_set_processes import DynamoDueProcesses
    from headrace.datasets.ending import SweepProcesses
    from headrace.datasets.tidying import TidyProcess

    due = DynamoDueProcesses(table())
    tidy = TidyProcess(processes(), data_sets(), items(), payloads())
    notices = DynamoNotices(table())
    return SweepProcesses(processes(), processes(), notices, due, runs(), tidy, clock())


# --- what passes between the workflow's states ----------------------------------------------

_SENTENCES = {
    "SourceUnavailable": "the application's database could not be read; try again later",
    "SourceChanged": "the application's database changed meanwhile; try again",
    "FileUnavailable": "the storage could not be read or written; try again later",
    "FileExpired": "a file that was needed is not stored any more",
    "Unavailable": "a service that the work needs did not answer; try again later",
    "ValueNotExportable": "a record cannot be carried: it has no UUID, or is too large",
    "ValidationFailed": "what was asked for does not fit the data set definition any more",
    "States.Timeout": "the work took longer than it may",
    "Sandbox.Timedout": "the work took longer than it may",
}


def as_answer(ran: Ran) -> dict[str, Any]:
    """How far a worker came, as its task answers it; ``more``: another one is to go on."""
    if ran.result is None:
        return {"more": True}
    return {"more": False, "result": str(ran.result), "left": dict(ran.outcome)}


def ran_of(event: Mapping[str, Any]) -> tuple[Ran, str]:
    """How far the worker came, and why it did not come further, from what the workflow has of it:
    its answer, or the error that it ended with. No internals are told."""
    if error := event.get("error"):
        sentence = _SENTENCES.get(str(error.get("Error", "")), "the work did not come to an end")
        return Ran(None), sentence
    work = event["work"]
    return Ran(Result(work["result"]), work["left"]), ""
