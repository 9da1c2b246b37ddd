"""Operations in DynamoDB.

A partition holds all that one client of one tenant has; nothing here reads across partitions
but ``DueOperations``, for the sweeper.

    pk                  sk                              holds
    TENANT#CLIENT       operation#OPERATION_ID          the operation; due_shard, due_at: when the
                                                        sweeper looks at it (index ``due``)
    TENANT#CLIENT       job#OPERATION_ID-NNNN           a job, from its first claim on
    TENANT#CLIENT       job#JOB_ID#progress#AAAA#RRRR   how far a range of an attempt of a job is
    TENANT#CLIENT       slice#JOB_ID#ATTEMPT#NNNNN      what a worker made of a slice of rows
    TENANT#CLIENT       lock                            the id of the active operation; what a data
                                                        broker runs for an organisation has a lock
                                                        of its own, lock@ORGANISATION
    TENANT#CLIENT       quota#DAY                       operations started on that day
    TENANT#CLIENT       idempotency#SHA256_OF_KEY       what a caller's key started
    TENANT#CLIENT       baseline#CONFIGURATION#ENTITY   see ``baselines``
    TENANT#CLIENT       delivery#OPERATION_ID#AAAA      see ``deliveries``

``ttl`` lets DynamoDB tidy up what has no meaning any more; no rule relies on it.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.adapters.dynamodb.baselines import baseline_items
from headrace.adapters.dynamodb.deliveries import delivery_item, delivery_of, delivery_prefix
from headrace.adapters.dynamodb.operation_items import (
    job_item,
    operation_item,
    operation_of,
    operation_sk,
    progress_prefix,
    slice_item,
    slice_of,
)
from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.exports.model import (
    Baseline,
    Failure,
    Job,
    Operation,
    Progress,
    Quota,
    QuotaRule,
    SharingSnapshot,
    Snapshot,
    Status,
    origins,
)
from headrace.exports.ports import DueOperation
from headrace.exports.slices import SliceResult
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import (
    Fenced,
    IdempotencyKeyReused,
    NotFound,
    OperationActive,
    OperationNotRetryable,
    OperationRunning,
    QuotaExhausted,
)
from headrace.kernel.idempotency import IdempotencyKey

_KEY_LIFETIME = timedelta(hours=24)


_HISTORY = timedelta(days=90)


_JOB_HISTORY = timedelta(days=120)
"""Longer than the operation's: no operation is left without its jobs."""


_DUE_SHARDS = 4


def _partition(tenant: str, client_id: str) -> str:
    return f"{tenant}#{client_id}"


def _any_of(statuses: tuple[Status, ...]) -> tuple[str, dict[str, str]]:
    """``status`` is one of these, as a condition with its values."""
    names = {f"was{index}": str(status) for index, status in enumerate(statuses)}
    return f"#status IN ({', '.join(':' + name for name in names)})", names


