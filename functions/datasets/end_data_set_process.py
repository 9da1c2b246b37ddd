"""Task: ends a process as its worker left it."""

from typing import Any

from headrace.datasets.model import Result
from headrace.runtime import datasets, metrics
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task

prepare(datasets.end_data_set_process)


@Task
def handler(event: Event) -> dict[str, Any]:
    """The result."""
    ran, reason = datasets.ran_of(event)
    ended = datasets.end_data_set_process()(event["tenant"], event["process_id"], ran, reason)
    failed = int(ended.result is Result.FAILURE)
    measured = {metrics.OPERATIONS_ENDED: 1, metrics.OPERATIONS_FAILED: failed}
    metrics.emit(measured, product="datasets", tenant=event["tenant"])
    return {"result": str(ended.result)}
