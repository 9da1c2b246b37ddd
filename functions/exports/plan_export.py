"""Task: fixes the version that all tables are read at, and names the jobs to run."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task, attempt_of

prepare(wiring.plan_export)


@Task
def handler(event: Event) -> dict[str, Any]:
    """The jobs to run, each with the attempt that it belongs to; ``hold``: in one snapshot."""
    attempt = {name: event[name] for name in ("tenant", "client_id", "operation_id", "attempt")}
    planned = wiring.plan_export()(attempt_of(event))
    jobs = [{**attempt, "job_id": job_id} for job_id in planned.job_ids]
    return {"jobs": jobs, "hold": planned.hold}
