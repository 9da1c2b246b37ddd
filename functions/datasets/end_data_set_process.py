"""Task: ends a process as its worker left it."""

from typing import Any

from headrace.runtime import datasets
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task

prepare(datasets.end_data_set_process)


@Task
def handler(event: Event) -> dict[str, Any]:
    """The result."""
    ran, reason = datasets.ran_of(event)
    ended = datasets.end_data_set_process()(event["tenant"], event["process_id"], ran, reason)
    return {"result": str(ended.result)}
