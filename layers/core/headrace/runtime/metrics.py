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


@dataclass(frozen=True)
class Metric:
    """``unit``: one of CloudWatch's. ``by``: the sets of dimensions that it is kept for."""

    name: str
    unit: str
    by: tuple[tuple[str, ...], ...]


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
EXPORTS_MISSED = Metric("ScheduledExportsMissed", "Count", _BY_PRODUCT)
"""Runs of recurring exports that were not started in time, and are not any more."""
ERRORS = Metric("Errors", "Count", _OF_ALL)
"""Calls that ended in a 500, and tasks that raised: a workflow tries those again."""

METRICS = (
    *(ERRORS, OPERATIONS_ENDED, OPERATIONS_FAILED, ROWS_EXPORTED, BYTES_EXPORTED, GIGABYTE_SECONDS),
    *(QUOTA_REFUSALS, STUCK_OPERATIONS, SWEEPER_LAG, EXPORTS_MISSED),
)


def emit(values: Mapping[Metric, float], *, product: str, tenant: str | None = None) -> None:
    """Prints the line; by tenant as well if there is one and the deployment keeps that."""
    dimensions = {"Product": product}
    if tenant is not None and settings().tenant_metrics:
        dimensions["Tenant"] = tenant
    at_ms = int(time.time() * 1000)
    sys.stdout.write(line(values, dimensions, settings().metrics_namespace, at_ms) + "\n")
    sys.stdout.flush()


def line(
    values: Mapping[Metric, float], dimensions: Mapping[str, str], namespace: str, at_ms: int
) -> str:
    """The values as one line of JSON; of each metric the sets whose dimensions are all given.

    CloudWatch's «Embedded metric format specification»: 30 dimensions and 100 metrics at most.
    """
    kept: dict[tuple[tuple[str, ...], ...], list[Metric]] = {}
    for metric in values:
        sets = tuple(one for one in metric.by if dimensions.keys() >= set(one))
        kept.setdefault(sets, []).append(metric)
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
