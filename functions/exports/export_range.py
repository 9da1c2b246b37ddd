"""Task: streams one range of a table into the upload of its document."""

from headrace.runtime import wiring
from headrace.runtime.task import Event, Task, attempt_of

wiring.prepare(wiring.export_range)


@Task
def handler(event: Event) -> None:
    """Exports the range."""
    wiring.export_range()(attempt_of(event), event["job_id"], event["job_attempt"], event["range"])
