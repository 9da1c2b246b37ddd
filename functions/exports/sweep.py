"""On a schedule: closes what nobody else will."""

from dataclasses import asdict
from typing import Any

from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger

prepare(wiring.sweep)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What the sweep did."""
    swept = asdict(wiring.sweep()())
    logger().info("swept", extra=swept)
    return swept
