"""Showing how many rows of a template have come: a live display, plain lines, JSON lines."""

from __future__ import annotations

from typing import Any, Self

from rich.console import Console
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from headrace_client.command.outcome import Common, print_line
from headrace_client.command.progress import size_text
from headrace_client.command.showing import (
    LINE_EVERY,
    Display,
    LiveProgress,
    Silence,
    Throttle,
    fitting,
)
from headrace_client.errors import printable
from headrace_client.events import Note
from headrace_client.templates.receiving import FileEvent, RowsArrived


def rows_display(common: Common, console: Console) -> Display[FileEvent]:
    """The display that fits the options and the terminal."""
    return fitting(common, console, JsonLines, Lines, Live)


class JsonLines(Silence):
    """One JSON object a line on stderr, for programs that follow."""

    def __init__(self) -> None:
        self._throttle = Throttle(1.0)

    def __call__(self, event: FileEvent) -> None:
        print_line(self._document(event))

    def _document(self, event: FileEvent) -> dict[str, Any] | None:
        match event:
            case Note(text):
                return {"event": "note", "text": text}
            case RowsArrived(rows, count):
                if not self._throttle.passes():
                    return None
                return {"event": "rows", "rows": rows, "bytes": count}


class Lines(Silence):
    """Plain lines for logs: progress every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._throttle = Throttle(LINE_EVERY)

    def __call__(self, event: FileEvent) -> None:
        match event:
            case Note(text):
                self._console.print(printable(text), markup=False)
            case RowsArrived():
                if self._throttle.passes():
                    self._console.print(f"  {_amount(event)}", markup=False)


class Live(LiveProgress):
    """One line that counts."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._task = self._progress.add_task("waiting for the first rows", total=None)
        return self

    def __call__(self, event: FileEvent) -> None:
        match event:
            case Note(text):
                self._say(text)
            case RowsArrived() if self._task is not None:
                self._progress.update(self._task, description=_amount(event))


def _amount(event: RowsArrived) -> str:
    return f"{event.rows:,} rows, {size_text(event.bytes)}"
