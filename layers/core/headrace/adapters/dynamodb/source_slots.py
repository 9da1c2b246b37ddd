"""The slots of sources in DynamoDB: an item for each that a worker has.

    pk                  sk                  holds
    -source#SOURCE      slot#NNN            whose it is, and until when; ``ttl`` tidies up

No tenant's id begins with a hyphen, so no client's partition is one of these.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.kernel.clock import rfc3339

_TIDIED_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class DynamoSourceSlots:
    """The ``SourceSlots`` port."""

    table: Table

    def take(self, source: str, number: int, holder: str, now: datetime, until: datetime) -> bool:
        """Is the slot the holder's now: it was nobody's, or its lease was over."""
        item = {
            "pk": _partition(source),
            "sk": _slot(number),
            "holder": holder,
            "until": rfc3339(until),
            "ttl": int((until + _TIDIED_AFTER).timestamp()),
        }
        try:
            self.table.put(item, "attribute_not_exists(pk) OR #until < :now", now=rfc3339(now))
        except ConditionFailed:
            return False
        return True

    def renew(self, source: str, number: int, holder: str, until: datetime) -> None:
        """Moves the end of the holder's lease; of a slot that it lost, nothing changes."""
        try:
            self.table.update(
                _partition(source),
                _slot(number),
                "SET #until = :until",
                "holder = :holder",
                until=rfc3339(until),
                holder=holder,
            )
        except ConditionFailed:
            return

    def free(self, source: str, number: int, holder: str) -> None:
        """Gives the slot back, if it still is the holder's."""
        action = self.table.to_delete(
            _partition(source), _slot(number), "holder = :holder", holder=holder
        )
        try:
            self.table.transact([action])
        except ConditionFailed:
            return


def _partition(source: str) -> str:
    return f"-source#{source}"


def _slot(number: int) -> str:
    return f"slot#{number:03d}"
