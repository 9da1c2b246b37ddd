"""The composition root of the audit, apart from ``wiring``: every endpoint may come here."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from headrace.adapters.dynamodb.audit_trail import DynamoTrail
from headrace.adapters.dynamodb.statistics import DynamoStatistics
from headrace.adapters.dynamodb.table import Table
from headrace.audit.model import Action, Event, Failing
from headrace.audit.usecases import NoteFailing, ReadStatistics, RecordEvent
from headrace.exports.model import Failure, Operation
from headrace.kernel.caller import Caller
from headrace.runtime.instance import client, clock
from headrace.runtime.observability import logger
from headrace.runtime.settings import settings

FAILINGS_KEPT = timedelta(days=90)


@cache
def statistics() -> DynamoStatistics:
    """Counts and failings per service."""
    return DynamoStatistics(Table(client("dynamodb"), settings().statistics_table), FAILINGS_KEPT)


@cache
def record_event() -> RecordEvent:
    """What was done."""
    trail = DynamoTrail(Table(client("dynamodb"), settings().audit_table), settings().audit_kept)
    return RecordEvent(trail, statistics())


@cache
def note_failing() -> NoteFailing:
    """What came to nothing."""
    return NoteFailing(statistics())


def now() -> datetime:
    """The time of an event."""
    return clock().now()


def read_statistics() -> ReadStatistics:
    """GET /services/{serviceId}/statistics and …/errors."""
    return ReadStatistics(statistics(), clock())


def managed_service(caller: Caller, service: str) -> str:
    """The service, if the caller manages it. Raises NotFound."""
    from headrace.runtime.identity import managed_services  # noqa: PLC0415 — of managers only

    return managed_services().one(caller, service).client_id


def note(failing: Failing) -> None:
    """Notes it if it can be. What failed has an answer already, and that tells more than one
    about its being noted would."""
    try:
        note_failing()(failing)
    except Exception:
        logger().exception("a failing was not counted", extra={"what": failing.what})


def record_scheduled_start(operation: Operation) -> None:
    """A start that no call made. Raises Unavailable: it is not written down."""
    record_event()(
        Event(
            at=operation.created_at,
            action=Action.EXPORT,
            tenant=operation.tenant,
            service=operation.client_id,
            correlation_id=operation.operation_id,
            concerns={"operationId": operation.operation_id},
        )
    )


def note_failed_operation(event: Mapping[str, Any], failure: Failure | None) -> None:
    """An operation that ended as failed, for those who run the service."""
    note(
        Failing(
            at=now(),
            action=Action.ERROR,
            service=event["client_id"],
            what="operation",
            status=500,
            code=failure.code if failure else "jobs_failed",
            correlation_id=event["operation_id"],
        )
    )
