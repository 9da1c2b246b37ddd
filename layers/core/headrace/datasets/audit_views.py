"""What callers are shown of the audit log of processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, cast

from headrace.datasets.audit_trail import Change, Found
from headrace.datasets.model import Process, ProcessKind, Result
from headrace.kernel.view import View, camel

type ChangeType = Literal["added", "changed", "deleted"]


@dataclass(frozen=True)
class AuditedProcessView(View):
    """Who started what, when, and with which outcome."""

    id: str
    type: ProcessKind
    data_set_definition_code: str
    data_set_code: str
    started_by: str
    """The user, or the client."""
    start_date_time: datetime
    end_date_time: datetime | None
    """Null while it runs."""
    result: Result | None
    """`S` if it succeeded, `F` if it failed; null while it runs."""
    request: Mapping[str, Any]
    """How it was asked for."""
    counts: Mapping[str, int] | None
    """Records by what became of them; null where there are none."""

    @classmethod
    def of(cls, process: Process) -> Self:
        """Of this one."""
        counts = process.outcome.get("counts")
        asked = {name: value for name, value in process.request.items() if name != "payload"}
        return cls(
            id=process.process_id,
            type=process.kind,
            data_set_definition_code=process.definition,
            data_set_code=process.data_set,
            started_by=process.started_by,
            start_date_time=process.started_at,
            end_date_time=process.ended_at,
            result=process.result,
            request=asked,
            counts=counts and {camel(name): count for name, count in counts.items()},
        )


@dataclass(frozen=True)
class ChangedValueView(View):
    """A column of a record. References are the UUID and functional key of what they refer to."""

    column: str
    old_value: Any
    """Null of a record that was added."""
    new_value: Any
    """Null of a record that was deleted."""


@dataclass(frozen=True)
class AuditTrailDetailView(View):
    """What a process did to a record."""

    process: str
    """The process."""
    change_type: ChangeType
    table: str
    table_id: int
    item: str | None
    """The top-level item that it belongs to."""
    uuid: str
    key: tuple[str | None, ...]
    """The values of its functional key."""
    values: tuple[ChangedValueView, ...]

    @classmethod
    def of(cls, change: Change, process_id: str) -> Self:
        """Of this one."""
        return cls(
            process=process_id,
            change_type=cast("ChangeType", change.change),
            table=change.table,
            table_id=change.table_id,
            item=change.item,
            uuid=change.uuid,
            key=tuple(change.key),
            values=tuple(
                ChangedValueView(column, pair.get("old"), pair.get("new"))
                for column, pair in sorted(change.values.items())
            ),
        )


@dataclass(frozen=True)
class AuditTrailPage(View):
    """A page of the audit log."""

    processes: tuple[AuditedProcessView, ...]
    """The process that was named; without one a page of all, the newest first."""
    items: tuple[AuditTrailDetailView, ...]
    """What the process that was named did, record by record."""
    offset: int
    limit: int
    has_more: bool
    """Is there another page."""
    total_results: int | None
    """All there are, where they were counted."""

    @classmethod
    def of(cls, found: Found, offset: int, limit: int) -> Self:
        """Of what was found."""
        return cls(
            tuple(AuditedProcessView.of(one) for one in found.processes),
            tuple(
                AuditTrailDetailView.of(one, found.processes[0].process_id) for one in found.changes
            ),
            offset,
            limit,
            found.has_more,
            found.total,
        )
