"""Task: tries to deliver a webhook, if it is time for it."""

from typing import Any

from headrace.kernel.clock import rfc3339
from headrace.runtime import wiring
from headrace.runtime.instance import prepare
from headrace.runtime.observability import logger
from headrace.runtime.task import Event, Task, attempt_of

prepare(wiring.deliver_webhook)


@Task
def handler(event: Event) -> dict[str, Any]:
    """How it stands, and while it is pending when to try again."""
    delivery = wiring.deliver_webhook()(attempt_of(event), event["run"])
    outcome = {"delivery_id": delivery.delivery_id, "state": str(delivery.state)}
    tried = {"tries": delivery.tries, "status": delivery.last.status, "error": delivery.last.error}
    logger().info("webhook", extra={**outcome, **tried})
    if delivery.next_try_at is not None:
        outcome["next_try_at"] = rfc3339(delivery.next_try_at)
    return outcome
