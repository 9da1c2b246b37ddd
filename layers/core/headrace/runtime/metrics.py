"""What operators watch: metrics as lines of the log, in CloudWatch's embedded metric format.

A line costs no call: CloudWatch makes metrics of the lines that functions print
(docs/decisions/0052). Dimensions are ids of the catalog's; nothing of a caller's goes in.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.runtime.settings import settings

_BY_PRODUCT = (("Product",),)
_OF_ALL = ((), ("Product",))
_BY_TENANT = (("Product",), ("Product", "Tenant"))
_BY_SOURCE = (("Product",), ("Product", "Source"))


@dataclass(frozen=True)
class Metric:
    """``unit``: one of CloudWatch's. ``by``: the sets of dimensions that it is kept for."""

    name: str
    unit: str
    by: tuple[tuple[str, ...], ...]

    def sets(self, dimensions: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
        """Those that it is kept for of which all dimensions are given."""
        return tuple(one for one in self.by if dimensions.keys() >= set(one))


OPERATIONS_ENDED = Metric("OperationsEnded", "Count", _BY_PRODUCT)
"""Operations and processes that came to an end, whatever it was."""
OPERATIONS_FAILED = Metric("OperationsFailed", "Count", _BY_TENANT)
"""Of each that ended 1 or 0: the average is the rate."""
ROWS_EXPORTED = Metric("RowsExported", "Count", _BY_PRODUCT)
BYTES_EXPORTED = Metric("BytesExported", "Bytes", _BY_TENANT)
"""Of documents, as they lie in storage."""
GIGABYTE_SECONDS = Metric("GigabyteSeconds", "None", _BY_TENANT)
"""What AWS bills of workflows' tasks; calls of the API are not in it, nor are cold starts."""
QUOTA_REFUSALS = Metric("QuotaRefusals", "Count", _BY_TENANT)
STUCK_OPERATIONS = Metric("StuckOperations", "Count", _BY_PRODUCT)
"""Of a sweep: those whose workflow was gone, and those it could not look at."""
SWEEPER_LAG = Metric("SweeperLagSeconds", "Seconds", _BY_PRODUCT)
"""Of a sweep: how long ago the oldest that it found was due; 0 if nothing was."""
SOURCE_AGE = Metric("SourceAgeSeconds", "Seconds", (("Product", "Source"),))
"""How old the newest data of a source is, where it can tell."""
SOURCE_LAG = Metric("SourceLagSeconds", "Seconds", _BY_SOURCE)
"""How far a source is behind what it follows, or what the catalog expects of it."""
SOURCES_UNREACHABLE = Metric("SourcesUnreachable", "Count", _BY_PRODUCT)
"""Of a look at the sources, those that did not answer."""
EXPORTS_MISSED = Metric("ScheduledExportsMissed", "Count", _BY_PRODUCT)
"""Runs of recurring exports that were not started in time, and are not any more."""
ERRORS = Metric("Errors", "Count", _OF_ALL)
"""Calls that ended in a 500, and tasks that raised: a workflow tries those again."""

METRICS = (
    *(ERRORS, OPERATIONS_ENDED, OPERATIONS_FAILED, ROWS_EXPORTED, BYTES_EXPORTED, GIGABYTE_SECONDS),
    *(QUOTA_REFUSALS, STUCK_OPERATIONS, SWEEPER_LAG, EXPORTS_MISSED),
    *(SOURCE_AGE, SOURCE_LAG, SOURCES_UNREACHABLE),
)


def emit(
    values: Mapping[Metric, float],
    *,
    product: str,
    tenant: str | None = None,
    source: str | None = None,
) -> None:
    """Prints the line; by tenant or source as well if there is one and the deployment keeps that.

    What is kept for none of the dimensions that are left is not told.
    """
    dimensions = {"Product": product}
    for name, value in (("Tenant", tenant), ("Source", source)):
        if value is not None and settings().tenant_metrics:
            dimensions[name] = value
    kept = {metric: value for metric, value in values.items() if metric.sets(dimensions)}
    if not kept:
        return
    at_ms = int(time.time() * 1000)
    sys.stdout.write(line(kept, dimensions, settings().metrics_namespace, at_ms) + "\n")
    sys.stdout.flush()


def emit_swept(*, product: str, stuck: int, failed: int, lag_s: int) -> None:
    """Prints what a sweep found, and an end for each of those that it could only fail."""
    emit({STUCK_OPERATIONS: stuck, SWEEPER_LAG: lag_s}, product=product)
    for _ in range(failed):
        emit({OPERATIONS_ENDED: 1, OPERATIONS_FAILED: 1}, product=product)


def line(
    values: Mapping[Metric, float], dimensions: Mapping[str, str], namespace: str, at_ms: int
) -> str:
    """The values as one line of JSON; of each metric the sets whose dimensions are all given.

    CloudWatch's «Embedded metric format specification»: 30 dimensions and 100 metrics at most.
    """
    kept: dict[tuple[tuple[str, ...], ...], list[Metric]] = {}
    for metric in values:
        kept.setdefault(metric.sets(dimensions), []).append(metric)
    directives = [
        {
            "Namespace": namespace,
            "Dimensions": [list(one) for one in sets],
            "Metrics": [{"Name": one.name, "Unit": one.unit} for one in metrics],
        }
        for sets, metrics in kept.items()
    ]
    told = {
        "_aws": {"Timestamp": at_ms, "CloudWatchMetrics": directives},
        **dimensions,
        **{metric.name: value for metric, value in values.items()},
    }
    return json.dumps(told, separators=(",", ":"))
