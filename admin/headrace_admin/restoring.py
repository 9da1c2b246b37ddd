"""Tables as they were at a moment, beside those that are used, and items brought back from them.

DynamoDB restores into a new table, and a stack's tables have names that CloudFormation gave them.
So a table is restored beside the one that is used, looked at, and what is missing is copied back.
Each step can be killed and run again: names are made of the moment, and an item is written on the
condition that it is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Any

from headrace.adapters.dynamodb.table import Table, marshal, unmarshal
from headrace.audit.model import Action, Span
from headrace.audit.usecases import ReadTrail
from headrace.exports.model import Status
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace_admin.deployment import Deployment

TABLES = {
    "audit": "AuditTableName",
    "catalog": "CatalogTableName",
    "consents": "ConsentsTableName",
    "credentials": "CredentialsTableName",
    "data-sets": "DataSetsTableName",
    "operations": "OperationsTableName",
    "profiles": "ProfilesTableName",
    "statistics": "StatisticsTableName",
    "templates": "TemplatesTableName",
    "users": "UsersTableName",
    "webhook-secrets": "WebhookSecretsTableName",
}
"""Those that have point-in-time recovery, with the stack's outputs that name them."""

_BATCH = 100
_OF_A_PROCESS = ("LEASE", "PAUSE")
_ENDINGS = (Action.ERASE, Action.REVOKE, Action.DELETE)
_WAIT = {"Delay": 10, "MaxAttempts": 6 * 60 * 24}
"""For a day at most: how long AWS takes grows with the table."""


@dataclass
class Compared:
    """How many items of a restored table stand how in the one that is used."""

    table: str
    same: int = 0
    changed: int = 0
    missing: int = 0
    ended: int = 0
    """Missing, and rightly: expired, ended by somebody as the trail says, or the lock of what has
    ended."""

    copied: int = 0


@dataclass(frozen=True)
class Restoration:
    """A deployment's tables as they were at a moment (whole seconds, UTC)."""

    deployment: Deployment
    client: Any
    at: datetime

    def used(self, table: str) -> str:
        """The name of the table that is used. Raises InvalidRequest, DeploymentNotFound."""
        if table not in TABLES:
            raise InvalidRequest(f"There is no table {table}; there are {', '.join(TABLES)}.")
        return self.deployment.output(TABLES[table])

    def restored(self, table: str) -> str:
        """The name that it is restored under."""
        return f"{self.used(table)}-at-{self.at:%Y%m%dT%H%M%SZ}"

    def begin(self, table: str) -> None:
        """Has AWS restore it, unless it does already. Raises InvalidRequest."""
        if self._exists(table):
            return
        errors = self.client.exceptions
        try:
            self.client.restore_table_to_point_in_time(
                SourceTableName=self.used(table),
                TargetTableName=self.restored(table),
                RestoreDateTime=self.at,
            )
        except (errors.TableAlreadyExistsException, errors.TableInUseException):
            return  # somebody else began it in this very moment
        except errors.InvalidRestoreTimeException as error:
            raise InvalidRequest(
                f"{table} cannot be restored to {self.at:%c} UTC: {error}"
            ) from None

    def wait(self, table: str) -> None:
        """Until it is restored."""
        waiter = self.client.get_waiter("table_exists")
        waiter.wait(TableName=self.restored(table), WaiterConfig=_WAIT)

    def remove(self, table: str) -> bool:
        """Removes the restored table; whether there was one."""
        there = self._exists(table)
        if there:
            self.client.delete_table(TableName=self.restored(table))
        return there

    def as_it_was(self, tables: tuple[str, ...]) -> Deployment:
        """The deployment with these restored tables in place of those that are used."""
        names = {TABLES[table]: self.restored(table) for table in tables}
        return replace(self.deployment, outputs={**self.deployment.outputs, **names})

    def compare(
        self, table: str, now: datetime, *, copy: bool = False, partition: str | None = None
    ) -> Compared:
        """Looks at each restored item, of one partition if it is named; with ``copy`` missing ones
        are brought back. What is there, changed or not, is left as it is. Raises NotFound."""
        if not self._exists(table):
            raise NotFound(f"{table} was not restored to that moment; run restore tables first.")
        used, found, ended = (
            Table(self.client, self.used(table)),
            Compared(table),
            self._ended(now),
        )
        for batch in batched(self._items(table, partition), _BATCH, strict=False):
            keys = [(item["pk"]["S"], item["sk"]["S"]) for item in batch]
            there = {(item["pk"], item["sk"]): item for item in used.get_many(keys)}
            for key, item in zip(keys, batch, strict=True):
                if key in there:
                    same = marshal(there[key]) == marshal(unmarshal(item))
                    found.same, found.changed = found.same + same, found.changed + (not same)
                elif _is_over(item, now, ended) or _locks_nothing(used, unmarshal(item)):
                    found.ended += 1
                else:
                    found.missing += 1
                    found.copied += copy and self._put(used.name, item)
        return found

    def _items(self, table: str, partition: str | None) -> Iterator[dict[str, Any]]:
        """In DynamoDB's own notation, so that what is copied is what was there."""
        request: dict[str, Any] = {"TableName": self.restored(table), "ConsistentRead": True}
        if partition is not None:
            request["KeyConditionExpression"] = "pk = :pk"
            request["ExpressionAttributeValues"] = {":pk": {"S": partition}}
        reader = self.client.get_paginator("scan" if partition is None else "query")
        for page in reader.paginate(**request):
            yield from page["Items"]

    def _put(self, name: str, item: dict[str, Any]) -> bool:
        """Whether it was still missing."""
        try:
            self.client.put_item(
                TableName=name, Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _exists(self, table: str) -> bool:
        try:
            self.client.describe_table(TableName=self.restored(table))
        except self.client.exceptions.ResourceNotFoundException:
            return False
        return True

    def _ended(self, now: datetime) -> frozenset[str]:
        """The ids of what was erased, revoked and deleted since the moment, by the trail."""
        trail = ReadTrail(self.deployment.audit_trail())(Span(self.at.date(), now.date()))
        return frozenset(
            value
            for event in trail
            if event.action in _ENDINGS and event.at >= self.at
            for name, value in event.concerns.items()
            if name != "toProfileId"
        )


def _locks_nothing(used: Table, item: dict[str, Any]) -> bool:
    """Is it the lock of a client whose operation has ended since, or a tenant's lease or pause of
    background processing for a process that has.

    With its lock back, the client could start no other, and nobody would ever take it away; with
    the pause, the next import would start what an operator had stopped.
    """
    if item["sk"].partition("@")[0] == "lock" and "operation_id" in item:
        operation = used.get(item["pk"], f"operation#{item['operation_id']}")
        if operation is None:
            return False  # it comes back too, and the sweeper closes both
        return not Status(operation["status"]).active or operation["attempt"] != item["attempt"]
    if item["sk"] in _OF_A_PROCESS and "process_id" in item:
        process = used.get(item["pk"], f"PROCESS#{item['process_id']}")
        return process is not None and "ended_at" in process
    return False


def _is_over(item: dict[str, Any], now: datetime, ended: frozenset[str]) -> bool:
    """Has it expired by now, or is it of something that somebody ended."""
    if "ttl" in item and int(item["ttl"]["N"]) <= now.timestamp():
        return True
    texts = {value["S"] for value in item.values() if "S" in value}
    parts = {part for text in (item["pk"]["S"], item["sk"]["S"]) for part in text.split("#")}
    return not ended.isdisjoint(texts | parts)
