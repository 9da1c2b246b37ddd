"""The secrets that webhooks are signed with, in a table of their own, each sealed by KMS.

    pk                  sk               holds
    client#CLIENT_ID    webhook#NAME     ``secrets``: a list of at most two maps ``id``, ``sealed``,
                                         ``created_at``, oldest first; ``version``: counts the
                                         writes

A secret is sealed for its client, endpoint and id, so no other item can be made to open as it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.adapters.kms.seal import KmsSeal
from headrace.exports.webhooks import MAX_SECRETS
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Conflict, NotFound

type _Entry = dict[str, Any]


@dataclass(frozen=True)
class DynamoWebhookSecrets:
    """The ``WebhookSecrets`` port."""

    table: Table
    seal: KmsSeal

    def of(self, client_id: str, endpoint: str) -> tuple[str, ...]:
        """The secrets, oldest first; consistent. Raises Unavailable."""
        return tuple(
            self.seal.open(entry["sealed"], _purpose(client_id, endpoint, entry["id"]))
            for entry in self._read(client_id, endpoint)[1]
        )

    def listed(self, client_id: str, endpoint: str) -> tuple[tuple[str, datetime], ...]:
        """Their ids and since when they are, oldest first; nothing is opened."""
        return tuple(
            (entry["id"], from_rfc3339(entry["created_at"]))
            for entry in self._read(client_id, endpoint)[1]
        )

    def add(
        self, client_id: str, endpoint: str, secret_id: str, secret: str, moment: datetime
    ) -> None:
        """Adds one. Raises Conflict when there are two, or somebody changes them just now."""
        version, entries = self._read(client_id, endpoint)
        if len(entries) >= MAX_SECRETS:
            raise Conflict(
                f"The webhook {endpoint} of {client_id} has {MAX_SECRETS} secrets already; revoke "
                "one first."
            )
        sealed = self.seal.seal(secret, _purpose(client_id, endpoint, secret_id))
        entry = {"id": secret_id, "sealed": sealed, "created_at": rfc3339(moment)}
        self._write(client_id, endpoint, version, [*entries, entry])

    def revoke(self, client_id: str, endpoint: str, secret_id: str) -> None:
        """Ends one. Raises NotFound, or Conflict when somebody changes them just now."""
        version, entries = self._read(client_id, endpoint)
        left = [entry for entry in entries if entry["id"] != secret_id]
        if len(left) == len(entries):
            raise NotFound(f"The webhook {endpoint} of {client_id} has no secret {secret_id}.")
        self._write(client_id, endpoint, version, left)

    def _read(self, client_id: str, endpoint: str) -> tuple[int, list[_Entry]]:
        item = self.table.get(*_key(client_id, endpoint))
        return (0, []) if item is None else (item["version"], item["secrets"])

    def _write(self, client_id: str, endpoint: str, version: int, entries: list[_Entry]) -> None:
        pk, sk = _key(client_id, endpoint)
        item = {"pk": pk, "sk": sk, "version": version + 1, "secrets": entries}
        try:
            if version == 0:
                self.table.put(item, "attribute_not_exists(pk)")
            else:
                self.table.put(item, "#version = :seen", seen=version)
        except ConditionFailed:
            raise Conflict(
                f"Somebody else changed the secrets of {endpoint} just now; try again."
            ) from None


def _key(client_id: str, endpoint: str) -> tuple[str, str]:
    return f"client#{client_id}", f"webhook#{endpoint}"


def _purpose(client_id: str, endpoint: str, secret_id: str) -> dict[str, str]:
    return {"client": client_id, "webhook": endpoint, "secret": secret_id}
