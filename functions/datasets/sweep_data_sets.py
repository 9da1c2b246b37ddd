"""On a schedule: closes what nobody else will."""

from dataclasses import asdict
from typing import Any

from headrace.runtime import datasets, metrics
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger

prepare(datasets.sweep_data_sets)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What the sweep did."""
    try:
        swept = datasets.sweep_data_sets()()
    except ExceptionGroup as troubles:
        metrics.emit({metrics.STUCK_OPERATIONS: len(troubles.exceptions)}, product="datasets")
        raise
    stuck = swept.started + swept.failed
    metrics.emit_swept(product="datasets", stuck=stuck, failed=swept.failed, lag_s=swept.lag_s)
    did = asdict(swept)
    logger().info("swept data sets", extra=did)
    return did
