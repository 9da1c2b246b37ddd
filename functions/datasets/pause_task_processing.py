"""Task: stops background processing before an import, if the import asks for it."""

from typing import Any

from headrace.runtime import imports
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, TimedTask, TimeLeft

prepare(imports.pause_task_processing)


@TimedTask
def handler(event: Event, time_left: TimeLeft) -> dict[str, Any]:
    """Whether the import can begin, is to wait, or has failed."""
    ran = imports.pause_task_processing()(event["tenant"], event["process_id"], time_left)
    return imports.paused_answer(ran)
