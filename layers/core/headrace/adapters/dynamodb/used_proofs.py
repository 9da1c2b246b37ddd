"""The proofs of possession and the assertions that were used, in a table of their own.

    pk                  sk      holds
    SHA256              proof   ``until``: when the proof is too old at any rate
    assertion-SHA256    proof   the same of a client's assertion (RFC 7523)

``ttl`` removes them: past ``until`` a proof is refused for its age.
"""

from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.kernel.clock import rfc3339


@dataclass(frozen=True)
class DynamoUsedProofs:
    """The ``UsedProofs`` port."""

    table: Table

    def first(self, use: str, until: datetime) -> bool:
        """See the port: one conditional write."""
        item = {
            "pk": use,
            "sk": "proof",
            "until": rfc3339(until),
            "ttl": int(until.timestamp()) + 1,
        }
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            return False
        return True
