"""How often was tried to log in, in the table of users.

    pk                    sk             holds
    tries#SHA256          name           ``tries``, ``latest``: of a user name, there or not
    tries#SHA256          window#N       ``tries``: of an address in the Nth quarter of an hour

Names and addresses stand as hashes: what people type as a name may be a password. ``ttl`` removes
what counts no more.
"""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.identity.lockout import (
    FORGOTTEN_AFTER,
    Tries,
    Window,
    address_counted,
)
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import TooManyTries, Unavailable

_NAME = "name"
_ROUNDS = 40
_SLACK = 60
"""Seconds that an item is kept beyond its use, whatever the clocks say."""


@dataclass(frozen=True)
class DynamoLoginTries:
    """The ``LoginTries`` port."""

    table: Table
    tries_per_address: int = 100
    pause: Callable[[float], None] = time.sleep

    def count(self, username: str, source_ip: str, now: datetime) -> None:
        """See the port: one transaction, on the condition that nobody counted in between."""
        partition = _partition(f"name {username}")
        for attempt in range(_ROUNDS):
            item = self.table.get(partition, _NAME)
            seen = _tries(item)
            if wait := seen.wait(now):
                _refuse(wait)
            try:
                self.table.transact(
                    [
                        self._counted(partition, seen.after_another(now), item),
                        self._counted_at(source_ip, now),
                    ]
                )
                return
            except ConditionFailed as error:
                if 1 in error.failed:
                    _refuse(Window.at(now).ends_in)
            self.pause(random.uniform(0, min(0.2, 0.01 * 2**attempt)))  # noqa: S311 — jitter
        raise Unavailable("Too many log in at this moment; try again.", retry_after=1)

    def forget(self, username: str) -> None:
        """See the port."""
        delete = self.table.to_delete(_partition(f"name {username}"), _NAME, "attribute_exists(pk)")
        try:
            self.table.transact([delete])
        except ConditionFailed:
            return  # another login of the same user forgot them first

    def take_back(self, source_ip: str, now: datetime) -> None:
        """See the port."""
        try:
            self.table.update(
                *_window_of(source_ip, Window.at(now)),
                "SET tries = tries - :one",
                "tries >= :one",
                one=1,
            )
        except ConditionFailed:
            return  # the window was removed, and the count with it

    def _counted(self, partition: str, tries: Tries, seen: Item | None) -> Item:
        item = {
            "pk": partition,
            "sk": _NAME,
            "tries": tries.count,
            "latest": rfc3339(tries.last),
            "ttl": int((tries.last + FORGOTTEN_AFTER).timestamp()) + _SLACK,
        }
        if seen is None:
            return self.table.to_put(item, "attribute_not_exists(pk)")
        return self.table.to_put(
            item,
            "tries = :tries AND latest = :latest",
            tries=seen["tries"],
            latest=seen["latest"],
        )

    def _counted_at(self, source_ip: str, now: datetime) -> Item:
        window = Window.at(now)
        return self.table.to_update(
            *_window_of(source_ip, window),
            "SET tries = if_not_exists(tries, :none) + :one, #ttl = :ttl",
            "attribute_not_exists(tries) OR tries < :most",
            none=0,
            one=1,
            most=self.tries_per_address,
            ttl=int(now.timestamp()) + window.ends_in + _SLACK,
        )


def _refuse(seconds: int) -> NoReturn:
    raise TooManyTries("Too many tries; wait, and then try again.", retry_after=seconds)


def _tries(item: Item | None) -> Tries:
    return Tries() if item is None else Tries(item["tries"], from_rfc3339(item["latest"]))


def _window_of(source_ip: str, window: Window) -> tuple[str, str]:
    return _partition(f"address {address_counted(source_ip)}"), f"window#{window.number}"


def _partition(what: str) -> str:
    return f"tries#{hashlib.sha256(what.encode()).hexdigest()}"
