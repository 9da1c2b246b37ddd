"""Clients' secrets in DynamoDB, as hashes.

    pk                  sk          holds
    client#CLIENT_ID    secrets     ``secrets``: a list of at most two maps ``id``, ``sha256``,
                                    ``created_at``, oldest first; ``version``: counts the writes

One item per client, so that a look-up is one consistent read however many secrets there are, and
"two at most" is a condition on the item that is written. (pk and sk are the only keys.)
"""

from dataclasses import dataclass

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.identity.model import MAX_SECRETS, StoredSecret
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Conflict, NotFound

_SORT = "secrets"


@dataclass(frozen=True)
class DynamoClientSecrets:
    """The ``ClientSecrets`` port."""

    table: Table

    def of(self, client_id: str) -> tuple[StoredSecret, ...]:
        """The active ones, oldest first; consistent."""
        return self._read(client_id)[1]

    def add(self, client_id: str, secret: StoredSecret) -> None:
        """Adds one. Raises Conflict when the client has two, or is changed at this moment."""
        version, active = self._read(client_id)
        if len(active) >= MAX_SECRETS:
            raise Conflict(
                f"The client {client_id} has {MAX_SECRETS} secrets already; revoke one first."
            )
        self._write(client_id, version, (*active, secret))

    def revoke(self, client_id: str, secret_id: str) -> None:
        """Ends one. Raises NotFound, or Conflict when the client is changed at this moment."""
        version, active = self._read(client_id)
        left = tuple(secret for secret in active if secret.secret_id != secret_id)
        if len(left) == len(active):
            raise NotFound(f"The client {client_id} has no secret {secret_id}.")
        self._write(client_id, version, left)

    def _read(self, client_id: str) -> tuple[int, tuple[StoredSecret, ...]]:
        item = self.table.get(_partition(client_id), _SORT)
        if item is None:
            return 0, ()
        return item["version"], tuple(
            StoredSecret(entry["id"], entry["sha256"], from_rfc3339(entry["created_at"]))
            for entry in item["secrets"]
        )

    def _write(self, client_id: str, version: int, secrets: tuple[StoredSecret, ...]) -> None:
        item = {
            "pk": _partition(client_id),
            "sk": _SORT,
            "version": version + 1,
            "secrets": [
                {"id": s.secret_id, "sha256": s.sha256, "created_at": rfc3339(s.created_at)}
                for s in secrets
            ],
        }
        try:
            if version == 0:
                self.table.put(item, "attribute_not_exists(pk)")
            else:
                self.table.put(item, "#version = :seen", seen=version)
        except ConditionFailed:
            raise Conflict(
                f"Somebody else changed the secrets of {client_id} just now; try again."
            ) from None


def _partition(client_id: str) -> str:
    return f"client#{client_id}"
