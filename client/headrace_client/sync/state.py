"""What a destination knows of itself: which version its tables stand at, and what is under way.

The state lies inside the destination, and its version changes in one transaction with the rows.
So a destination always tells the truth about itself, whatever was killed when.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headrace_client.errors import DestinationError

STATE_TABLE = "headrace_sync"
"""The name of the table that holds the state in a database, which no other table may have."""


@dataclass(frozen=True)
class InFlight:
    """An operation that was begun for the destination and is not applied yet.

    `since` is the version that the increment begins at; None of a full export. `operation_id` is
    None until the service has answered.
    """

    since: str | None
    operation_id: str | None = None


@dataclass(frozen=True)
class SyncState:
    """The state of one destination, which holds the tables of one configuration.

    `version` is None before the first export was applied. `schemas` has the schema hash of each
    table that is there. `sequence` counts the operations that were begun; the idempotency key of
    one derives from it, so a start that is sent again is never a second operation.
    """

    destination_id: str
    client_id: str
    configuration_id: str
    version: str | None = None
    catalog_version: int | None = None
    schemas: Mapping[str, str | None] = field(default_factory=dict)
    sequence: int = 0
    in_flight: InFlight | None = None

    def begun(self, since: str | None) -> SyncState:
        """The state with a new operation under way."""
        return replace(self, sequence=self.sequence + 1, in_flight=InFlight(since))

    def answered(self, operation_id: str) -> SyncState:
        """The state once the service has told which operation it is."""
        return replace(self, in_flight=InFlight(self.since, operation_id))

    def applied(
        self, version: str, catalog_version: int | None, schemas: Mapping[str, str | None]
    ) -> SyncState:
        """The state once the operation under way is applied."""
        return replace(
            self,
            version=version,
            catalog_version=catalog_version,
            schemas=dict(schemas),
            in_flight=None,
        )

    @property
    def since(self) -> str | None:
        """The version that the operation under way begins at; None of a full export."""
        return self.in_flight.since if self.in_flight is not None else None

    @property
    def idempotency_key(self) -> str:
        """The key of the operation under way: the same whenever its start is sent."""
        parts = (self.destination_id, str(self.sequence), self.since or "")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The state as a JSON object."""
        flight = self.in_flight
        return {
            "format": 1,
            "destinationId": self.destination_id,
            "clientId": self.client_id,
            "configurationId": self.configuration_id,
            "syncVersion": self.version,
            "catalogVersion": self.catalog_version,
            "schemas": dict(self.schemas),
            "sequence": self.sequence,
            "inFlight": None
            if flight is None
            else {"since": flight.since, "operationId": flight.operation_id},
        }

    @classmethod
    def from_json(cls, held: object) -> SyncState:
        """Read it back; DestinationError for what no such state is."""
        try:
            if not isinstance(held, Mapping) or held["format"] != 1:
                raise ValueError("another format")
            flight = held["inFlight"]
            return cls(
                destination_id=str(held["destinationId"]),
                client_id=str(held["clientId"]),
                configuration_id=str(held["configurationId"]),
                version=held["syncVersion"],
                catalog_version=held["catalogVersion"],
                schemas=dict(held["schemas"]),
                sequence=int(held["sequence"]),
                in_flight=None
                if flight is None
                else InFlight(flight["since"], flight["operationId"]),
            )
        except (KeyError, TypeError, ValueError):
            raise DestinationError(
                "The state in the destination is none that this version of headrace wrote."
            ) from None


def demand_unchanged(held: SyncState | None, before: SyncState) -> None:
    """DestinationError unless the destination still stands where it stood; called within the
    transaction that moves it, so that nothing is ever applied twice."""
    if held != before:
        raise DestinationError(
            "Something else has changed the state of the destination meanwhile; nothing was "
            "applied. Run the same command again."
        )


def gone(before: SyncState, after: SyncState) -> Sequence[str]:
    """The tables that were there and are no longer."""
    return sorted(before.schemas.keys() - after.schemas.keys())
