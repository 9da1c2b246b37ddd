"""Access tokens that were ended before their time, in the table of proofs that were used.

    pk                  sk      holds
    revoked#TOKEN_ID    token   ``until``: when the token has expired at any rate

``ttl`` removes them: past ``until`` the token is refused for its age.
"""

from dataclasses import dataclass
from datetime import datetime

from headrace.adapters.dynamodb.table import Table
from headrace.kernel.clock import rfc3339

_SORT = "token"


@dataclass(frozen=True)
class DynamoRevocations:
    """The ``Revocations`` port."""

    table: Table

    def revoke(self, token_id: str, until: datetime) -> None:
        """From now on it is; doing so again changes nothing."""
        self.table.put(
            {
                "pk": _partition(token_id),
                "sk": _SORT,
                "until": rfc3339(until),
                "ttl": int(until.timestamp()) + 1,
            }
        )

    def has(self, token_id: str) -> bool:
        """Was it ended; one consistent read."""
        return self.table.get(_partition(token_id), _SORT) is not None


def _partition(token_id: str) -> str:
    return f"revoked#{token_id}"
