"""Showing a pull while it runs: a live display, plain lines, JSON lines, or nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn
from rich.text import Text

from headrace_client.command.outcome import Common, print_line
from headrace_client.command.showing import (
    LINE_EVERY,
    Display,
    LiveProgress,
    Silence,
    Throttle,
    counted,
    fitting,
)
from headrace_client.errors import printable
from headrace_client.events import (
    BytesArrived,
    DownloadPlanned,
    Event,
    FilesPublished,
    FileVerified,
    Note,
    OperationChosen,
    OperationSeen,
    PartRejected,
)
from headrace_client.model import Operation, Status

_CHOSEN = {
    "started": "Started operation {id}",
    "resumed": "Going on with operation {id}, left unfinished by an earlier run",
    "joined": "Joined operation {id}, which another pull started",
    "given": "Downloading operation {id}",
}


def display(common: Common, console: Console) -> Display[Event]:
    """The display that fits the options and the terminal."""
    return fitting(common, console, JsonLines, Lines, Live)


class JsonLines(Silence):
    """One JSON object a line on stderr, for programs that follow a pull."""

    def __init__(self) -> None:
        self._throttle = Throttle(1.0)
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        print_line(self._document(event))

    def _document(self, event: Event) -> dict[str, Any] | None:
        match event:
            case Note(text):
                return {"event": "note", "text": text}
            case OperationChosen(operation, how):
                return {"event": "operation", "how": how, **_progress(operation)}
            case OperationSeen(operation):
                return {"event": "progress", **_progress(operation)}
            case DownloadPlanned(files, held):
                self._total = {file.file_name: file.bytes for file in files}
                self._done = dict(held)
                return {
                    "event": "download",
                    "files": len(files),
                    "bytes": sum(self._total.values()),
                    "held": sum(held.values()),
                }
            case BytesArrived(file, count):
                self._done[file.file_name] += count
                if not self._throttle.passes():
                    return None
                done, total = sum(self._done.values()), sum(self._total.values())
                return {"event": "bytes", "done": done, "bytes": total}
            case PartRejected(file, part, attempt):
                return {
                    "event": "rejected",
                    "file": file.file_name,
                    "part": part,
                    "attempt": attempt,
                }
            case FileVerified(file, sha256):
                return {"event": "verified", "file": file.file_name, "sha256": sha256}
            case FilesPublished(directory):
                return {"event": "published", "directory": directory}


def _progress(operation: Operation) -> dict[str, Any]:
    return {
        "operationId": operation.operation_id,
        "status": operation.status,
        "percent": operation.percent,
        "rows": operation.rows,
        "bytes": operation.bytes,
        "secondsLeft": operation.seconds_left,
        "jobs": [
            {
                "table": job.table,
                "status": job.status,
                "percent": job.percent,
                "rows": job.rows,
                "bytes": job.bytes,
                "secondsLeft": job.seconds_left,
            }
            for job in operation.jobs
        ],
    }


class Lines(Silence):
    """Plain lines for logs: each step once, and progress every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._throttle = Throttle(LINE_EVERY)
        self._finished: set[str] = set()
        self._done = 0
        self._total = 0

    def __call__(self, event: Event) -> None:
        for line in self._lines(event):
            self._console.print(printable(line), markup=False)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case Note(text):
                return [text]
            case OperationChosen(operation, how):
                return [_CHOSEN[how].format(id=operation.operation_id)]
            case OperationSeen(operation):
                return self._operation(operation)
            case DownloadPlanned(files, held):
                self._done, self._total = sum(held.values()), sum(file.bytes for file in files)
                kept = f", {size_text(self._done)} of it here already" if self._done else ""
                many = counted(len(files), "file")
                return [f"Downloading {many}, {size_text(self._total)}{kept}"]
            case BytesArrived(_, count):
                self._done += count
                if not self._throttle.passes():
                    return []
                return [f"  {size_text(self._done)} of {size_text(self._total)}"]
            case PartRejected(file, part, _):
                return [f"  {file.file_name}: part {part} came with wrong bytes; fetching it again"]
            case FileVerified(file, _):
                return [f"  {file.file_name}: {size_text(file.bytes)} verified"]
            case FilesPublished(_):
                return []

    def _operation(self, operation: Operation) -> list[str]:
        lines = []
        for job in operation.jobs:
            if not job.status.active and job.job_id not in self._finished:
                self._finished.add(job.job_id)
                lines.append(f"  {job.table}: {job.status}, {job.rows:,} rows")
        if operation.status.active and self._throttle.passes():
            amount = _amount(operation.rows, operation.bytes, operation.seconds_left)
            lines.append(f"  {operation.status}, {operation.percent:.0f} %{amount}")
        return lines


