"""Task: ends a job that its workers could not bring to an end."""

from headrace.runtime import wiring
from headrace.runtime.task import Event, Task, attempt_of, failure_of

fail_job = wiring.prepared(wiring.fail_job)


@Task
def handler(event: Event) -> None:
    """Fails the job with what the workflow caught."""
    fail_job()(attempt_of(event), event["job_id"], failure_of(event))
