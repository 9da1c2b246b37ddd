"""Task: ends the operation as its jobs stand."""

from typing import Any

from headrace.exports.model import Status
from headrace.runtime import auditing, metrics, wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task, attempt_of, failure_of

prepare(wiring.end_export)


@Task
def handler(event: Event) -> dict[str, Any]:
    """The state it ended in."""
    failure = failure_of(event) if event.get("error") else None
    ended = wiring.end_export()(attempt_of(event), failure)
    failed = ended.status is Status.FAILED
    measured = {metrics.OPERATIONS_ENDED: 1, metrics.OPERATIONS_FAILED: int(failed)}
    if failed:
        auditing.note_failed_operation(event, failure)
    else:
        measured[metrics.ROWS_EXPORTED] = sum(job.rows or 0 for job in ended.jobs)
        measured[metrics.BYTES_EXPORTED] = sum(job.size or 0 for job in ended.jobs)
    metrics.emit(measured, product="exports", tenant=ended.tenant)
    return {"status": str(ended.status)}
