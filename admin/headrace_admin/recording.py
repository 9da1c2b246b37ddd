"""What operators do to what is others', written into the audit trail.

The trail has ids only, so not the operator's name: that is in AWS's own trail.
"""

from collections.abc import Mapping

from headrace.audit.model import Action, Event
from headrace.audit.usecases import RecordEvent
from headrace.kernel.clock import SystemClock
from headrace.kernel.ids import RandomIds
from headrace_admin.deployment import Deployment

COMMAND = "headrace-admin"
"""The service that an event names where no client did it, nor is it about one."""


def record(
    deployment: Deployment,
    action: Action,
    *,
    tenant: str,
    service: str = COMMAND,
    concerns: Mapping[str, str],
) -> None:
    """Writes it down, before the command says that it is done. Raises Unavailable."""
    now = SystemClock().now()
    RecordEvent(deployment.audit_trail(), deployment.statistics())(
        Event(now, action, tenant, service, RandomIds().new(now), concerns=concerns)
    )
