"""The slots of sources in DynamoDB: an item for each that a worker has, and one for each tenant
whose workers wait for one.

    pk                  sk                  holds
    -source#SOURCE      slot#NNN            whose it is, of which tenant, and until when
    -source#SOURCE      wait#TENANT         since when workers of the tenant wait, and until when
                                            that is believed

``ttl`` tidies both up.

No tenant's id begins with a hyphen, so no client's partition is one of these.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.exports.ports import Turns
from headrace.kernel.clock import from_rfc3339, rfc3339

_TIDIED_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class DynamoSourceSlots:
    """The ``SourceSlots`` port."""

    table: Table

    def turns(self, source: str, now: datetime) -> Turns:
        """Who has slots, and who waits."""
        held: Counter[str] = Counter()
        waiting = {}
        # Both kinds in one query.
        for item in self.table.query(_partition(source), "slot#", before="wait$"):
            if item["until"] < rfc3339(now):
                continue
            if item["sk"].startswith("slot#"):
                held[item.get("tenant", "")] += 1
            else:
                waiting[item["tenant"]] = from_rfc3339(item["since"])
        return Turns(held, waiting)

    def take(
        self, source: str, number: int, holder: str, tenant: str, now: datetime, until: datetime
    ) -> bool:
        """Is the slot the holder's now: it was nobody's, or its lease was over."""
        item = {
            "pk": _partition(source),
            "sk": _slot(number),
            "holder": holder,
            "tenant": tenant,
            "until": rfc3339(until),
            "ttl": _tidied_at(until),
        }
        free = "attribute_not_exists(pk) OR #until < :now"
        try:
            self.table.transact(
                [
                    self.table.to_put(item, free, now=rfc3339(now)),
                    # Others of the tenant's that wait come behind those who wait longer.
                    self.table.to_delete(_partition(source), _wait(tenant)),
                ]
            )
        except ConditionFailed:
            return False
        return True

    def wait(self, source: str, tenant: str, now: datetime, until: datetime) -> None:
        """Says that workers of the tenant wait; its place is kept while that is said again."""
        pk, sk = _partition(source), _wait(tenant)
        try:
            self.table.update(
                pk,
                sk,
                "SET #until = :until",
                "#until >= :now",
                until=rfc3339(until),
                now=rfc3339(now),
            )
        except ConditionFailed:
            self.table.put(
                {
                    "pk": pk,
                    "sk": sk,
                    "tenant": tenant,
                    "since": rfc3339(now),
                    "until": rfc3339(until),
                    "ttl": _tidied_at(until),
                }
            )

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


def _wait(tenant: str) -> str:
    return f"wait#{tenant}"


def _tidied_at(until: datetime) -> int:
    return int((until + _TIDIED_AFTER).timestamp())
