"""Task: splits a table into ranges and opens the upload of its document."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.task import Event, Task, attempt_of

plan_job = wiring.prepared(wiring.plan_job)


@Task
def handler(event: Event) -> dict[str, Any]:
    """One item per range, for the workflow to fan out."""
    job_attempt, ranges = plan_job()(
        attempt_of(event), event["job_id"], split=event.get("split", True)
    )
    return {"job_attempt": job_attempt, "ranges": list(range(ranges))}
