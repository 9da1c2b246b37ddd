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
    metrics.emit_swept(product="exports", stuck=stuck, failed=swept.failed, lag_s=swept.lag_s)
    did = asdict(swept)
    logger().info("swept", extra=did)
    return did
