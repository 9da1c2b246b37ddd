"""The composition root of exports: use cases with their ports answered by real parts.

Each factory imports what it needs when it is first called, so a function loads no more than its
own work takes: those of the API neither DuckDB nor the workers' code.
"""

# ruff: noqa: PLC0415

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from headrace.exports import usecases
from headrace.kernel.ids import RandomIds
from headrace.runtime.instance import client, clock
from headrace.runtime.settings import settings

if TYPE_CHECKING:
    from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
    from headrace.adapters.dynamodb.deliveries import DynamoDeliveries
    from headrace.adapters.dynamodb.operations import DynamoOperations
    from headrace.adapters.dynamodb.schedules import DynamoScheduleRuns
    from headrace.adapters.http.outbound import Network, OutboundPolicy
    from headrace.adapters.s3.files import S3Files
    from headrace.adapters.stepfunctions.workflows import (
        StepFunctionsDeliveries,
        StepFunctionsWorkflows,
    )
    from headrace.adapters.warehouse.by_kind import WarehouseByKind
    from headrace.exports import (
        delivering,
        ending,
        extraction,
        holding,
        increments,
        planning,
        ranges,
        scheduling,
        sweeping,
        watching,
    )
    from headrace.exports.ports import AccountLists, Baselines, Configurations, Sharing
    from headrace.exports.row_access import RowAccess
    from headrace.exports.slots import Slots
    from headrace.exports.snapshots import Snapshots
    from headrace.exports.warehouses import Changes, Unloads, Warehouse


@cache
def _catalogs() -> "DynamoCatalogs":
    from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
    from headrace.adapters.dynamodb.table import Table

    return DynamoCatalogs(Table(client("dynamodb"), settings().catalog_table))


def configurations() -> "Configurations":
    """The published catalog, as exports read it."""
    return _catalogs()


@cache
def operations() -> "DynamoOperations":
    """Operations, locks and quotas."""
    from headrace.adapters.dynamodb.operations import DynamoOperations
    from headrace.adapters.dynamodb.table import Table

    table = Table(client("dynamodb"), settings().operations_table)
    return DynamoOperations(table, settings().limits.lease)


@cache
def sharing() -> "Sharing":
    """Whose rows a service may see."""
    from headrace.adapters.dynamodb.services import CatalogServices
    from headrace.adapters.dynamodb.sharing import DynamoSharing
    from headrace.adapters.dynamodb.table import Table

    consents = Table(client("dynamodb"), settings().consents_table)
    catalog = Table(client("dynamodb"), settings().catalog_table)
    return DynamoSharing(consents, CatalogServices(catalog), clock())


@cache
def files() -> "S3Files":
    """The documents."""
    from headrace.adapters.s3.files import S3Files

    return S3Files(
        client("s3"), settings().files_bucket, settings().files_key, settings().link_lifetime
    )


@cache
def _account_lists() -> "AccountLists":
    from headrace.adapters.s3.account_lists import S3AccountLists

    return S3AccountLists(client("s3"), settings().files_bucket, settings().files_key)


def _access() -> "RowAccess":
    from headrace.exports.row_access import RowAccess

    return RowAccess(sharing(), _account_lists(), clock())


@cache
def workflows() -> "StepFunctionsWorkflows":
    """The export workflow."""
    from headrace.adapters.stepfunctions.executions import Executions
    from headrace.adapters.stepfunctions.workflows import StepFunctionsWorkflows

    return StepFunctionsWorkflows(Executions(client("stepfunctions"), settings().state_machine))


@cache
def delivery_runs() -> "StepFunctionsDeliveries":
    """The workflow that delivers webhooks."""
    from headrace.adapters.stepfunctions.executions import Executions
    from headrace.adapters.stepfunctions.workflows import StepFunctionsDeliveries

    machine = settings().delivery_state_machine
    return StepFunctionsDeliveries(Executions(client("stepfunctions"), machine))


