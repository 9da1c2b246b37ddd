"""Task: makes the document of a job whose slices are all there."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task, attempt_of

prepare(wiring.complete_job)


@Task
def handler(event: Event) -> dict[str, Any]:
    """``complete`` is false if the table has to be planned again, unsplit."""
    complete = wiring.complete_job()(attempt_of(event), event["job_id"], event["job_attempt"])
    return {"complete": complete}
