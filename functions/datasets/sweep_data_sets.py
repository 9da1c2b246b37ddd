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
    measured = {metrics.STUCK_OPERATIONS: stuck, metrics.SWEEPER_LAG: swept.lag_s}
    metrics.emit(measured, product="datasets")
    for _ in range(swept.failed):
        ended = {metrics.OPERATIONS_ENDED: 1, metrics.OPERATIONS_FAILED: 1}
        metrics.emit(ended, product="datasets")
    did = asdict(swept)
    logger().info("swept data sets", extra=did)
    return did
