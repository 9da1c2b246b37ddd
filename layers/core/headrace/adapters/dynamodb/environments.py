"""What an environment knows of itself and of others, in the table of data sets.

    pk          sk                  holds
    TENANT      PROPERTY#NAME       ``value``
    TENANT      CREDENTIAL#NAME     ``sealed``: name and password as JSON, sealed by KMS
    TENANT      PAUSE               ``process_id``: what background processing was stopped for

A credential is sealed for its tenant and name, so no other item can be made to open as it.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from headrace.adapters.dynamodb.table import ConditionFailed, Table
from headrace.adapters.kms.seal import KmsSeal
from headrace.datasets.environments import Credential, Property
from headrace.datasets.model import Process

_PROPERTY = "PROPERTY#"
_PAUSE = "PAUSE"


@dataclass(frozen=True)
class DynamoEnvironmentProperties:
    """The ``EnvironmentProperties`` port."""

    table: Table

    def value(self, tenant: str, name: str) -> str | None:
        """See the port."""
        item = self.table.get(tenant, f"{_PROPERTY}{name}")
        return None if item is None else str(item["value"])

    def listed(self, tenant: str) -> Sequence[Property]:
        """See the port."""
        found = self.table.query(tenant, _PROPERTY)
        return tuple(Property(item["sk"].removeprefix(_PROPERTY), item["value"]) for item in found)

    def put(self, tenant: str, wanted: Property) -> bool:
        """See the port."""
        key = f"{_PROPERTY}{wanted.name}"
        if not wanted.value:
            self.table.transact([self.table.to_delete(tenant, key, "")])
            return False
        item = {"pk": tenant, "sk": key, "value": wanted.value}
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            self.table.put(item)
            return False
        return True


@dataclass(frozen=True)
class DynamoSourceCredentials:
    """The ``SourceCredentials`` port."""

    table: Table
    seal: KmsSeal

    def of(self, tenant: str, name: str) -> Credential | None:
        """See the port."""
        item = self.table.get(tenant, f"CREDENTIAL#{name}")
        if item is None:
            return None
        username, password = json.loads(self.seal.open(item["sealed"], _purpose(tenant, name)))
        return Credential(username, password)

    def put(self, tenant: str, name: str, credential: Credential) -> None:
        """See the port."""
        text = json.dumps([credential.username, credential.password])
        sealed = self.seal.seal(text, _purpose(tenant, name))
        self.table.put({"pk": tenant, "sk": f"CREDENTIAL#{name}", "sealed": sealed})


@dataclass(frozen=True)
class DynamoPauses:
    """The ``Pauses`` port."""

    table: Table

    def of(self, tenant: str) -> str | None:
        """See the port."""
        item = self.table.get(tenant, _PAUSE)
        return None if item is None else str(item["process_id"])

    def remember(self, process: Process) -> None:
        """See the port."""
        self.table.put({"pk": process.tenant, "sk": _PAUSE, "process_id": process.process_id})

    def forget(self, process: Process) -> None:
        """See the port."""
        delete = self.table.to_delete(
            process.tenant, _PAUSE, "process_id = :process", process=process.process_id
        )
        with suppress(ConditionFailed):  # it stands still for a later one
            self.table.transact([delete])


def _purpose(tenant: str, name: str) -> dict[str, str]:
    return {"tenant": tenant, "credential": name}
