"""The audit log of processes: who started what, when, with which outcome, and which records it
added, changed and deleted, with their old and new values (seed 001, its generic search).

The log of an import is the difference that it left (``importing``). Dry runs changed nothing, and
have no records in it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from headrace.datasets.model import Process
from headrace.datasets.ports import Payloads, Processes
from headrace.kernel.caller import Caller
from headrace.kernel.errors import FileExpired, NotFound, ValidationFailed
from headrace.kernel.ids import OPERATION_ID

MOST = 200
"""Items on a page."""
MOST_BYTES = 5 * 1024 * 1024 // 2
"""Of the records on a page, as their lines have them: Lambda answers 6 MiB at most, in which quotes
take twice as much. A page ends before it would be more."""
CUT_TO = 1000
"""Characters of each text that are shown of a record that is more alone."""
DEEPEST = 1_000_000
"""The last place that a page may begin at."""
_TERM = re.compile(r"(process|process\.id|changeType|table|uuid)\.eq\('([^'\\]{1,200})'\)")
CHANGES = ("added", "changed", "deleted")


@dataclass(frozen=True)
class Search:
    """What is looked for. Without a process: processes, the newest first; with one: its records."""

    process: str | None = None
    change: str | None = None
    table: str | None = None
    uuid: str | None = None

    @classmethod
    def read(cls, query: str) -> "Search":
        """From ``process.eq('…').and.changeType.eq('…')``, with these fields besides: ``table``,
        ``uuid``. Raises ValidationFailed."""
        found: dict[str, str] = {}
        for term in query.split(".and.") if query else ():
            match = _TERM.fullmatch(term.strip())
            name = "" if match is None else match[1].removesuffix(".id")
            if match is None or name in found:
                raise _wrong(
                    "is process.eq('…'), perhaps with .and. and changeType, table or uuid, each "
                    "once"
                )
            found[name] = match[2]
        change = found.get("changeType")
        if change is not None and change not in CHANGES:
            raise _wrong(f"a changeType is {', '.join(CHANGES)}")
        if found and "process" not in found:
            raise _wrong("must name a process")
        return cls(found.get("process"), change, found.get("table"), found.get("uuid"))

    def meets(self, entry: Mapping[str, Any]) -> bool:
        """Is the entry of a difference one that is looked for."""
        return (
            self.change in (None, entry["change"])
            and self.table in (None, entry["table"])
            and self.uuid in (None, entry["uuid"])
        )


def _wrong(message: str) -> ValidationFailed:
    return ValidationFailed(
        "The search cannot be read.", [{"field": "resource.q", "message": message}]
    )


@dataclass(frozen=True)
class Change:
    """What a process did to a record. ``values``: by column, old and new."""

    change: str
    table: str
    table_id: int
    item: str | None
    uuid: str
    key: Sequence[str | None]
    values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Found:
    """A page of what was found. ``total`` is None where nobody counted."""

    processes: Sequence[Process]
    changes: Sequence[Change]
    has_more: bool
    total: int | None


class ProcessHistory(Protocol):
    """The processes that there were."""

    def latest(self, tenant: str, limit: int) -> Sequence[Process]:
        """The newest first, so many at most."""
        ...


@dataclass(frozen=True)
class SearchAuditTrail:
    """Looks through the audit log of the caller's environment."""

    processes: Processes
    history: ProcessHistory
    payloads: Payloads

    def __call__(self, caller: Caller, search: Search, offset: int, limit: int) -> Found:
        """A page. Raises NotFound: there is no such process; FileUnavailable."""
        if search.process is None:
            found = self.history.latest(caller.tenant, offset + limit + 1)[offset:]
            return Found(found[:limit], (), len(found) > limit, None)
        process = None
        if OPERATION_ID.fullmatch(search.process):
            process = self.processes.find(caller.tenant, search.process)
        if process is None:
            raise NotFound("There is no such process.")
        changes, size, has_more = list[Change](), 0, False
        for length, entry in islice(self._entries(process, search), offset, None):
            size += length
            has_more = len(changes) == limit or (size > MOST_BYTES and bool(changes))
            if has_more:
                break
            changes.append(_change(entry if length <= MOST_BYTES else _cut(entry)))
        return Found((process,), tuple(changes), has_more, _total(process, search))

    def _entries(self, process: Process, search: Search) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Those that are looked for, each with the bytes of its line."""
        key = process.outcome.get("difference")
        if key is None or process.request.get("dryRun"):
            return
        with suppress(FileExpired), self.payloads.open(process.tenant, str(key)) as lines:
            for line in lines:
                entry = json.loads(line)
                if search.meets(entry):
                    yield len(line), entry


def _total(process: Process, search: Search) -> int | None:
    counts = process.outcome.get("counts")
    if counts is None or process.request.get("dryRun") or search.table or search.uuid:
        return None
    wanted = CHANGES if search.change is None else (search.change,)
    return sum(int(counts[name]) for name in wanted)


def _cut(value: Any) -> Any:
    """The same with all long texts in it cut."""
    match value:
        case str() if len(value) > CUT_TO:
            return f"{value[:CUT_TO]}…"
        case dict():
            return {name: _cut(one) for name, one in value.items()}
        case list():
            return [_cut(one) for one in value]
        case _:
            return value


def _change(entry: Mapping[str, Any]) -> Change:
    return Change(
        change=entry["change"],
        table=entry["table"],
        table_id=entry["tableId"],
        item=entry.get("item"),
        uuid=entry["uuid"],
        key=entry.get("key") or (),
        values=entry.get("values") or {},
    )
