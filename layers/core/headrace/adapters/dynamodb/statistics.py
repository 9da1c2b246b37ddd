"""What is counted per service, in DynamoDB.

    pk                  sk                              holds
    service#SERVICE     day#DAY                         a number per action
    service#SERVICE     failing#TIME#CORRELATION_ID     what came to nothing; ``ttl``

Counts are added without a transaction: calls of one service at the same moment add to one item,
and would hold each other up. So a count whose reply is lost may be added twice.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from headrace.adapters.dynamodb.table import Item, Table
from headrace.audit.model import Action, Day, Failing, Span
from headrace.kernel.clock import from_rfc3339, rfc3339

_DAY, _FAILING = "day#", "failing#"


@dataclass(frozen=True)
class DynamoStatistics:
    """The ``Statistics`` port. ``kept``: how long failings are."""

    table: Table
    kept: timedelta

    def count(self, service: str, day: date, action: Action) -> None:
        """One more of it."""
        self.table.add(_partition(service), f"{_DAY}{day.isoformat()}", str(action))

    def note(self, failing: Failing) -> None:
        """Keeps it for a while."""
        at = rfc3339(failing.at)
        item: Item = {
            "pk": _partition(failing.service),
            "sk": f"{_FAILING}{at}#{failing.correlation_id}",
            "at": at,
            "action": str(failing.action),
            "what": failing.what,
            "status": failing.status,
            "code": failing.code,
            "correlation_id": failing.correlation_id,
            "credential": failing.credential,
            "ttl": int((failing.at + self.kept).timestamp()),
        }
        self.table.put(item)

    def days(self, service: str, span: Span) -> tuple[Day, ...]:
        """The days on which something was counted."""
        first, last = (f"{_DAY}{day.isoformat()}" for day in (span.first, span.last))
        return tuple(
            Day(
                date.fromisoformat(item["sk"].removeprefix(_DAY)),
                {action: item[action] for action in Action if action in item},
            )
            for item in self.table.query(_partition(service), first, before=last)
        )

    def failings(
        self, service: str, limit: int, before: str | None
    ) -> tuple[tuple[Failing, ...], str | None]:
        """One page, newest first."""
        items = list(
            self.table.query(
                _partition(service),
                _FAILING,
                before=None if before is None else f"{_FAILING}{before}",
                newest_first=True,
                limit=limit + 2,
            )
        )
        # The item at the place itself was on the page before.
        items = [item for item in items if item["sk"] != f"{_FAILING}{before}"]
        found = tuple(
            Failing(
                at=from_rfc3339(item["at"]),
                action=Action(item["action"]),
                service=service,
                what=item["what"],
                status=item["status"],
                code=item["code"],
                correlation_id=item["correlation_id"],
                credential=item.get("credential"),
            )
            for item in items[:limit]
        )
        more = len(items) > limit
        return found, items[limit - 1]["sk"].removeprefix(_FAILING) if more else None


def _partition(service: str) -> str:
    return f"service#{service}"
