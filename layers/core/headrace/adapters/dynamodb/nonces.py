"""The nonces of proofs, in the table of proofs that were used.

    pk              sk      holds
    nonce#SPAN      nonce   ``nonce``; ``until``: when it counts no more at any rate

Whoever needs a span's nonce first writes it, under the condition that there is none. ``ttl``
removes them.
"""

from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.kernel.clock import rfc3339

_SORT = "nonce"


@dataclass(frozen=True)
class DynamoNonces:
    """The ``Nonces`` port."""

    table: Table

    def find(self, span: int) -> str | None:
        """See the port."""
        item = self.table.get(_partition(span), _SORT)
        return None if item is None else str(item["nonce"])

    def agree(self, span: int, proposed: str, until: datetime) -> str:
        """See the port: a read, and of all processes in a span one write."""
        if (found := self.find(span)) is not None:
            return found
        item = {
            "pk": _partition(span),
            "sk": _SORT,
            "nonce": proposed,
            "until": rfc3339(until),
            "ttl": int(until.timestamp()) + 1,
        }
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            return self.find(span) or proposed
        return proposed


def _partition(span: int) -> str:
    return f"nonce#{span}"
