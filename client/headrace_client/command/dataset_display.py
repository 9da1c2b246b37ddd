"""Showing the process of a data set while it runs: a live display, plain lines, JSON lines."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn

from headrace_client.command.outcome import Common, print_line
from headrace_client.command.progress import Phase, size_text
from headrace_client.command.showing import (
    LINE_EVERY,
    Display,
    LiveProgress,
    Silence,
    Throttle,
    fitting,
)
from headrace_client.datasets.model import Process
from headrace_client.datasets.run import FileMoved, ProcessBegun, ProcessEvent, ProcessSeen
from headrace_client.errors import printable
from headrace_client.events import Note

_BEGUN = {
    "started": "Started {kind} {id}",
    "resumed": "Going on with {kind} {id}, which an earlier run started",
    "given": "Watching {kind} {id}",
}


def process_display(common: Common, console: Console) -> Display[ProcessEvent]:
    """The display that fits the options and the terminal."""
    return fitting(common, console, JsonLines, Lines, Live)


class JsonLines(Silence):
    """One JSON object a line on stderr, for programs that follow a process."""

    def __init__(self) -> None:
        self._throttle = Throttle(1.0)

    def __call__(self, event: ProcessEvent) -> None:
        print_line(self._document(event))

    def _document(self, event: ProcessEvent) -> dict[str, Any] | None:
        match event:
            case Note(text):
                return {"event": "note", "text": text}
            case ProcessBegun(process, how):
                return {"event": "process", "how": how, **_progress(process)}
            case ProcessSeen(process):
                return {"event": "progress", **_progress(process)}
            case FileMoved(what, done, total):
                if not self._throttle.passes():
                    return None
                return {"event": "bytes", "file": what, "done": done, "bytes": total}


def _progress(process: Process) -> dict[str, Any]:
    return {
        "processId": process.process_id,
        "type": process.kind,
        "result": process.result,
        "percent": process.percent,
        "records": process.done,
        "total": process.total,
    }


class Lines(Silence):
    """Plain lines for logs: each step once, and progress every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._throttle = Throttle(LINE_EVERY)

    def __call__(self, event: ProcessEvent) -> None:
        line = self._line(event)
        if line is not None:
            self._console.print(printable(line), markup=False)

    def _line(self, event: ProcessEvent) -> str | None:
        match event:
            case Note(text):
                return text
            case ProcessBegun(process, how):
                return _BEGUN[how].format(kind=process.kind, id=process.process_id)
            case ProcessSeen(process):
                if process.has_ended or not self._throttle.passes():
                    return None
                return f"  {_amount(process)}"
            case FileMoved(what, done, total):
                if not self._throttle.passes():
                    return None
                return f"  {what}: {size_text(done)} of {size_text(total)}"


class Live(LiveProgress):
    """A bar for the file, and one for the process."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            Phase(),
        )
        self._file: TaskID | None = None
        self._process: TaskID | None = None

    def __call__(self, event: ProcessEvent) -> None:
        match event:
            case Note(text):
                self._say(text)
            case ProcessBegun(process, how):
                self._say(_BEGUN[how].format(kind=process.kind, id=process.process_id))
            case ProcessSeen(process):
                if self._process is None:
                    self._process = self._progress.add_task(printable(process.kind), total=None)
                whole = process.total or (1 if process.has_ended else None)
                self._progress.update(
                    self._process,
                    total=whole,
                    completed=whole if process.has_ended else process.done,
                    said=_amount(process),
                )
            case FileMoved(what, done, total):
                if self._file is None:
                    self._file = self._progress.add_task(printable(what), total=max(total, 1))
                said = f"{size_text(done)} of {size_text(total)}"
                self._progress.update(self._file, completed=done, said=said)


def _amount(process: Process) -> str:
    """How far it is, in records."""
    if process.total is None:
        return f"{process.done:,} records" if process.done else "running"
    percent = "" if process.percent is None else f" ({process.percent:.0f} %)"
    return f"{process.done:,} of {process.total:,} records{percent}"
