"""Task: tries to tell the end of a process, if it is time for it."""

from typing import Any

from headrace.kernel.clock import rfc3339
from headrace.runtime import datasets
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger
from headrace.runtime.task import Event, Task

prepare(datasets.notify_data_set_process)


@Task
def handler(event: Event) -> dict[str, Any]:
    """How it stands, and while it is pending when to try again."""
    notice = datasets.notify_data_set_process()(event["tenant"], event["process_id"], event["run"])
    outcome = {"message_id": notice.message_id, "state": str(notice.state)}
    tried = {"tries": notice.tries, "status": notice.last.status, "error": notice.last.error}
    logger().info("notice", extra={**outcome, **tried})
    if notice.next_try_at is not None:
        outcome["next_try_at"] = rfc3339(notice.next_try_at)
    return outcome