@cache
def deliveries() -> "DynamoDeliveries":
    """The outbox of webhooks."""
    from headrace.adapters.dynamodb.deliveries import DynamoDeliveries
    from headrace.adapters.dynamodb.table import Table

    table = Table(client("dynamodb"), settings().operations_table)
    return DynamoDeliveries(table, settings().limits.lease)


def webhook_policy(networks: "Sequence[Network]") -> "OutboundPolicy":
    """Where webhooks may go: to the Internet and these networks; by http to loopback only."""
    from headrace.adapters.http.outbound import OutboundPolicy

    return OutboundPolicy.within(networks, seconds=15)


def deliver_webhook() -> "delivering.DeliverWebhook":
    """Task of the workflow of deliveries."""
    import random

    from headrace.adapters.dynamodb.table import Table
    from headrace.adapters.dynamodb.webhook_secrets import DynamoWebhookSecrets
    from headrace.adapters.http.outbound import Poster
    from headrace.adapters.kms.seal import KmsSeal
    from headrace.exports.delivering import DeliverWebhook

    table = Table(client("dynamodb"), settings().webhook_secrets_table)
    return DeliverWebhook(
        deliveries(),
        configurations(),
        DynamoWebhookSecrets(table, KmsSeal(client("kms"), settings().webhook_key)),
        Poster(webhook_policy(settings().webhook_networks)),
        clock(),
        random.random,
    )


@cache
def _sources() -> "WarehouseByKind":
    from headrace.adapters.warehouse.by_kind import WarehouseByKind

    return WarehouseByKind()


def warehouse() -> "Warehouse":
    """The sources."""
    return _sources()


def watch_sources() -> "watching.WatchSources":
    """The scheduled look at the sources."""
    from headrace.exports.watching import WatchSources

    return WatchSources(_catalogs(), _sources(), clock())


@cache
def changes() -> "Changes":
    """What changed in the sources."""
    from headrace.adapters.warehouse.by_kind import ChangesByKind

    return ChangesByKind()


@cache
def unloads() -> "Unloads":
    """Sources whose own engine leaves the rows in the files bucket."""
    from headrace.adapters.athena.athena_tables import AthenaTables

    return AthenaTables(lambda: client("glue"), clock())


def export() -> usecases.Export:
    """What the API's use cases share."""
    return usecases.Export(configurations(), operations(), clock())


def describe_tables() -> usecases.DescribeTables:
    """GET metadata."""
    return usecases.DescribeTables(configurations())


def start_export() -> usecases.StartExport:
    """POST fulldata."""
    return usecases.StartExport(export(), _starter())


def _starter() -> usecases.Starter:
    return usecases.Starter(export(), RandomIds(), workflows())


@cache
def baselines() -> "Baselines":
    """The versions that clients' data has come to."""
    from headrace.adapters.dynamodb.baselines import DynamoBaselines
    from headrace.adapters.dynamodb.table import Table

    return DynamoBaselines(Table(client("dynamodb"), settings().operations_table))


def _increments() -> "increments.Increments":
    from headrace.exports.increments import Increments

    return Increments(export(), baselines(), changes())


def get_sync_version() -> "increments.GetSyncVersion":
    """GET syncversion."""
    from headrace.exports.increments import GetSyncVersion

    return GetSyncVersion(_increments())


def start_increment() -> "increments.StartIncrement":
    """POST incrementals."""
    from headrace.exports.increments import StartIncrement

    return StartIncrement(_increments(), _starter())


def get_export() -> usecases.GetExport:
    """GET status."""
    return usecases.GetExport(export())


def list_exports() -> usecases.ListExports:
    """GET operations."""
    return usecases.ListExports(export())


def retry_export() -> usecases.RetryExport:
    """PUT retry."""
    return usecases.RetryExport(export(), workflows())


def cancel_export() -> usecases.CancelExport:
    """POST cancel."""
    return usecases.CancelExport(export(), workflows(), files(), delivery_runs(), settings().limits)


def delete_export() -> usecases.DeleteExport:
    """DELETE."""
    return usecases.DeleteExport(export(), files())


def download_job() -> usecases.DownloadJob:
    """GET job."""
    return usecases.DownloadJob(export(), files(), _access())


