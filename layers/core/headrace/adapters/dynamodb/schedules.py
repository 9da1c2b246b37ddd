"""How far schedules have come, and their runs, in the table of operations.

    pk                  sk                              holds
    -schedules          schedule#TENANT#CLIENT#NAME     the cursor of a schedule
    TENANT#CLIENT       schedule-run#NAME#DUE           a run; DUE as RFC 3339 in UTC

No tenant's id begins with a hyphen. Every write of a cursor is conditional on its ``revision``, and
takes the runs that come of it along: of two that look at a schedule at once, one is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from headrace.adapters.dynamodb.table import ConditionFailed, Item, Table
from headrace.exports.model import OperationKind
from headrace.exports.schedules import Cursor, Reason, RunState, ScheduledRun
from headrace.kernel.clock import from_rfc3339, rfc3339
from headrace.kernel.errors import Fenced

_PARTITION = "-schedules"
_PREFIX = "schedule#"
_HISTORY = timedelta(days=90)


@dataclass(frozen=True)
class DynamoScheduleRuns:
    """The ``ScheduleRuns`` port."""

    table: Table

    def cursors(self) -> tuple[Cursor, ...]:
        """See the port; consistent."""
        return tuple(_cursor(item) for item in self.table.query(_PARTITION, _PREFIX))

    def advance(self, cursor: Cursor, runs: Sequence[ScheduledRun], moment: datetime) -> Cursor:
        """See the port."""
        moved = replace(cursor, revision=cursor.revision + 1)
        if cursor.revision:
            put = self.table.to_put(_cursor_item(moved), "#revision = :seen", seen=cursor.revision)
        else:
            put = self.table.to_put(_cursor_item(moved), "attribute_not_exists(pk)")
        self._write(put, cursor, runs, moment)
        return moved

    def forget(self, cursor: Cursor, runs: Sequence[ScheduledRun], moment: datetime) -> None:
        """See the port."""
        delete = self.table.to_delete(
            _PARTITION, _cursor_sk(cursor), "#revision = :seen", seen=cursor.revision
        )
        self._write(delete, cursor, runs, moment)

    def latest(
        self, tenant: str, client_id: str, schedule: str, limit: int
    ) -> tuple[ScheduledRun, ...]:
        """See the port."""
        items = self.table.query(
            f"{tenant}#{client_id}", f"schedule-run#{schedule}#", newest_first=True, limit=limit
        )
        return tuple(map(_run, items))

    def _write(
        self, move: Item, cursor: Cursor, runs: Sequence[ScheduledRun], moment: datetime
    ) -> None:
        pk, ttl = f"{cursor.tenant}#{cursor.client_id}", int((moment + _HISTORY).timestamp())
        puts = [
            self.table.to_put(
                {
                    "pk": pk,
                    "sk": f"schedule-run#{cursor.schedule}#{rfc3339(run.due)}",
                    "ttl": ttl,
                    **_run_item(run),
                }
            )
            for run in runs
        ]
        try:
            self.table.transact([move, *puts])
        except ConditionFailed:
            raise Fenced("Somebody else has looked at the schedule meanwhile.") from None


def _cursor_sk(cursor: Cursor) -> str:
    return _PREFIX + "#".join(cursor.key)


def _cursor_item(cursor: Cursor) -> Item:
    return {
        "pk": _PARTITION,
        "sk": _cursor_sk(cursor),
        "timing": cursor.timing,
        "next_due": _text(cursor.next_due),
        "waiting": None if cursor.waiting is None else _plain(_run_item(cursor.waiting)),
        "try_at": _text(cursor.try_at),
        "revision": cursor.revision,
    }


def _cursor(item: Mapping[str, Any]) -> Cursor:
    tenant, client_id, schedule = item["sk"].removeprefix(_PREFIX).split("#")
    return Cursor(
        tenant=tenant,
        client_id=client_id,
        schedule=schedule,
        timing=item["timing"],
        next_due=_moment(item.get("next_due")),
        waiting=_run(item["waiting"]) if item.get("waiting") else None,
        try_at=_moment(item.get("try_at")),
        revision=item["revision"],
    )


def _run_item(run: ScheduledRun) -> Item:
    reason = run.reason
    return {
        "schedule": run.schedule,
        "due": rfc3339(run.due),
        "state": str(run.state),
        "tries": run.tries,
        "reason": None if reason is None else {"code": reason.code, "detail": reason.detail},
        "operation_id": run.operation_id,
        "kind": None if run.kind is None else str(run.kind),
    }


def _plain(item: Item) -> Item:
    return {name: value for name, value in item.items() if value is not None}


def _run(item: Mapping[str, Any]) -> ScheduledRun:
    reason = item.get("reason")
    return ScheduledRun(
        schedule=item["schedule"],
        due=from_rfc3339(item["due"]),
        state=RunState(item["state"]),
        tries=item["tries"],
        reason=Reason(reason["code"], reason["detail"]) if reason else None,
        operation_id=item.get("operation_id"),
        kind=OperationKind(item["kind"]) if item.get("kind") else None,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_rfc3339(text)
