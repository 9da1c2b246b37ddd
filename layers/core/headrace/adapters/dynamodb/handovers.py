"""Secrets that wait behind a link, in the table of credentials.

    pk                  sk          holds
    handover#DIGEST     handover    ``client_id``, ``secret_id``, ``expires_at``; ``sealed`` until
                                    it is taken, ``taken_at`` since

The digest is of the link's token, which alone opens ``sealed`` (``identity.handover``). ``ttl``
removes them after they have expired; no rule relies on it.
"""

from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.identity.handover import Handover
from headrace.kernel.clock import from_rfc3339, rfc3339

_SORT = "handover"


@dataclass(frozen=True)
class DynamoHandovers:
    """The ``Handovers`` port."""

    table: Table

    def add(self, handover: Handover) -> None:
        """Keeps a new one."""
        self.table.put(
            {
                "pk": _partition(handover.handover_id),
                "sk": _SORT,
                "client_id": handover.client_id,
                "secret_id": handover.secret_id,
                "expires_at": rfc3339(handover.expires_at),
                "sealed": handover.sealed,
                "ttl": int(handover.expires_at.timestamp()) + 1,
            },
            "attribute_not_exists(pk)",
        )

    def find(self, handover_id: str) -> Handover | None:
        """It, read consistently."""
        item = self.table.get(_partition(handover_id), _SORT)
        if item is None:
            return None
        return Handover(
            handover_id,
            item["client_id"],
            item["secret_id"],
            from_rfc3339(item["expires_at"]),
            item.get("sealed"),
        )

    def take(self, handover_id: str, now: datetime) -> bool:
        """One conditional write: what was sealed is gone with it."""
        try:
            self.table.update(
                _partition(handover_id),
                _SORT,
                "SET taken_at = :now REMOVE sealed",
                "attribute_exists(sealed) AND expires_at > :now",
                now=rfc3339(now),
            )
        except ConditionFailed:
            return False
        return True


def _partition(handover_id: str) -> str:
    return f"handover#{handover_id}"