@dataclass(frozen=True)
class DynamoOperations:
    """The ``Operations`` port."""

    table: Table
    lease: timedelta

    # --- reading ----------------------------------------------------------------------------

    def get(self, tenant: str, client_id: str, operation_id: str) -> Operation:
        """The operation with its jobs. Raises NotFound, of a deleted one too."""
        operation = self.find(tenant, client_id, operation_id)
        if operation is None or operation.status is Status.DELETED:
            raise NotFound("There is no such operation.")
        return operation

    def find(self, tenant: str, client_id: str, operation_id: str) -> Operation | None:
        """The operation with its jobs, deleted or not."""
        pk = _partition(tenant, client_id)
        item = self.table.get(pk, f"operation#{operation_id}")
        if item is None:
            return None
        jobs = {job["sk"]: job for job in self.table.query(pk, f"job#{operation_id}-")}
        operation = operation_of(tenant, client_id, item, jobs)
        if operation.request.notice is None:
            return operation
        owed = self.table.query(pk, delivery_prefix(operation_id))
        deliveries = tuple(delivery_of(tenant, client_id, one) for one in owed)
        return replace(operation, deliveries=deliveries)

    def page(
        self,
        tenant: str,
        client_id: str,
        size: int,
        before: str | None,
        organisation: str | None = None,
    ) -> tuple[Operation, ...]:
        """Up to ``size`` operations without jobs, newest first, of this organisation or of none."""
        found: list[Operation] = []
        while len(found) < size:
            below = f"operation#{before}" if before else "operation$"
            items = list(
                self.table.query(
                    _partition(tenant, client_id),
                    "operation#",
                    before=below,
                    newest_first=True,
                    limit=size + 1,
                )
            )
            items = [item for item in items if item["sk"] != below]
            found += [
                operation_of(tenant, client_id, item, {})
                for item in items
                if item["status"] != Status.DELETED and item.get("organisation") == organisation
            ]
            if len(items) < size:
                break
            before = items[-1]["operation_id"]
        return tuple(found[:size])

    def quota(self, tenant: str, client_id: str, rule: QuotaRule, moment: datetime) -> Quota:
        """How the quota stands."""
        item = self.table.get(_partition(tenant, client_id), f"quota#{rule.day(moment)}")
        used = item["used"] if item else 0
        return Quota(limit=rule.limit, used=used, resets_at=rule.resets_at(moment))

    def may_continue(self, operation: Operation, job: Job) -> bool:
        """Is this attempt of the job still the one that counts."""
        pk = _partition(operation.tenant, operation.client_id)
        found = self.table.get(pk, f"operation#{operation.operation_id}")
        if (
            found is None
            or found["status"] != Status.RUNNING
            or found["attempt"] != operation.attempt
        ):
            return False
        kept = self.table.get(pk, f"job#{job.job_id}")
        return (
            kept is not None and kept["status"] == Status.RUNNING and kept["attempt"] == job.attempt
        )

    def slices(self, operation: Operation, job: Job) -> tuple[SliceResult, ...]:
        """The slices recorded for this attempt of the job, in order."""
        pk = _partition(operation.tenant, operation.client_id)
        items = self.table.query(pk, f"slice#{job.job_id}#{job.attempt}#")
        return tuple(slice_of(item) for item in items)

    # --- the operation's moves --------------------------------------------------------------

    def start(self, operation: Operation, rule: QuotaRule, key: IdempotencyKey | None) -> Operation:
        """Records it, takes the lock and one of the day's quota. See the port."""
        pk = _partition(operation.tenant, operation.client_id)
        moment = operation.created_at
        actions = [
            self.table.to_put(
                {"pk": pk, **operation_item(operation), **self._due(operation, moment)},
                "attribute_not_exists(pk)",
            ),
            self._take_lock(operation),
            self.table.to_update(
                pk,
                f"quota#{operation.quota_day}",
                "ADD #used :one SET #ttl = :ttl",
                ":limit > :none AND (attribute_not_exists(#used) OR #used < :limit)",
                one=1,
                none=0,
                limit=rule.limit,
                ttl=_epoch(moment + _HISTORY),
            ),
        ]
        if key is not None:
            actions.append(
                self.table.to_put(
                    {
                        "pk": pk,
                        "sk": _key_sk(key),
                        "operation_id": operation.operation_id,
                        "body_sha256": key.body_sha256,
                        "valid_until": rfc3339(moment + _KEY_LIFETIME),
                        "ttl": _epoch(moment + _KEY_LIFETIME),
                    },
                    "attribute_not_exists(pk) OR valid_until < :now",
                    now=rfc3339(moment),
                )
            )
        try:
            self.table.transact(actions)
        except ConditionFailed as error:
            if 3 in error.failed and key is not None:
                return self._started_before(operation, key)
            if 1 in error.failed:
                raise self._active(operation) from None
            if 2 in error.failed:
                raise QuotaExhausted(
                    "The client's operations of today are used up; start again after the reset."
                ) from None
            raise
        return operation

    def plan(
        self,
        operation: Operation,
        sync_version: str | None,
        moment: datetime,
        sharing: SharingSnapshot | None = None,
    ) -> Operation:
        """scheduled → running, at this version; None: at that of a snapshot that is to be held."""
        held = sync_version is None
        update = "SET #status = :status, started_at = :now, held = :held"
        values: dict[str, Any] = {}
        if sharing is not None:
            update += ", sharing = :sharing"
            values["sharing"] = {"version": sharing.version, "mark": sharing.mark}
        if held:
            # Of no job that an earlier snapshot was read for is anything kept.
            update += " REMOVE held_snapshot, sync_version"
        else:
            update += ", sync_version = :version REMOVE held_snapshot"
            values["version"] = sync_version
        self._move(operation, Status.RUNNING, update, held=held, now=rfc3339(moment), **values)
        return self.get(operation.tenant, operation.client_id, operation.operation_id)

    def reset(self, operation: Operation, moment: datetime) -> Operation:
        """failed or cancelled → scheduled, under a new attempt, with the lock taken."""
        retried = replace(operation, attempt=operation.attempt + 1)
        due = self._due(replace(operation, status=Status.SCHEDULED), moment)
        move = self._to_move(
            operation,
            Status.SCHEDULED,
            "SET #status = :status, attempt = :next, due_shard = :due_shard, due_at = :due_at "
            "REMOVE failure, started_at, ended_at, expires_at",
            next=retried.attempt,
            **due,
        )
        try:
            self.table.transact([move, self._take_lock(operation)])
        except ConditionFailed as error:
            if 0 in error.failed:
                raise OperationNotRetryable(
                    "The operation has moved on meanwhile; ask for its status."
                ) from None
            raise self._active(operation) from None
        return self.get(operation.tenant, operation.client_id, operation.operation_id)

    def end(
        self,
        operation: Operation,
        status: Status,
        failure: Failure | None,
        *,
        expires_at: datetime,
        moment: datetime,
        refund: bool,
        baseline: Baseline | None = None,
    ) -> Operation:
        """Ends the attempt, releases the lock, refunds at most once, and owes what it owes its
        webhook. Raises Fenced.
        """
        pk = _partition(operation.tenant, operation.client_id)
        refund = refund and not operation.refunded
        due = self._due(
            operation, moment if status is not Status.SUCCEEDED else expires_at, now=True
        )
        actions = [
            self._to_move(
                operation,
                status,
                "SET #status = :status, ended_at = :now, expires_at = :expires, "
                "refunded = :refunded, failure = :failure, "
                "due_shard = :due_shard, due_at = :due_at",
                now=rfc3339(moment),
                expires=rfc3339(expires_at),
                refunded=operation.refunded or refund,
                failure={"code": failure.code, "detail": failure.detail} if failure else {},
                **due,
            ),
            self.table.to_delete(
                pk,
                _lock_sk(operation),
                "operation_id = :operation_id AND attempt = :attempt",
                operation_id=operation.operation_id,
                attempt=operation.attempt,
            ),
        ]
        if refund:
            actions.append(
                self.table.to_update(
                    pk,
                    f"quota#{operation.quota_day}",
                    "ADD #used :back",
                    "#used > :none",
                    back=-1,
                    none=0,
                )
            )
        if baseline is not None:
            for item in baseline_items(baseline):
                actions.append(self.table.to_put({"pk": pk, **item}))
        owed = operation.delivery(status, failure, moment)
        if owed is not None:
            actions.append(self.table.to_put({"pk": pk, **delivery_item(owed, self.lease)}))
        self._fenced(actions)
        return self.get(operation.tenant, operation.client_id, operation.operation_id)

    def expire(self, operation: Operation, moment: datetime) -> None:
        """ended → expired; nothing of it is due any more. Raises Fenced."""
        self._move(
            operation,
            Status.EXPIRED,
            "SET #status = :status, #ttl = :ttl REMOVE due_shard, due_at",
            ttl=_epoch(moment + _HISTORY),
        )

    def delete(self, operation: Operation, moment: datetime) -> None:
        """Hides it; the sweeper sees it until its files are gone.

        Raises OperationRunning; NotFound if another call has hidden it meanwhile.
        """
        try:
            self._move(
                operation,
                Status.DELETED,
                "SET #status = :status, #ttl = :ttl, due_shard = :due_shard, due_at = :due_at",
                ttl=_epoch(moment + _HISTORY),
                **self._due(operation, moment, now=True),
            )
        except Fenced:
            self.get(operation.tenant, operation.client_id, operation.operation_id)
            raise OperationRunning(
                "The operation was retried meanwhile; cancel it first, then delete it."
            ) from None

    def look_again(self, operation: Operation, moment: datetime | None) -> None:
        """Sets when the sweeper looks at it next, or that it need not (None)."""
        pk, sk = _partition(operation.tenant, operation.client_id), operation_sk(operation)
        if moment is None:
            update, values = "REMOVE due_shard, due_at", {}
        else:
            values = self._due(operation, moment, now=True)
            update = "SET due_shard = :due_shard, due_at = :due_at"
        try:
            self.table.update(
                pk, sk, update, "attempt = :attempt", attempt=operation.attempt, **values
            )
        except ConditionFailed:
            return  # retried meanwhile: the new attempt has a time of its own

    # --- the job's moves --------------------------------------------------------------------

    def claim_job(self, operation: Operation, job: Job) -> Job:
        """Makes ``job`` the attempt that counts. Raises Fenced."""
        item = {
            "pk": _partition(operation.tenant, operation.client_id),
            "sk": f"job#{job.job_id}",
            "operation_attempt": operation.attempt,
            "sync_version": operation.told_version,
            "ttl": _epoch(operation.created_at + _JOB_HISTORY),
            **job_item(job),
        }
        self._fenced(
            [
                self._check(operation),
                self.table.to_put(
                    item,
                    "attribute_not_exists(pk) OR (attempt = :before AND "
                    "(#status <> :succeeded OR operation_attempt < :operation_attempt))",
                    before=job.attempt - 1,
                    succeeded=str(Status.SUCCEEDED),
                    operation_attempt=operation.attempt,
                ),
            ]
        )
        return job

    def record_snapshot(self, operation: Operation, job: Job | None, snapshot: Snapshot) -> None:
        """Says which snapshot this attempt of the job (None: of the operation) is read in."""
        pk = _partition(operation.tenant, operation.client_id)
        kept = {"name": snapshot.name, "version": snapshot.version}
        running = (
            "#status = :running AND attempt = :attempt AND attribute_not_exists(held_snapshot)"
        )
        if job is None:
            action = self.table.to_update(
                pk,
                operation_sk(operation),
                "SET held_snapshot = :snapshot, sync_version = :version",
                running,
                snapshot=kept,
                version=snapshot.version,
                running=str(Status.RUNNING),
                attempt=operation.attempt,
            )
            return self._fenced([action])
        action = self.table.to_update(
            pk,
            f"job#{job.job_id}",
            "SET held_snapshot = :snapshot",
            running,
            snapshot=kept,
            running=str(Status.RUNNING),
            attempt=job.attempt,
        )
        return self._fenced([self._check(operation), action])

    def record_slice(self, operation: Operation, job: Job, result: SliceResult) -> None:
        """Keeps what a worker made of a slice; again overwrites the same. Raises Fenced."""
        pk = _partition(operation.tenant, operation.client_id)
        self._fenced(
            [
                self.table.to_update(
                    pk,
                    f"job#{job.job_id}",
                    "ADD slices_done :index",
                    "attempt = :attempt AND #status = :running",
                    index={result.index},
                    attempt=job.attempt,
                    running=str(Status.RUNNING),
                ),
                self.table.to_put(
                    {
                        "pk": pk,
                        "ttl": _epoch(operation.created_at + _JOB_HISTORY),
                        **slice_item(job, result),
                    }
                ),
            ]
        )

    def tell_progress(self, operation: Operation, job: Job, index: int, progress: Progress) -> None:
        """Keeps how far a range is, in an item that no other range writes; it never falls."""
        try:
            self.table.update(
                _partition(operation.tenant, operation.client_id),
                f"{progress_prefix(job.job_id)}{job.attempt:04d}#{index:04d}",
                "SET #rows = :rows, #size = :size, attempt = :attempt, "
                "operation_attempt = :owner, #ttl = :ttl",
                "attribute_not_exists(pk) OR (#rows <= :rows AND #size <= :size)",
                rows=progress.rows,
                size=progress.size,
                attempt=job.attempt,
                owner=operation.attempt,
                ttl=_epoch(operation.created_at + _JOB_HISTORY),
            )
        except ConditionFailed:
            return  # an earlier worker of the range had come farther

    def end_job(self, operation: Operation, job: Job) -> Job:
        """running → the status that ``job`` carries. Raises Fenced."""
        pk = _partition(operation.tenant, operation.client_id)
        failure = job.failure
        self._fenced(
            [
                self._check(operation),
                self.table.to_update(
                    pk,
                    f"job#{job.job_id}",
                    "SET #status = :status, #rows = :rows, #size = :size, sha256 = :sha256, "
                    "failure = :failure, ended_at = :ended",
                    "attempt = :attempt AND #status = :running AND operation_attempt = :owner",
                    status=str(job.status),
                    rows=job.rows,
                    size=job.size,
                    sha256=job.sha256,
                    failure={"code": failure.code, "detail": failure.detail} if failure else {},
                    ended=rfc3339(job.ended_at) if job.ended_at else None,
                    attempt=job.attempt,
                    running=str(Status.RUNNING),
                    owner=operation.attempt,
                ),
            ]
        )
        return job

    # --- pieces -----------------------------------------------------------------------------

    def _due(self, operation: Operation, moment: datetime, *, now: bool = False) -> dict[str, str]:
        """When the sweeper looks at it: at ``moment``, or a lease later."""
        shard = zlib.crc32(operation.operation_id.encode()) % _DUE_SHARDS
        return {
            "due_shard": f"due#{shard}",
            "due_at": rfc3339(moment if now else moment + self.lease),
        }

    def _take_lock(self, operation: Operation) -> Item:
        return self.table.to_put(
            {
                "pk": _partition(operation.tenant, operation.client_id),
                "sk": _lock_sk(operation),
                "operation_id": operation.operation_id,
                "attempt": operation.attempt + (0 if operation.status.active else 1),
            },
            "attribute_not_exists(pk)",
        )

    def _active(self, operation: Operation) -> OperationActive:
        lock = self.table.get(
            _partition(operation.tenant, operation.client_id), _lock_sk(operation)
        )
        blocking = lock["operation_id"] if lock else None
        return OperationActive(
            "Another operation of this client is active; wait for it or cancel it, then start "
            "again. This call cost nothing of the quota.",
            retry_after=5,
            blockingOperationId=blocking,
        )

    def _started_before(self, operation: Operation, key: IdempotencyKey) -> Operation:
        kept = self.table.get(_partition(operation.tenant, operation.client_id), _key_sk(key))
        if kept is None or kept["body_sha256"] != key.body_sha256:
            raise IdempotencyKeyReused(
                "This Idempotency-Key started another request; use a new key for a new request."
            )
        return self.get(operation.tenant, operation.client_id, kept["operation_id"])

    def _to_move(self, operation: Operation, target: Status, update: str, **values: Any) -> Item:
        condition, was = _any_of(origins(target))
        return self.table.to_update(
            _partition(operation.tenant, operation.client_id),
            operation_sk(operation),
            update,
            f"{condition} AND attempt = :attempt",
            status=str(target),
            attempt=operation.attempt,
            **was,
            **values,
        )

    def _move(self, operation: Operation, target: Status, update: str, **values: Any) -> None:
        self._fenced([self._to_move(operation, target, update, **values)])

    def _check(self, operation: Operation) -> Item:
        return self.table.to_check(
            _partition(operation.tenant, operation.client_id),
            operation_sk(operation),
            "#status = :running AND attempt = :attempt",
            running=str(Status.RUNNING),
            attempt=operation.attempt,
        )

    def _fenced(self, actions: list[Item]) -> None:
        try:
            self.table.transact(actions)
        except ConditionFailed:
            raise Fenced("The work no longer counts: the operation or job has moved on.") from None


@dataclass(frozen=True)
class DynamoDueOperations:
    """The ``DueOperations`` port, over the index ``due``."""

    table: Table

    def due(self, moment: datetime) -> Iterator[DueOperation]:
        """Operations whose time to be looked at has come, oldest first within a shard."""
        for shard in range(_DUE_SHARDS):
            for item in self.table.due(f"due#{shard}", rfc3339(moment)):
                tenant, client_id = item["pk"].split("#", 1)
                operation_id = item["sk"].removeprefix("operation#")
                due_at = from_rfc3339(item["due_at"])
                yield DueOperation(tenant, client_id, operation_id, due_at)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _lock_sk(operation: Operation) -> str:
    return "lock" if operation.organisation is None else f"lock@{operation.organisation}"


def _key_sk(key: IdempotencyKey) -> str:
    return f"idempotency#{hashlib.sha256(key.key.encode()).hexdigest()}"
