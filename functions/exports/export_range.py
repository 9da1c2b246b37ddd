"""Task: streams the slices of one range of a table into the upload of its document."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, TimedTask, TimeLeft, attempt_of

prepare(wiring.export_range)


@TimedTask
def handler(event: Event, time_left: TimeLeft) -> dict[str, Any]:
    """``again`` is true if the range is to be gone on with by another invocation."""
    again = wiring.export_range()(
        attempt_of(event), event["job_id"], event["job_attempt"], event["range"], time_left
    )
    return {"again": again}
