"""Who manages which service, in DynamoDB.

pk                  sk          holds
service#SERVICE     managers    ``users``: ids, ``teams``: names; ``revision`` counts writes
"""

from dataclasses import dataclass

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.identity.users import Management
from headrace.kernel.errors import Conflict

_SORT = "managers"


@dataclass(frozen=True)
class DynamoManagers:
    """The ``Managers`` port."""

    table: Table

    def of(self, service: str) -> Management:
        """See the port."""
        item = self.table.get(_partition(service), _SORT)
        if item is None:
            return Management()
        return Management(frozenset(item["users"]), frozenset(item["teams"]), item["revision"])

    def save(self, service: str, management: Management) -> None:
        """See the port."""
        item: Item = {
            "pk": _partition(service),
            "sk": _SORT,
            "users": sorted(management.users),
            "teams": sorted(management.teams),
            "revision": management.revision + 1,
        }
        try:
            if management.revision == 0:
                self.table.put(item, "attribute_not_exists(pk)")
            else:
                self.table.put(item, "revision = :seen", seen=management.revision)
        except ConditionFailed:
            raise Conflict("Somebody else changed the managers just now; try again.") from None


def _partition(service: str) -> str:
    return f"service#{service}"
