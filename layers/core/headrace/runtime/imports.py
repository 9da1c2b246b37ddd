"""The composition root of imports of data sets: from their start to their undoing."""

# ruff: noqa: PLC0415

from functools import cache
from typing import TYPE_CHECKING, Any

from headrace.adapters.dynamodb.environments import DynamoPauses
from headrace.adapters.dynamodb.table import Table
from headrace.kernel.ids import RandomIds
from headrace.runtime import datasets
from headrace.runtime.environments import applications, credentials, know_environment, others
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings

if TYPE_CHECKING:
    from headrace.adapters.postgresql.importing import PostgresqlTarget
    from headrace.adapters.postgresql.task_processing import PostgresqlTaskProcessing
    from headrace.adapters.s3.uploads import S3Uploads
    from headrace.datasets.audit_trail import SearchAuditTrail
    from headrace.datasets.ended_imports import GetDifference, StartUndo
    from headrace.datasets.fetching import FetchPayload
    from headrace.datasets.import_starts import (
        ImportFile,
        ImportFromEnvironment,
        ImportStarter,
        ImportUpload,
        PrepareUpload,
    )
    from headrace.datasets.importing import ImportDataSet
    from headrace.datasets.running import Ran
    from headrace.datasets.task_processing import (
        ControlTaskProcessing,
        PauseTaskProcessing,
        ResumeTaskProcessing,
    )
    from headrace.datasets.undoing import UndoImport


def _import_starter() -> "ImportStarter":
    from headrace.datasets.import_starts import ImportStarter

    return ImportStarter(
        know_environment(), datasets.processes(), datasets.runs(), clock(), RandomIds()
    )


def import_file() -> "ImportFile":
    """POST /dataexchange/import/datasetdefinition/… with a file."""
    from headrace.datasets.import_starts import ImportFile

    return ImportFile(_import_starter(), datasets.payloads())


@cache
def _uploads() -> "S3Uploads":
    from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
    from headrace.adapters.s3.uploads import S3Uploads

    keys = DynamoCatalogs(Table(client("dynamodb"), settings().catalog_table))
    return S3Uploads(
        client("s3"), settings().datasets_bucket, settings().files_key, keys.kms_key, clock()
    )


def import_upload() -> "ImportUpload":
    """The same with what was uploaded before."""
    from headrace.datasets.import_starts import ImportUpload

    return ImportUpload(_import_starter(), _uploads())


def prepare_upload() -> "PrepareUpload":
    """POST /dataexchange/uploads."""
    from headrace.datasets.import_starts import PrepareUpload

    return PrepareUpload(
        know_environment(), _uploads(), clock(), RandomIds(), settings().most_payload_bytes
    )


def import_from_environment() -> "ImportFromEnvironment":
    """POST /dataexchange/import/datasetdefinition/…/dataset/…"""
    from headrace.datasets.import_starts import ImportFromEnvironment

    return ImportFromEnvironment(_import_starter(), credentials())


def fetch_payload() -> "FetchPayload":
    """Task: fetches what another environment has built."""
    from headrace.datasets.fetching import FetchPayload

    return FetchPayload(
        know_environment(),
        credentials(),
        others(),
        datasets.processes(),
        datasets.payloads(),
        clock(),
        settings().most_payload_bytes,
    )


# --- background processing ------------------------------------------------------------------


def _tasks() -> "PostgresqlTaskProcessing":
    from headrace.adapters.postgresql.task_processing import PostgresqlTaskProcessing

    return PostgresqlTaskProcessing()


def _pauses() -> DynamoPauses:
    return DynamoPauses(datasets.table())


def control_task_processing() -> "ControlTaskProcessing":
    """GET and POST /taskprocessing."""
    from headrace.datasets.task_processing import ControlTaskProcessing

    return ControlTaskProcessing(applications(), _tasks(), _pauses())


def pause_task_processing() -> "PauseTaskProcessing":
    """Task: before an import."""
    import time

    from headrace.datasets.task_processing import PauseTaskProcessing

    return PauseTaskProcessing(
        applications(), datasets.processes(), _tasks(), _pauses(), clock(), time.sleep
    )


def resume_task_processing() -> "ResumeTaskProcessing":
    """Task: after an import."""
    from headrace.datasets.task_processing import ResumeTaskProcessing

    return ResumeTaskProcessing(applications(), datasets.processes(), _tasks(), _pauses())


def paused_answer(ran: "Ran") -> dict[str, Any]:
    """How it stands before an import, as its task answers it."""

    return {**datasets.as_answer(ran), "waits": bool(ran.outcome.get("waits"))}


# --- the audit log --------------------------------------------------------------------------


def search_audit_trail() -> "SearchAuditTrail":
    """POST /generic/audittraildetails/search."""
    from headrace.datasets.audit_trail import SearchAuditTrail

    return SearchAuditTrail(datasets.processes(), datasets.processes(), datasets.payloads())


# --- importing ------------------------------------------------------------------------------


def _target() -> "PostgresqlTarget":
    from headrace.adapters.postgresql.importing import PostgresqlTarget

    return PostgresqlTarget()


def import_data_set() -> "ImportDataSet":
    """Task: an import."""
    from headrace.adapters.payload.by_format import PayloadReaderByFormat
    from headrace.datasets.importing import ImportDataSet

    return ImportDataSet(
        applications(),
        datasets.processes(),
        datasets.payloads(),
        PayloadReaderByFormat(),
        _target(),
        clock(),
    )


def get_difference() -> "GetDifference":
    """GET /generic/datasetprocesses/{dataSetProcessId}/difference."""
    from headrace.datasets.ended_imports import GetDifference
    from headrace.runtime.api import MOST_INLINE_BYTES

    return GetDifference(datasets.processes(), datasets.payloads(), MOST_INLINE_BYTES)


def start_undo() -> "StartUndo":
    """POST /generic/datasetprocesses/{dataSetProcessId}/undo."""
    from headrace.datasets.ended_imports import StartUndo

    return StartUndo(_import_starter(), datasets.processes(), datasets.payloads())


def undo_import() -> "UndoImport":
    """Task: an undoing."""
    from headrace.datasets.undoing import UndoImport

    return UndoImport(applications(), datasets.processes(), datasets.payloads(), _target(), clock())
