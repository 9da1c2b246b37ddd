"""The audit trail in DynamoDB.

    pk          sk                              holds
    day#DAY     TIME#CORRELATION_ID#ACTION      an event; ``ttl``: when the deployment may forget it

The table's functions may put items and nothing else, each under the condition that it is new. A
day is one partition: it takes 1,000 events a second, ten times what the API lets through.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.audit.model import Action, Event
from headrace.kernel.clock import from_rfc3339, rfc3339


@dataclass(frozen=True)
class DynamoTrail:
    """The ``Trail`` port. ``kept``: how long an event stands at least."""

    table: Table
    kept: timedelta

    def append(self, event: Event) -> None:
        """Writes it down; the same event again changes nothing."""
        at = rfc3339(event.at)
        item: Item = {
            "pk": _partition(event.at.date()),
            "sk": f"{at}#{event.correlation_id}#{event.action}",
            "at": at,
            "action": str(event.action),
            "tenant": event.tenant,
            "service": event.service,
            "correlation_id": event.correlation_id,
            "user": event.user,
            "organisation": event.organisation,
            "credential": event.credential,
            "concerns": dict(event.concerns),
            "ttl": int((event.at + self.kept).timestamp()),
        }
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            return

    def of(self, day: date) -> Iterator[Event]:
        """Those of a day, oldest first."""
        for item in self.table.query(_partition(day), day.isoformat()):
            yield Event(
                at=from_rfc3339(item["at"]),
                action=Action(item["action"]),
                tenant=item["tenant"],
                service=item["service"],
                correlation_id=item["correlation_id"],
                user=item.get("user"),
                organisation=item.get("organisation"),
                credential=item.get("credential"),
                concerns=item["concerns"],
            )


def _partition(day: date) -> str:
    return f"day#{day.isoformat()}"