def get_manifest() -> usecases.GetManifest:
    """GET manifest."""
    return usecases.GetManifest(export(), _access())


def _extraction() -> "extraction.Extraction":
    from headrace.exports.extraction import Extraction

    return Extraction(
        configurations(), operations(), files(), clock(), settings().limits, _access()
    )


def slots() -> "Slots":
    """Turns at sources that not everybody may read from at once."""
    from headrace.adapters.dynamodb.source_slots import DynamoSourceSlots
    from headrace.adapters.dynamodb.table import Table
    from headrace.exports.slots import Slots

    table = Table(client("dynamodb"), settings().operations_table)
    return Slots(DynamoSourceSlots(table), clock())


def _snapshots() -> "Snapshots":
    from headrace.exports.snapshots import Snapshots

    return Snapshots(operations(), clock())


def plan_export() -> "planning.PlanExport":
    """Task of the workflow."""
    from headrace.exports.planning import PlanExport

    return PlanExport(_extraction(), warehouse())


def plan_unload() -> "planning.PlanUnload":
    """Task of the workflow, of sources that workers cannot read."""
    from headrace.exports.planning import PlanUnload

    return PlanUnload(_extraction(), unloads())


def plan_job() -> "planning.PlanJob":
    """Task of the workflow."""
    from headrace.exports.planning import PlanJob

    return PlanJob(_extraction(), warehouse(), changes(), baselines(), _snapshots())


def export_range() -> "ranges.ExportRange":
    """Task of the workflow."""
    from headrace.adapters.s3.part_upload import S3PartUploads
    from headrace.exports.ranges import ExportRange

    upload = S3PartUploads(client("s3"), settings().files_bucket, settings().limits.part_bytes)
    return ExportRange(_extraction(), warehouse(), changes(), upload, _snapshots(), slots())


def hold_snapshot() -> "holding.HoldSnapshot":
    """Task of the workflow, of sources that keep no versions."""
    from headrace.exports.holding import HoldSnapshot

    return HoldSnapshot(_extraction(), warehouse())


def complete_job() -> "ending.CompleteJob":
    """Task of the workflow."""
    from headrace.exports.ending import CompleteJob

    return CompleteJob(_extraction())


def fail_job() -> "ending.FailJob":
    """Task of the workflow."""
    from headrace.exports.ending import FailJob

    return FailJob(_extraction())


def end_export() -> "ending.EndExport":
    """Task of the workflow."""
    from headrace.exports.ending import EndExport

    return EndExport(_extraction(), delivery_runs())


def sweep() -> "sweeping.Sweep":
    """The scheduled sweep."""
    from headrace.adapters.dynamodb.deliveries import DynamoDueDeliveries
    from headrace.adapters.dynamodb.operations import DynamoDueOperations
    from headrace.adapters.dynamodb.table import Table
    from headrace.exports.outbox import SweepDeliveries
    from headrace.exports.sweeping import Sweep

    table = Table(client("dynamodb"), settings().operations_table)
    sweep_deliveries = SweepDeliveries(deliveries(), delivery_runs(), DynamoDueDeliveries(table))
    return Sweep(_extraction(), workflows(), DynamoDueOperations(table), sweep_deliveries)


def _schedule_runs() -> "DynamoScheduleRuns":
    from headrace.adapters.dynamodb.schedules import DynamoScheduleRuns
    from headrace.adapters.dynamodb.table import Table

    return DynamoScheduleRuns(Table(client("dynamodb"), settings().operations_table))


def list_schedules() -> "scheduling.ListSchedules":
    """GET schedules."""
    from headrace.exports.scheduling import ListSchedules

    return ListSchedules(_catalogs(), _schedule_runs(), clock())


def run_schedules() -> "scheduling.RunSchedules":
    """The look at the schedules, every minute."""
    from headrace.exports.scheduling import RunSchedules
    from headrace.runtime.auditing import record_scheduled_start

    return RunSchedules(
        export(),
        _catalogs(),
        _schedule_runs(),
        baselines(),
        start_export(),
        start_increment,
        record_scheduled_start,
        settings().public_base_url,
    )
