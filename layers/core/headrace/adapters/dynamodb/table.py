"""One DynamoDB table: items as plain dictionaries, and transactions that say what failed.

Numbers are whole numbers throughout; a value of None is left out, so it never stands as NULL.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import batched, islice
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of
from headrace.kernel.errors import Unavailable

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

type Item = dict[str, Any]

_SERVICE = "The database"
_ATTEMPTS = 12
_MOST_PK_BYTES, _MOST_SK_BYTES = 2048, 1024
"""The longest keys that an item can have; DynamoDB refuses to look for any other."""
_BATCH = 100
"""Items of one BatchGetItem, at most."""
_TRANSIENT = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
    }
)


def marshal(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in DynamoDB's own notation."""
    return {name: _serialize(value) for name, value in item.items() if value is not None}


def unmarshal(item: Mapping[str, Any]) -> Item:
    """The inverse of ``marshal``."""
    return {name: _plain(_deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, Binary):
        return bytes(value.value)  # type: ignore[attr-defined]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, set):
        return {_plain(item) for item in value}
    return value


class ConditionFailed(Exception):
    """A condition did not hold. ``failed``: the positions in the transaction, in its order."""

    def __init__(self, failed: frozenset[int] = frozenset({0})) -> None:
        super().__init__(f"conditions {sorted(failed)} do not hold")
        self.failed = failed


@dataclass(frozen=True)
class Table:
    """A table with the string keys ``pk`` and ``sk``."""

    client: Any
    name: str
    pause: Callable[[float], None] = time.sleep

    @answer_of(_SERVICE)
    def get(self, pk: str, sk: str) -> Item | None:
        """The item, read consistently, or None: so it is of keys that no item can have, which
        callers write into paths and queries."""
        if not (_is_key(pk, _MOST_PK_BYTES) and _is_key(sk, _MOST_SK_BYTES)):
            return None
        reply = self.client.get_item(
            TableName=self.name, Key=marshal({"pk": pk, "sk": sk}), ConsistentRead=True
        )
        return unmarshal(reply["Item"]) if "Item" in reply else None

    def get_many(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        """Those of the items that there are, read consistently, in no order. Raises Unavailable."""
        wanted = [marshal({"pk": pk, "sk": sk}) for pk, sk in keys]
        for batch in batched(wanted, _BATCH, strict=False):
            left = list(batch)
            for attempt in range(_ATTEMPTS):
                asked = {self.name: {"Keys": left, "ConsistentRead": True}}
                with answer_of(_SERVICE):
                    reply = self.client.batch_get_item(RequestItems=asked)
                yield from (unmarshal(item) for item in reply["Responses"].get(self.name, ()))
                left = reply["UnprocessedKeys"].get(self.name, {}).get("Keys", [])
                if not left:
                    break
                self._wait(attempt)
            else:
                raise Unavailable("The database is busy; try again.", retry_after=1)

    def query(
        self,
        pk: str,
        sk_prefix: str,
        *,
        before: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Items of the partition whose sort key begins so, or with ``before`` is one from there up
        to that, read consistently, page by page."""
        if before is not None and sk_prefix > before:
            return  # DynamoDB refuses to look for what cannot be there
        values = {":pk": pk}
        if before is None:
            condition, values[":prefix"] = "pk = :pk AND begins_with(sk, :prefix)", sk_prefix
        else:
            condition = "pk = :pk AND sk BETWEEN :prefix AND :before"
            values |= {":prefix": sk_prefix, ":before": before}
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": marshal(values),
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if limit is not None:
            # An answer has fewer where they come to 1 MB.
            request["Limit"] = limit
        yield from islice(self._pages(request), limit)

    def due(self, shard: str, moment: str) -> Iterator[Item]:
        """What the index ``due`` has of the shard up to the moment, in its order; page by page.

        An index lags a little: what it shows may have moved on.
        """
        return self._pages(
            {
                "TableName": self.name,
                "IndexName": "due",
                "KeyConditionExpression": "due_shard = :shard AND due_at <= :now",
                "ExpressionAttributeValues": marshal({":shard": shard, ":now": moment}),
            }
        )

    def _pages(self, request: Item) -> Iterator[Item]:
        while True:
            with answer_of(_SERVICE):
                reply = self.client.query(**request)
            yield from (unmarshal(item) for item in reply["Items"])
            if "LastEvaluatedKey" not in reply:
                return
            request = request | {"ExclusiveStartKey": reply["LastEvaluatedKey"]}

    def put(self, item: Item, condition: str | None = None, **values: Any) -> None:
        """Writes the item. Raises ConditionFailed."""
        self.transact([self.to_put(item, condition, **values)])

    def update(self, pk: str, sk: str, update: str, condition: str, **values: Any) -> None:
        """Changes an item under a condition. Raises ConditionFailed."""
        self.transact([self.to_update(pk, sk, update, condition, **values)])

    @answer_of(_SERVICE)
    def add(self, pk: str, sk: str, number: str) -> None:
        """Adds one to a number of an item, which need not be there. Raises Unavailable.

        No transaction, as counting at the same moment is no conflict; so a lost reply may count
        twice.
        """
        self.client.update_item(
            TableName=self.name,
            Key=marshal({"pk": pk, "sk": sk}),
            UpdateExpression="ADD #number :one",
            ExpressionAttributeNames={"#number": number},
            ExpressionAttributeValues=marshal({":one": 1}),
        )

    def to_put(self, item: Item, condition: str | None = None, **values: Any) -> Item:
        """A put, for ``transact``."""
        return {"Put": {"Item": marshal(item), **self._conditions(condition, values)}}

    def to_update(self, pk: str, sk: str, update: str, condition: str, **values: Any) -> Item:
        """An update, for ``transact``. ``#name`` in the texts is the attribute ``name``."""
        texts = f"{update} {condition}"
        return {
            "Update": {
                "Key": marshal({"pk": pk, "sk": sk}),
                "UpdateExpression": update,
                **self._conditions(condition, values, texts),
            }
        }

    def to_delete(self, pk: str, sk: str, condition: str | None = None, **values: Any) -> Item:
        """A delete, for ``transact``."""
        key = marshal({"pk": pk, "sk": sk})
        return {"Delete": {"Key": key, **self._conditions(condition, values)}}

    def to_check(self, pk: str, sk: str, condition: str, **values: Any) -> Item:
        """A condition on an item that stays as it is, for ``transact``."""
        key = marshal({"pk": pk, "sk": sk})
        return {"ConditionCheck": {"Key": key, **self._conditions(condition, values)}}

    @answer_of(_SERVICE)
    def transact(self, actions: Sequence[Item]) -> None:
        """All of the actions or none. Raises ConditionFailed, Unavailable.

        A conflict with another transaction is no answer to a caller: it is tried again, with
        jitter, until the conditions decide.
        """
        items = [
            {verb: {"TableName": self.name, **body} for verb, body in action.items()}
            for action in actions
        ]
        # One token for all tries: a write whose reply was lost is not applied, nor refused by
        # its own conditions, a second time. That is why even one write goes as a transaction.
        token = str(uuid.uuid4())
        for attempt in range(_ATTEMPTS):
            try:
                self.client.transact_write_items(TransactItems=items, ClientRequestToken=token)
                return
            except ClientError as error:
                failed = _failed_conditions(error)
                if failed:
                    raise ConditionFailed(failed) from None
                if not _transient(error):
                    raise
            self._wait(attempt)
        raise Unavailable("The database is busy; try again.", retry_after=1)

    def _wait(self, attempt: int) -> None:
        self.pause(random.uniform(0, min(1.0, 0.02 * 2**attempt)))  # noqa: S311 — jitter

    @staticmethod
    def _conditions(
        condition: str | None, values: Mapping[str, Any], texts: str | None = None
    ) -> Item:
        request: Item = {}
        texts = texts if texts is not None else condition or ""
        if condition:
            request["ConditionExpression"] = condition
        names = {word.strip(",()=") for word in texts.split() if word.strip("(").startswith("#")}
        names = {"#" + name.split("#", 1)[1].strip(",()=.") for name in names}
        if names:
            request["ExpressionAttributeNames"] = {name: name[1:] for name in names}
        if values:
            request["ExpressionAttributeValues"] = {
                f":{name}": _serialize(value) for name, value in values.items()
            }
        return request


def _is_key(text: str, most: int) -> bool:
    return 0 < len(text.encode()) <= most


def _failed_conditions(error: ClientError) -> frozenset[int]:
    response: Any = error.response
    return frozenset(
        index
        for index, reason in enumerate(response.get("CancellationReasons") or [])
        if reason.get("Code") == "ConditionalCheckFailed"
    )


def _transient(error: ClientError) -> bool:
    response: Any = error.response
    if response["Error"]["Code"] in _TRANSIENT:
        return True
    reasons = response.get("CancellationReasons") or []
    return any(reason.get("Code") in _TRANSIENT for reason in reasons)
