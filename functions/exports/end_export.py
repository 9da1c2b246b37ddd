"""Task: ends the operation as its jobs stand."""

from typing import Any

from headrace.exports.model import Status
from headrace.runtime import auditing, wiring
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task, attempt_of, failure_of

prepare(wiring.end_export)


@Task
def handler(event: Event) -> dict[str, Any]:
    """The state it ended in."""
    failure = failure_of(event) if event.get("error") else None
    status = wiring.end_export()(attempt_of(event), failure)
    if status is Status.FAILED:
        auditing.note_failed_operation(event, failure)
    return {"status": str(status)}
