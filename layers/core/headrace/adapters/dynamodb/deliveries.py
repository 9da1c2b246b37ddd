"""The outbox of webhooks in DynamoDB, beside the operations whose ends it tells.

    pk                  sk                              holds
    TENANT#CLIENT       delivery#OPERATION_ID#AAAA      the delivery of the end of attempt ``AAAA``;
                                                        due_shard, due_at: when the sweeper looks
                                                        at it (index ``due``), while it is pending

The item is put by the transaction that ends the attempt (``operations``). ``ttl`` tidies up.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace.adapters.dynamodb.pending import put_while_pending, tried_item, tried_of
from headrace.adapters.dynamodb.table import Item, Table
from headrace.exports.ports import DueDelivery
from headrace.exports.webhooks import Completion, Delivery
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import NotFound

_HISTORY = timedelta(days=120)
"""Longer than the operation's: no operation is left without its deliveries."""
_DUE_SHARDS = 4


@dataclass(frozen=True)
class DynamoDeliveries:
    """The ``Deliveries`` port. ``lease``: how long past its time a delivery is left alone."""

    table: Table
    lease: timedelta

    def get(self, tenant: str, client_id: str, operation_id: str, attempt: int) -> Delivery:
        """What is owed for the end of that attempt; consistent. Raises NotFound."""
        item = self.table.get(f"{tenant}#{client_id}", _sort(operation_id, attempt))
        if item is None:
            raise NotFound("There is no such delivery.")
        return delivery_of(tenant, client_id, item)

    def save(self, before: Delivery, after: Delivery) -> Delivery:
        """Writes ``after`` if it stands as ``before`` says. Raises Fenced."""
        item = {"pk": f"{after.tenant}#{after.client_id}", **delivery_item(after, self.lease)}
        put_while_pending(self.table, item, before)
        return after


@dataclass(frozen=True)
class DynamoDueDeliveries:
    """What the sweeper should look at, over the index ``due``; the one view across tenants."""

    table: Table

    def __call__(self, moment: datetime) -> Iterator[DueDelivery]:
        """Deliveries whose time to be looked at has come, oldest first within a shard."""
        for shard in range(_DUE_SHARDS):
            for item in self.table.due(f"delivery#{shard}", rfc3339(moment)):
                tenant, client_id = item["pk"].split("#", 1)
                _, operation_id, attempt = item["sk"].split("#")
                yield DueDelivery(tenant, client_id, operation_id, int(attempt))


def delivery_prefix(operation_id: str) -> str:
    """What the sort keys of an operation's deliveries begin with."""
    return f"delivery#{operation_id}#"


def _sort(operation_id: str, attempt: int) -> str:
    return f"{delivery_prefix(operation_id)}{attempt:04d}"


def delivery_item(delivery: Delivery, lease: timedelta) -> Item:
    """The item, without the partition's key."""
    what = delivery.completion
    item = {
        "sk": _sort(what.operation_id, what.attempt),
        "operation_id": what.operation_id,
        "attempt": what.attempt,
        "kind": what.kind,
        "status": what.status,
        "configuration_id": what.configuration_id,
        "entity": what.entity,
        "sync_version": what.sync_version,
        "error_code": what.error_code,
        "error_detail": what.error_detail,
        "ended_at": rfc3339(what.ended_at),
        "manifest": what.manifest,
        "endpoint": delivery.endpoint,
        **tried_item(delivery),
        "ttl": int((what.ended_at + _HISTORY).timestamp()),
    }
    if delivery.next_try_at is not None:
        shard = zlib.crc32(what.operation_id.encode()) % _DUE_SHARDS
        item["due_shard"] = f"delivery#{shard}"
        item["due_at"] = rfc3339(delivery.next_try_at + lease)
    return item


def delivery_of(tenant: str, client_id: str, item: Mapping[str, Any]) -> Delivery:
    """The inverse of ``delivery_item``."""
    return Delivery(
        tenant=tenant,
        client_id=client_id,
        endpoint=item["endpoint"],
        completion=Completion(
            operation_id=item["operation_id"],
            attempt=item["attempt"],
            kind=item["kind"],
            status=item["status"],
            configuration_id=item["configuration_id"],
            entity=item.get("entity"),
            sync_version=item.get("sync_version"),
            error_code=item.get("error_code"),
            error_detail=item.get("error_detail"),
            ended_at=from_rfc3339(item["ended_at"]),
            manifest=item["manifest"],
        ),
        **tried_of(item),
    )
