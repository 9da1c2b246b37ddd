"""Task: splits a table into ranges and opens the upload of its document."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.task import Event, Task, attempt_of

wiring.prepare(wiring.plan_job)


@Task
def handler(event: Event) -> dict[str, Any]:
    """One item per range, for the workflow to fan out."""
    job_attempt, ranges = wiring.plan_job()(
        attempt_of(event), event["job_id"], split=event.get("split", True)
    )
    return {"job_attempt": job_attempt, "ranges": list(range(ranges))}
