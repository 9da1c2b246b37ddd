"""Task: reads the rows of a walk over a template into storage; nobody waits for it."""

from typing import Any

from headrace.runtime import templates
from headrace.runtime.instance import prepare
from headrace.runtime.task import Event, TimedTask, TimeLeft
from headrace.templates.model import Reader

prepare(templates.read_template_rows)


@TimedTask
def handler(event: Event, time_left: TimeLeft) -> dict[str, Any]:
    """``failure``: the code that the walk failed with, if it did."""
    reader = Reader(event["tenant"], event["reader"])
    failure = templates.read_template_rows()(reader, event["walk_id"], time_left)
    return {} if failure is None else {"failure": failure}
