"""Task: ends a job that its workers could not bring to an end."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task, attempt_of, failure_of

prepare(wiring.fail_job)


@Task
def handler(event: Event) -> dict[str, Any]:
    """Fails the job with what the workflow caught; ``replan``: unless another plan may help."""
    replan = wiring.fail_job()(attempt_of(event), event["job_id"], failure_of(event))
    return {"replan": replan}