class Phase(ProgressColumn):
    """What a row of the display tells: rows while the service works, bytes while we do."""

    def render(self, task: Any) -> Text:
        return Text(str(task.fields.get("said", "")), style="progress.download")


class Live(LiveProgress):
    """A bar for each table on the terminal: first the service's work, then the download."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            Phase(),
        )
        self._jobs: dict[str, TaskID] = {}
        self._files: dict[str, TaskID] = {}
        self._overall: TaskID | None = None
        self._got: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Note(text):
                self._say(text)
            case OperationChosen(operation, how):
                self._say(_CHOSEN[how].format(id=operation.operation_id))
            case OperationSeen(operation):
                self._operation(operation)
            case DownloadPlanned(files, held):
                for task in [*self._jobs.values(), self._overall]:
                    if task is not None:
                        self._progress.update(task, visible=False)
                for file in files:
                    got = self._got[file.file_name] = held[file.file_name]
                    self._files[file.file_name] = self._progress.add_task(
                        printable(file.file_name),
                        total=max(file.bytes, 1),
                        completed=got if file.bytes else 1,
                        said=f"{size_text(got)} of {size_text(file.bytes)}",
                    )
            case BytesArrived(file, count):
                self._got[file.file_name] += count
                self._progress.update(
                    self._files[file.file_name],
                    completed=self._got[file.file_name],
                    said=f"{size_text(self._got[file.file_name])} of {size_text(file.bytes)}",
                )
            case PartRejected(file, part, _):
                self._say(f"{file.file_name}: part {part} came with wrong bytes; fetching it again")
            case FileVerified(file, _):
                self._progress.update(
                    self._files[file.file_name],
                    completed=max(file.bytes, 1),
                    said=f"{size_text(file.bytes)} verified",
                )
            case FilesPublished(_):
                pass

    def _operation(self, operation: Operation) -> None:
        if self._overall is None:
            self._overall = self._progress.add_task("operation", total=100.0)
        self._progress.update(
            self._overall,
            completed=operation.percent,
            said=str(operation.status)
            + _amount(operation.rows, operation.bytes, operation.seconds_left),
        )
        for job in operation.jobs:
            if job.job_id not in self._jobs:
                self._jobs[job.job_id] = self._progress.add_task(
                    printable(f"  {job.table}"), total=100.0
                )
            done = 100.0 if job.status is Status.SUCCEEDED else job.percent
            said = str(job.status) + _amount(job.rows, job.bytes, job.seconds_left)
            self._progress.update(self._jobs[job.job_id], completed=done, said=said)


def _amount(rows: int, size: int, seconds_left: int | None) -> str:
    """What there is so far and how long it takes yet, to stand behind a status."""
    told = [f"{rows:,} rows"] if rows else []
    told += [size_text(size)] if size else []
    told += [f"about {_time(seconds_left)} left"] if seconds_left is not None else []
    return "".join(f", {one}" for one in told)


def _time(seconds: int) -> str:
    """Seconds for people."""
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def size_text(count: int) -> str:
    """Bytes for people, in decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
