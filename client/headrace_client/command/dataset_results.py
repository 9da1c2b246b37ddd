"""What is printed of data sets: how a process ended, what it changed, what others have built."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from headrace_client.command.outcome import Exit, Printer, moment
from headrace_client.command.showing import table_of
from headrace_client.datasets.model import (
    Change,
    ChangeKind,
    Process,
    ProcessMessage,
    Result,
    Source,
)
from headrace_client.datasets.run import Ended
from headrace_client.errors import ProcessUnsuccessful, printable

_MARKS = {ChangeKind.ADDED: "+", ChangeKind.CHANGED: "~", ChangeKind.DELETED: "-"}
_RESULTS = {Result.SUCCESS: "succeeded", Result.FAILURE: "failed", None: "is running"}

_CHANGED_SINCE = "HEADRACE-DATA-001"
"""The code of a record that an undoing leaves alone, as somebody else changed it."""


def told(printer: Printer, ended: Ended, difference: Iterable[Change] | None = None) -> Exit:
    """Print how a process ended. Raises ProcessUnsuccessful, after that."""
    if printer.common.json:
        _demand_success(ended)  # else the error is the one document, with the messages in it
        printer.result(_ended_document(ended, difference), nothing)
        return Exit.OK

    def shown(out: Console) -> None:
        if ended.messages:
            _print_messages(out, ended.messages)
        if difference is not None:
            print_difference(out, difference)
        out.print(printable(_sentence(ended.process, dry=difference is not None)), markup=False)

    printer.result({}, shown)
    _demand_success(ended)
    return Exit.OK


def _demand_success(ended: Ended) -> None:
    try:
        ended.demand_success()
    except ProcessUnsuccessful as failed:
        if any(one.code == _CHANGED_SINCE for one in failed.messages):
            failed.hint = "With --force what others have changed since is overwritten, too."
        raise


def _ended_document(ended: Ended, difference: Iterable[Change] | None) -> dict[str, Any]:
    held: dict[str, Any] = {
        "process": dict(ended.process.raw),
        "how": ended.how,
        "messages": [one.raw for one in ended.messages],
    }
    return held if difference is None else held | {"difference": [one.raw for one in difference]}


def nothing(out: Console) -> None:
    """Prints nothing: with --json there is the document alone."""


def _sentence(process: Process, *, dry: bool = False) -> str:
    said = "dry run, nothing was written: " if dry else ""
    said += f"{process.kind} {process.process_id} of {process.definition}"
    said += f" {process.data_set}" if process.data_set else ""
    said += f" {_RESULTS[process.result]}"
    counts = process.counts
    if counts is not None:
        would_be = " would be" if dry else ""
        said += (
            f": {counts.added:,}{would_be} added, {counts.changed:,} changed, "
            f"{counts.deleted:,} deleted, {counts.unchanged:,} unchanged"
        )
        said += f", {_items_refused(counts.failed_items)}" if counts.failed_items else ""
    elif process.done:
        said += f": {process.done:,} records"
    if process.started_at is not None and process.ended_at is not None:
        said += f", in {(process.ended_at - process.started_at).total_seconds():.0f} s"
    return said


def _items_refused(count: int) -> str:
    """How many, as a sentence has it."""
    return "1 item refused" if count == 1 else f"{count:,} items refused"


def _print_messages(out: Console, messages: Iterable[ProcessMessage]) -> None:
    table = table_of("severity", "code", "item", "text")
    for one in messages:
        table.add_row(
            *(printable(text) for text in (one.severity, one.code, one.item or "", one.text))
        )
    out.print(table)


def print_difference(out: Console, difference: Iterable[Change]) -> None:
    """Each table, with its records: + added, ~ changed (from what to what), - deleted."""
    table, empty = None, True
    for change in difference:
        empty = False
        if change.table != table:
            table = change.table
            out.print(printable(table), markup=False, style="bold")
        out.print(printable(f"  {_MARKS[change.kind]} {_name(change)}"), markup=False)
        if change.kind is ChangeKind.CHANGED:
            for column, value in sorted(change.values.items()):
                said = f"      {column}: {_value(value.old)} → {_value(value.new)}"
                out.print(printable(said), markup=False)
    if empty:
        out.print("Nothing differs.", markup=False)


def _name(change: Change) -> str:
    """What tells a record from others of its table, and which item it is of."""
    known = [one for one in change.key if one is not None]
    name = " / ".join(known) or change.uuid
    own = change.item is None or change.item.startswith(f"{change.table} ")
    return name if own else f"{name} (of {change.item})"


def _value(held: object) -> str:
    """A value; of a reference, what it refers to is called."""
    if held is None:
        return "nothing"
    if isinstance(held, Mapping):
        key = held.get("key")
        known = [str(one) for one in key if one is not None] if isinstance(key, list) else []
        return " / ".join(known) or str(held.get("uuid", "nothing"))
    return json.dumps(held, ensure_ascii=False)


def source_document(source: Source) -> dict[str, Any]:
    return {
        "url": source.url,
        "failure": source.failure,
        "dataSets": [
            {
                "code": one.code,
                "description": one.description,
                "environment": one.environment,
                "numberOfItems": one.number_of_items,
                "payloadBuiltAt": one.payload_built_at,
            }
            for one in source.data_sets
        ],
    }


def print_available(out: Console, sources: tuple[Source, ...]) -> None:
    if not sources:
        out.print(
            "No source environments are registered here: POST /api/generic/properties sets "
            "ohi.application.uri.CONF (or ….PRD) to their URLs.",
            markup=False,
        )
    table = table_of("environment", "data set", "items", "built", "description")
    for source in sources:
        for one in source.data_sets:
            table.add_row(
                printable(one.environment),
                printable(one.code),
                f"{one.number_of_items:,}",
                moment(one.payload_built_at),
                printable(one.description),
            )
    if table.row_count:
        out.print(table)
    for source in sources:
        if source.failure is not None:
            said = f"{source.url}: {source.failure}"
            if not source.url.rstrip("/").endswith("/dataexchange"):
                said += " (what is registered is the URL of a source's /dataexchange)"
            out.print(printable(said), markup=False)
        elif not source.data_sets:
            out.print(printable(f"{source.url}: nothing is built"), markup=False)
