"""On a schedule: asks the sources how far they are behind."""

from typing import Any

from headrace.exports.watching import Standing, is_expected
from headrace.runtime import metrics, wiring
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger

prepare(wiring.watch_sources)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """How many sources were asked, are behind, and did not answer."""
    standings = wiring.watch_sources()()
    for one in standings:
        _tell(one)
    unreachable = sum(one.error is not None for one in standings)
    metrics.emit({metrics.SOURCES_UNREACHABLE: unreachable}, product="exports")
    behind = {one.source.name: int(one.lag.total_seconds()) for one in standings if one.lag}
    looked = {"asked": len(standings), "behind": len(behind), "unreachable": unreachable}
    logger().info("sources watched", extra={**looked, "lag_s": behind})
    return looked


def _tell(one: Standing) -> None:
    if one.error is None:
        told = {metrics.SOURCE_AGE: one.age, metrics.SOURCE_LAG: one.lag}
        measured = {
            metric: span.total_seconds() for metric, span in told.items() if span is not None
        }
        metrics.emit(measured, product="exports", source=one.source.name)
        return
    # What is no answer of a source's is a fault of ours, of which the trace is wanted.
    known = is_expected(one.error)
    about = {"source": one.source.name, "code": "source_unavailable"}
    if known:
        about["detail"] = str(one.error)
    logger().warning("source unavailable", extra=about, exc_info=None if known else one.error)
