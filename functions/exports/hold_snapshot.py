"""Task: holds a snapshot open for the workers that read in it."""

from typing import Any

from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger
from headrace.runtime.task import Event, Task, attempt_of

prepare(wiring.hold_snapshot)


@Task
def handler(event: Event) -> dict[str, Any]:
    """Of one attempt of a job, or without a job of the whole operation; why it ended."""
    ending = wiring.hold_snapshot()(
        attempt_of(event), event.get("job_id"), event.get("job_attempt")
    )
    logger().info("snapshot let go", extra={"ending": ending, "job_id": event.get("job_id")})
    return {"ending": str(ending)}
