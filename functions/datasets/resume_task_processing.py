"""Task: starts background processing again after an import, if it was stopped for it."""

from typing import Any

from headrace.runtime import imports
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, Task

prepare(imports.resume_task_processing)


@Task
def handler(event: Event) -> dict[str, Any]:
    """Nothing but that it is done."""
    imports.resume_task_processing()(event["tenant"], event["process_id"])
    return {}
