"""The versions that clients' data has come to, in the table of operations.

    pk                  sk                                      holds
    TENANT#CLIENT       baseline#CONFIGURATION#ENTITY           the latest one
    TENANT#CLIENT       baseline#CONFIGURATION#ENTITY#V#G       one of them, by the SHA-256 of its
                                                                version and of what was granted

ENTITY is empty where all of the configuration is meant. What a data broker has on behalf of an
organisation is ``baseline@ORGANISATION#CONFIGURATION#…``. Items of ended operations are written
with the end itself (``DynamoOperations.end``): no version is recorded that the data did not come
to.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Any
from urllib.parse import quote

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.exports.model import Baseline, OperationKind
from headrace.kernel.clock import from_rfc3339, rfc3339

_KEPT = timedelta(days=400)
"""Longer than any source keeps its changes."""


def _pk(tenant: str, client_id: str) -> str:
    return f"{tenant}#{client_id}"


def _sk(
    organisation: str | None,
    configuration_id: str,
    entity: str | None,
    version: str | None = None,
) -> str:
    owner = "" if organisation is None else f"@{quote(organisation, safe='')}"
    sk = f"baseline{owner}#{configuration_id}#{quote(entity or '', safe='')}"
    return sk if version is None else f"{sk}#{hashlib.sha256(version.encode()).hexdigest()}#"


def _own_sk(baseline: Baseline) -> str:
    grants = json.dumps(dict(baseline.grants), sort_keys=True)
    prefix = _sk(
        baseline.organisation, baseline.configuration_id, baseline.entity, baseline.version
    )
    return f"{prefix}{hashlib.sha256(grants.encode()).hexdigest()}"


def _item(baseline: Baseline, sk: str) -> Item:
    return {
        "sk": sk,
        "configuration_id": baseline.configuration_id,
        "entity": baseline.entity,
        "version": baseline.version,
        "grants": dict(baseline.grants),
        "reached_at": rfc3339(baseline.reached_at),
        "operation_id": baseline.operation_id,
        "kind": str(baseline.kind) if baseline.kind else None,
        "organisation": baseline.organisation,
        "ttl": int((baseline.reached_at + _KEPT).timestamp()),
    }


def baseline_items(baseline: Baseline) -> tuple[Item, Item]:
    """What is written of a baseline that data has come to, without the partition."""
    latest = _sk(baseline.organisation, baseline.configuration_id, baseline.entity)
    return _item(baseline, latest), _item(baseline, _own_sk(baseline))


def _baseline(item: Mapping[str, Any]) -> Baseline:
    return Baseline(
        configuration_id=item["configuration_id"],
        entity=item.get("entity"),
        version=item["version"],
        grants=item["grants"],
        reached_at=from_rfc3339(item["reached_at"]),
        operation_id=item.get("operation_id"),
        kind=OperationKind(item["kind"]) if item.get("kind") else None,
        organisation=item.get("organisation"),
    )


@dataclass(frozen=True)
class DynamoBaselines:
    """The ``Baselines`` port."""

    table: Table

    def latest(
        self,
        tenant: str,
        client_id: str,
        configuration_id: str,
        entity: str | None,
        organisation: str | None = None,
    ) -> Baseline | None:
        """See the port: the later of the entity's own and the whole configuration's."""
        found = [
            _baseline(item)
            for name in {entity, None}
            if (
                item := self.table.get(
                    _pk(tenant, client_id), _sk(organisation, configuration_id, name)
                )
            )
        ]
        return max(found, key=lambda one: one.reached_at, default=None)

    def find(
        self,
        tenant: str,
        client_id: str,
        configuration_id: str,
        entity: str | None,
        version: str,
        organisation: str | None = None,
    ) -> Baseline | None:
        """See the port."""
        found = [
            _baseline(item)
            for name in {entity, None}
            for item in self.table.query(
                _pk(tenant, client_id), _sk(organisation, configuration_id, name, version)
            )
        ]
        return reduce(Baseline.agreed, found) if found else None

    def tell(self, tenant: str, client_id: str, baseline: Baseline) -> None:
        """See the port."""
        item = {"pk": _pk(tenant, client_id), **_item(baseline, _own_sk(baseline))}
        try:
            self.table.put(item, "attribute_not_exists(pk)")
        except ConditionFailed:
            return
