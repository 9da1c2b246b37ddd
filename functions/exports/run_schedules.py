"""Every minute: starts the exports that are due."""

from dataclasses import asdict
from typing import Any

from headrace.runtime import metrics, wiring
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger

prepare(wiring.run_schedules)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What the look at the schedules did."""
    looked = asdict(wiring.run_schedules()())
    metrics.emit({metrics.EXPORTS_MISSED: looked["missed"]}, product="exports")
    logger().info("schedules looked at", extra=looked)
    return looked
