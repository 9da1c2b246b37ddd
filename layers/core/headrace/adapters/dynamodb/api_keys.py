"""The keys of external services in DynamoDB.

    pk                  sk              holds
    key#KEY_ID          key             a key (``ApiKey``); never its text; ``ttl``
    key#KEY_ID          spent#SHA256    a refresh token that was exchanged; ``ttl``
    service#SERVICE     key#KEY_ID      that the service has this key; ``ttl``
    service#SERVICE     keys            ``active``: the ids of keys that were not revoked, with the
                                        moments they expire at, unless they were exchanged since;
                                        ``version``: counts the writes

"So many at once" is a condition on the one item ``keys`` that every new key is written with. What a
key does later (an exchange, its revocation) is a condition on the key's own item. A key that has
ended is tidied away when it need not be listed any longer: one that is not there works no more than
one that was revoked.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.identity.api_keys import MAX_KEYS, ApiKey, KeyKind
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Conflict, HeadraceError, NotFound

_log = logging.getLogger(__name__)

_KEY, _KEYS, _SPENT = "key", "keys", "spent#"
_USE_NOTED = timedelta(minutes=10)
"""How exact the last use is: a key in use is written to no more often."""
_TRIES = 10
_MOMENTS = ("created_at", "expires_at", "rotated_at", "last_used_at", "revoked_at")
_TEXTS = (
    "service",
    "tenant",
    "created_by",
    "name",
    "organisation",
    "shown",
    "sha256",
    "previous_sha256",
    "bound_to",
)


@dataclass(frozen=True)
class DynamoApiKeys:
    """The ``ApiKeys`` port."""

    table: Table

    def find(self, key_id: str) -> ApiKey | None:
        """See the port."""
        item = self.table.get(_partition(key_id), _KEY)
        return None if item is None else _key(key_id, item)

    def listed(self, service: str) -> tuple[ApiKey, ...]:
        """See the port."""
        pointers = self.table.query(_service(service), "key#")
        key_ids = sorted(item["sk"].removeprefix("key#") for item in pointers)
        found = self.table.get_many((_partition(key_id), _KEY) for key_id in key_ids)
        items = {item["pk"]: item for item in found}
        return tuple(
            _key(key_id, items[_partition(key_id)])
            for key_id in key_ids
            if _partition(key_id) in items
        )

    def add(self, key: ApiKey) -> None:
        """See the port."""
        item = self.table.get(_service(key.service), _KEYS) or {"version": 0, "active": {}}
        now = rfc3339(key.created_at)
        active = self._working(item["active"], now)
        if len(active) >= MAX_KEYS:
            raise Conflict(
                f"The service has {MAX_KEYS} keys that work already; revoke one that is not needed."
            )
        keys = {
            "pk": _service(key.service),
            "sk": _KEYS,
            "version": item["version"] + 1,
            "active": active | {key.key_id: rfc3339(key.expires_at)},
        }
        pointer = {"pk": _service(key.service), "sk": f"key#{key.key_id}", "ttl": _ttl(key)}
        unseen = item["version"] == 0
        try:
            self.table.transact(
                [
                    self.table.to_put(keys, "attribute_not_exists(pk)")
                    if unseen
                    else self.table.to_put(keys, "#version = :seen", seen=item["version"]),
                    self.table.to_put(pointer, "attribute_not_exists(pk)"),
                    self.table.to_put(_item(key), "attribute_not_exists(pk)"),
                ]
            )
        except ConditionFailed:
            raise Conflict("Another key of the service was made just now; try again.") from None

    def _working(self, active: Mapping[str, str], now: str) -> dict[str, str]:
        """Those that have not expired. An exchange puts a key's end off on the key's own item."""
        late = [self.find(key_id) for key_id, ends in active.items() if ends <= now]
        since = {key.key_id: rfc3339(key.expires_at) for key in late if key is not None}
        return {name: ends for name, ends in {**active, **since}.items() if ends > now}

    def revoke(self, key_id: str, now: datetime) -> None:
        """See the port. Raises Conflict: keys of the service are made and revoked all the time."""
        for _ in range(_TRIES):
            key = self.find(key_id)
            if key is None:
                raise NotFound("There is no such key.")
            if key.revoked_at is not None or self._revoked(key, now):
                return
        raise Conflict("Other keys of the service are changed at this moment; try again.")

    def _revoked(self, key: ApiKey, now: datetime) -> bool:
        keys = self.table.get(_service(key.service), _KEYS) or {"version": 0, "active": {}}
        keys["active"].pop(key.key_id, None)
        left = keys | {"version": keys["version"] + 1}
        ended = replace(key, revoked_at=now)
        try:
            self.table.transact(
                [
                    self.table.to_update(
                        _partition(key.key_id),
                        _KEY,
                        "SET revoked_at = :now, #ttl = :ttl",
                        "attribute_exists(pk) AND attribute_not_exists(revoked_at)",
                        now=rfc3339(now),
                        ttl=_ttl(ended),
                    ),
                    self._pointer_kept(ended),
                    self.table.to_put(left, "#version = :seen", seen=keys["version"]),
                ]
            )
        except ConditionFailed:
            return False
        return True

    def exchange(self, before: ApiKey, after: ApiKey) -> bool:
        """See the port."""
        spent: Item = {
            "pk": _partition(before.key_id),
            "sk": f"{_SPENT}{before.sha256}",
            "ttl": int(after.expires_at.timestamp()),
        }
        try:
            self.table.transact(
                [
                    self.table.to_put(
                        _item(after),
                        "generation = :seen AND attribute_not_exists(revoked_at)",
                        seen=before.generation,
                    ),
                    self._pointer_kept(after),
                    self.table.to_put(spent),
                ]
            )
        except ConditionFailed:
            return False
        return True

    def _pointer_kept(self, key: ApiKey) -> Item:
        """An update of when the list forgets the key, for a transaction."""
        return self.table.to_update(
            _service(key.service),
            f"key#{key.key_id}",
            "SET #ttl = :ttl",
            "attribute_exists(pk)",
            ttl=_ttl(key),
        )

    def was_spent(self, key_id: str, sha256: str) -> bool:
        """See the port."""
        return self.table.get(_partition(key_id), f"{_SPENT}{sha256}") is not None

    def used(self, key: ApiKey, now: datetime) -> None:
        """See the port."""
        if key.last_used_at is not None and now < key.last_used_at + _USE_NOTED:
            return
        try:
            self.table.update(
                _partition(key.key_id),
                _KEY,
                "SET last_used_at = :now",
                "attribute_exists(pk)",
                now=rfc3339(now),
            )
        except (ConditionFailed, HeadraceError):
            _log.warning("the use of a key was not noted", exc_info=True)


def _item(key: ApiKey) -> Item:
    moments = {name: getattr(key, name) for name in _MOMENTS}
    return {
        "pk": _partition(key.key_id),
        "sk": _KEY,
        "kind": str(key.kind),
        "generation": key.generation,
        "ttl": _ttl(key),
        **{name: getattr(key, name) for name in _TEXTS},
        **{name: None if at is None else rfc3339(at) for name, at in moments.items()},
    }


def _ttl(key: ApiKey) -> int:
    return int(key.forgotten_at.timestamp())


def _key(key_id: str, item: Item) -> ApiKey:
    values: dict[str, Any] = {name: item[name] for name in _TEXTS if name in item}
    values |= {name: from_rfc3339(item[name]) for name in _MOMENTS if name in item}
    return ApiKey(
        key_id=key_id, kind=KeyKind(item["kind"]), generation=item["generation"], **values
    )


def _partition(key_id: str) -> str:
    return f"key#{key_id}"


def _service(service: str) -> str:
    return f"service#{service}"
