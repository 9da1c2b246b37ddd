"""Processes of data sets in DynamoDB, their lease, messages and notices.

A partition holds all that one tenant has of them, beside the data sets (``data_sets``).

    pk          sk                          holds
    TENANT      PROCESS#ID                  a process; due_shard, due_at: when the sweeper looks
                                            at it (index ``due``), once more when it has ended; of
                                            an import that was undone, ``undone_by``
    TENANT      LEASE                       ``process_id`` of the one that runs, and ``held_until``:
                                            from when on somebody who wants it asks whether it is
                                            dead, if nothing is heard of it
    TENANT      MESSAGES#ID#DIGEST          one message of a process; ``told_at`` orders them
    TENANT      NOTICE#ID                   the notice of its end; due_shard, due_at while pending
    TENANT      KEY#CLIENT#SHA256_OF_KEY    what a caller's Idempotency-Key started

``ttl`` lets DynamoDB tidy up what has no meaning any more; no rule relies on it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched, count, islice
from typing import Any

from headrace.adapters.dynamodb.data_sets import to_add, to_change
from headrace.adapters.dynamodb.pending import put_while_pending, tried_item, tried_of
from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.datasets.messages import TECHNICAL_FAILURE, Message, Severity
from headrace.datasets.model import DataSet, Process, ProcessKind, Progress, Result
from headrace.datasets.notices import Notice
from headrace.datasets.ports import Due
from headrace.kernel.clock import Clock, from_rfc3339, rfc3339
from headrace.kernel.errors import DataSetExists, Fenced, IdempotencyKeyReused
from headrace.kernel.idempotency import IdempotencyKey
from headrace.kernel.paging import Page

MOST_MESSAGES = 10_000
"""Of a process; further ones are not kept."""
_KEY_LIFETIME = timedelta(hours=24)
_TRIES = 5
_ACTIONS = 99
"""Of a transaction, beside the one on the process."""
_LAST_WORD = "99999"
"""Sorts after all that the worker itself told, also in the same instant."""


@dataclass(frozen=True)
class DynamoProcesses:
    """The ``Processes`` port. ``grace``: how long past its time the sweeper leaves one alone."""

    table: Table
    clock: Clock
    grace: timedelta = timedelta(seconds=30)

    # --- beginning --------------------------------------------------------------------------

    def begin(
        self,
        process: Process,
        lease: timedelta,
        key: IdempotencyKey | None = None,
        *,
        is_gone: Callable[[Process], bool],
        adding: DataSet | None = None,
        changing: DataSet | None = None,
    ) -> Process | None:
        """See the port."""
        now = self.clock.now()
        for _ in range(_TRIES):
            if key is not None and (before := self._started_before(process, key, now)) is not None:
                return before
            held = self.table.get(process.tenant, "LEASE")
            actions = self._to_begin(process, now + lease, held)
            if adding is not None:
                if self.table.get(adding.tenant, f"SET#{adding.definition}#{adding.code}"):
                    raise DataSetExists("There is a data set of this code already.")
                actions += to_add(self.table, adding)
            if changing is not None:
                actions.append(to_change(self.table, changing))
            if held is not None:
                if from_rfc3339(held["held_until"]) > now:
                    # It may be the same start, repeated, that took it since the key was looked up.
                    return self._started_before(process, key, now) if key is not None else None
                dead = self.find(process.tenant, held["process_id"])
                if dead is not None and not dead.has_ended:
                    if not is_gone(dead):
                        return None
                    actions += self._to_fail(dead, now)
            if key is not None:
                actions.append(self._to_remember(process, key, now))
            try:
                self.table.transact(actions)
            except ConditionFailed:
                continue  # somebody else began at the same moment: see who
            return process
        return None

    def _to_begin(self, process: Process, until: datetime, held: Item | None) -> list[Item]:
        lease: Item = {
            "pk": process.tenant,
            "sk": "LEASE",
            "process_id": process.process_id,
            "held_until": rfc3339(until),
        }
        if held is None:
            put = self.table.to_put(lease, "attribute_not_exists(pk)")
        else:
            put = self.table.to_put(
                lease,
                "process_id = :dead AND held_until = :seen",
                dead=held["process_id"],
                seen=held["held_until"],
            )
        item = {**_process_item(process), **self._due(until)}
        return [self.table.to_put(item, "attribute_not_exists(pk)"), put]

    def _to_fail(self, dead: Process, now: datetime) -> list[Item]:
        """What fails a process that nobody is at any more."""
        reason = TECHNICAL_FAILURE(reason="the work ended without a result; start it again")
        failed = dead.ended(Result.FAILURE, now, dead.outcome)
        return [*self._to_end(failed), self._to_tell(dead, reason, f"{rfc3339(now)}#{_LAST_WORD}")]

    def repeated(self, process: Process, key: IdempotencyKey) -> Process | None:
        """See the port."""
        return self._started_before(process, key, self.clock.now())

    def _started_before(
        self, process: Process, key: IdempotencyKey, now: datetime
    ) -> Process | None:
        kept = self.table.get(process.tenant, _key_sort(process, key))
        if kept is None or from_rfc3339(kept["valid_until"]) < now:
            return None
        if kept["body_sha256"] != key.body_sha256:
            raise IdempotencyKeyReused(
                "This Idempotency-Key started another request; use a new key for a new request."
            )
        return self.find(process.tenant, kept["process_id"])

    def _to_remember(self, process: Process, key: IdempotencyKey, now: datetime) -> Item:
        until = now + _KEY_LIFETIME
        return self.table.to_put(
            {
                "pk": process.tenant,
                "sk": _key_sort(process, key),
                "process_id": process.process_id,
                "body_sha256": key.body_sha256,
                "valid_until": rfc3339(until),
                "ttl": int(until.timestamp()),
            },
            "attribute_not_exists(pk) OR valid_until < :now",
            now=rfc3339(now),
        )

    # --- reading ----------------------------------------------------------------------------

    def find(self, tenant: str, process_id: str) -> Process | None:
        """See the port."""
        item = self.table.get(tenant, f"PROCESS#{process_id}")
        return None if item is None else _process(tenant, item)

    def latest(self, tenant: str, limit: int) -> tuple[Process, ...]:
        """The newest first, so many at most. Ids of processes sort by time."""
        found = self.table.query(tenant, "PROCESS#", newest_first=True)
        return tuple(_process(tenant, item) for item in islice(found, limit))

    def running(self, tenant: str) -> str | None:
        """See the port."""
        held = self.table.get(tenant, "LEASE")
        return None if held is None else str(held["process_id"])

    def messages(self, tenant: str, process_id: str, number: int, size: int) -> Page[Message]:
        """See the port."""
        items = sorted(
            self.table.query(tenant, f"MESSAGES#{process_id}#"),
            key=lambda item: (item["told_at"], item["sk"]),
        )
        start = (number - 1) * size
        page = tuple(_message(item) for item in items[start : start + size])
        return Page(page, size, number, len(items))

    # --- going on ---------------------------------------------------------------------------

    def renew(self, process: Process, lease: timedelta, progress: Progress) -> None:
        """See the port."""
        until = self.clock.now() + lease
        due = self._due(until)
        self._fenced(
            [
                self._to_move(
                    process,
                    "SET done = :done, due_at = :due_at" + _total(progress),
                    done=progress.done,
                    due_at=due["due_at"],
                    **({} if progress.total is None else {"total": progress.total}),
                ),
                self.table.to_update(
                    process.tenant,
                    "LEASE",
                    "SET held_until = :until",
                    "process_id = :process",
                    until=rfc3339(until),
                    process=process.process_id,
                ),
            ]
        )

    def tell(self, process: Process, messages: Iterable[Message]) -> None:
        """See the port."""
        now = rfc3339(self.clock.now())
        numbers = count()
        for some in batched(dict.fromkeys(messages), _ACTIONS, strict=False):
            kept = self.table.get(process.tenant, f"PROCESS#{process.process_id}")
            if kept is not None and kept.get("told", 0) >= MOST_MESSAGES:
                return
            move = self._to_move(process, "ADD told :told", told=len(some))
            told = [
                self._to_tell(process, message, f"{now}#{next(numbers):05d}") for message in some
            ]
            self._fenced([move, *told])

    def end(self, process: Process) -> None:
        """See the port."""
        self._fenced(
            [
                *self._to_end(process),
                self.table.to_delete(
                    process.tenant, "LEASE", "process_id = :process", process=process.process_id
                ),
            ]
        )

    def undone(self, process: Process, by: str) -> None:
        """See the port."""
        try:
            self.table.update(
                process.tenant,
                f"PROCESS#{process.process_id}",
                "SET undone_by = :by",
                "attribute_exists(pk) AND (attribute_not_exists(undone_by) OR undone_by = :by)",
                by=by,
            )
        except ConditionFailed:
            raise Fenced("The import was undone by another process.") from None

    def look_again(self, process: Process, moment: datetime) -> None:
        """See the port."""
        due_at = rfc3339(moment)
        self._fenced([self._to_move(process, "SET due_at = :due_at", due_at=due_at)])

    def tidied(self, process: Process, again_at: datetime | None) -> None:
        """See the port."""
        update, values = "REMOVE due_shard, due_at", {}
        if again_at is not None:
            update, values = "SET due_at = :again", {"again": rfc3339(again_at)}
        with suppress(ConditionFailed):  # another sweep has done it
            self.table.update(
                process.tenant,
                f"PROCESS#{process.process_id}",
                update,
                "due_shard = :shard",
                shard=_ENDED,
                **values,
            )

    def _to_end(self, process: Process) -> list[Item]:
        ended_at, result = process.ended_at, process.result
        if ended_at is None or result is None:
            raise ValueError("the process has not ended")
        notice = Notice(
            tenant=process.tenant,
            process_id=process.process_id,
            kind=process.kind,
            result=result,
            ended_at=ended_at,
            next_try_at=ended_at,
        )
        move = self._to_move(
            process,
            "SET #result = :result, ended_at = :ended, outcome = :outcome, due_shard = :shard, "
            "due_at = :due",
            shard=_ENDED,
            due=rfc3339(ended_at + self.grace),
            result=str(result),
            ended=rfc3339(ended_at),
            outcome=json.dumps(dict(process.outcome)),
        )
        return [move, self.table.to_put(notice_item(notice, self.grace))]

    def _to_move(self, process: Process, update: str, **values: Any) -> Item:
        return self.table.to_update(
            process.tenant,
            f"PROCESS#{process.process_id}",
            update,
            "attribute_exists(pk) AND attribute_not_exists(ended_at) AND attempt = :attempt",
            attempt=process.attempt,
            **values,
        )

    def _to_tell(self, process: Process, message: Message, told_at: str) -> Item:
        values = (message.code, str(message.severity), message.text, message.item)
        digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]
        update = "SET code = :code, severity = :severity, #text = :text"
        update += ", told_at = if_not_exists(told_at, :told_at)"
        given: dict[str, Any] = {} if message.item is None else {"about": message.item}
        return self.table.to_update(
            process.tenant,
            f"MESSAGES#{process.process_id}#{digest}",
            update + (", about = :about" if given else ""),
            "",
            code=message.code,
            severity=str(message.severity),
            text=message.text,
            told_at=told_at,
            **given,
        )

    def _due(self, until: datetime) -> Item:
        return {"due_shard": _PROCESSES, "due_at": rfc3339(until + self.grace)}

    def _fenced(self, actions: list[Item]) -> None:
        try:
            self.table.transact(actions)
        except ConditionFailed:
            raise Fenced("The process has ended, or another one has taken its lease.") from None


@dataclass(frozen=True)
class DynamoNotices:
    """The ``Notices`` port. ``grace``: how long past its time a notice is left alone."""

    table: Table
    grace: timedelta = timedelta(seconds=30)

    def find(self, tenant: str, process_id: str) -> Notice | None:
        """See the port."""
        item = self.table.get(tenant, f"NOTICE#{process_id}")
        return None if item is None else _notice(tenant, item)

    def save(self, before: Notice, after: Notice) -> Notice:
        """See the port."""
        put_while_pending(self.table, notice_item(after, self.grace), before)
        return after


@dataclass(frozen=True)
class DynamoDueProcesses:
    """The ``DueProcesses`` port, over the index ``due``."""

    table: Table

    def processes(self, moment: datetime) -> Iterator[Due]:
        """See the port."""
        return self._due(_PROCESSES, moment)

    def notices(self, moment: datetime) -> Iterator[Due]:
        """See the port."""
        return self._due(_NOTICES, moment)

    def ended(self, moment: datetime) -> Iterator[Due]:
        """See the port."""
        return self._due(_ENDED, moment)

    def _due(self, shard: str, moment: datetime) -> Iterator[Due]:
        for item in self.table.due(shard, rfc3339(moment)):
            process_id = item["sk"].partition("#")[2]
            yield Due(item["pk"], process_id, from_rfc3339(item["due_at"]))


# --- items and values -----------------------------------------------------------------------

_PROCESSES, _NOTICES, _ENDED = "process", "notice", "ended"


def _total(progress: Progress) -> str:
    return "" if progress.total is None else ", #total = :total"


def _key_sort(process: Process, key: IdempotencyKey) -> str:
    return f"KEY#{process.started_by}#{hashlib.sha256(key.key.encode()).hexdigest()}"


def _process_item(process: Process) -> Item:
    return {
        "pk": process.tenant,
        "sk": f"PROCESS#{process.process_id}",
        "process_id": process.process_id,
        "kind": str(process.kind),
        "definition": process.definition,
        "data_set": process.data_set,
        "started_at": rfc3339(process.started_at),
        "started_by": process.started_by,
        "request": json.dumps(dict(process.request)),
        "done": process.progress.done,
        "total": process.progress.total,
        "attempt": process.attempt,
    }


def _process(tenant: str, item: Mapping[str, Any]) -> Process:
    running = Process(
        tenant=tenant,
        process_id=item["process_id"],
        kind=ProcessKind(item["kind"]),
        definition=item["definition"],
        data_set=item["data_set"],
        started_at=from_rfc3339(item["started_at"]),
        started_by=item["started_by"],
        request=json.loads(item["request"]),
        progress=Progress(item["done"], item.get("total")),
        attempt=item["attempt"],
    )
    if "result" not in item:
        return running
    return replace(
        running,
        result=Result(item["result"]),
        ended_at=from_rfc3339(item["ended_at"]),
        outcome=json.loads(item["outcome"]),
        undone_by=item.get("undone_by"),
    )


def _message(item: Mapping[str, Any]) -> Message:
    return Message(item["code"], item["text"], Severity(item["severity"]), item.get("about"))


def notice_item(notice: Notice, grace: timedelta) -> Item:
    """The item of a notice."""
    item: Item = {
        "pk": notice.tenant,
        "sk": f"NOTICE#{notice.process_id}",
        "process_id": notice.process_id,
        "kind": str(notice.kind),
        "result": str(notice.result),
        "ended_at": rfc3339(notice.ended_at),
        **tried_item(notice),
    }
    if notice.next_try_at is not None:
        item |= {"due_shard": _NOTICES, "due_at": rfc3339(notice.next_try_at + grace)}
    return item


def _notice(tenant: str, item: Mapping[str, Any]) -> Notice:
    return Notice(
        tenant=tenant,
        process_id=item["process_id"],
        kind=ProcessKind(item["kind"]),
        result=Result(item["result"]),
        ended_at=from_rfc3339(item["ended_at"]),
        **tried_of(item),
    )
