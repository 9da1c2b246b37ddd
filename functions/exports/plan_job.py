"""Task: cuts a table into slices, shares them out to ranges, and opens the upload of its document.

Rows of some sources have to be unloaded first: then the answer is the query to run, and the task
is called again when it has run.
"""

from typing import Any

from headrace.exports.warehouses import Unload
from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task, attempt_of

prepare(wiring.plan_job)


@Task
def handler(event: Event) -> dict[str, Any]:
    """One item per range, for the workflow to fan out (``hold``: in one snapshot); or a query.

    The outcome ``failed``: the job has failed for good, and there is nothing more to do.
    """
    attempt, job_id = attempt_of(event), event["job_id"]
    if "unloaded" not in event:
        unload = wiring.plan_unload()(attempt, job_id)
        if unload is not None:
            return {"unload": _asked(unload), "staging": unload.staging.prefix}
    staging = event["plan"]["staging"] if "unloaded" in event else None
    planned = wiring.plan_job()(
        attempt,
        job_id,
        split=event.get("split", True),
        staging=staging,
        anew=event.get("failing", {}).get("replan", False),
    )
    if planned is None:
        return {"outcome": "failed"}
    return {
        "job_attempt": planned.attempt,
        "ranges": list(range(planned.ranges)),
        "hold": planned.hold,
        "staging": staging,
    }


def _asked(unload: Unload) -> dict[str, Any]:
    return {
        "query": unload.query,
        "parameters": list(unload.parameters),
        "database": unload.database,
        "workgroup": unload.workgroup,
        "token": unload.token,
        "results": unload.results,
        "kms_key": unload.staging.kms_key,
    }
