"""On a schedule: closes what nobody else will."""

from dataclasses import asdict
from typing import Any

from headrace.runtime import datasets
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger

prepare(datasets.sweep_data_sets)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What the sweep did."""
    swept = asdict(datasets.sweep_data_sets()())
    logger().info("swept data sets", extra=swept)
    return swept
