"""On a schedule: closes what nobody else will."""

from dataclasses import asdict
from typing import Any

from headrace.runtime import metrics, wiring
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger

prepare(wiring.sweep)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What the sweep did."""
    try:
        swept = wiring.sweep()()
    except ExceptionGroup as troubles:
        metrics.emit({metrics.STUCK_OPERATIONS: len(troubles.exceptions)}, product="exports")
        raise
    stuck = swept.restarted + swept.failed
    measured = {metrics.STUCK_OPERATIONS: stuck, metrics.SWEEPER_LAG: swept.lag_s}
    metrics.emit(measured, product="exports")
    for _ in range(swept.failed):
        ended = {metrics.OPERATIONS_ENDED: 1, metrics.OPERATIONS_FAILED: 1}
        metrics.emit(ended, product="exports")
    did = asdict(swept)
    logger().info("swept", extra=did)
    return did
