"""A process of a data set, from its start to what it has to say, run again where it was cut off.

What starts a process is remembered on the disk, with its Idempotency-Key, until the process has
ended and its messages are told. So a command that was killed, or whose answer was lost, goes on
with the process that it started. If that has ended meanwhile, another one is started, as what it
read or wrote may not be what is there now; of what can be done once only, the end is told instead.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from headrace_client.datasets.calls import DataSets
from headrace_client.datasets.model import Process, ProcessMessage, Result
from headrace_client.errors import ApiError, NotFound, ProcessUnsuccessful, ServiceError
from headrace_client.events import Note
from headrace_client.workspace import local_errors, write_atomically

_ENDED = {Result.SUCCESS: "succeeded", Result.FAILURE: "failed"}


@dataclass(frozen=True)
class ProcessBegun:
    """The process is known. `how`: `started`, `resumed` (an earlier run started it) or `given`."""

    process: Process
    how: str


@dataclass(frozen=True)
class ProcessSeen:
    """A look at the process while it is awaited."""

    process: Process


@dataclass(frozen=True)
class FileMoved:
    """So many bytes of a payload came or went. `what`: its name."""

    what: str
    done: int
    total: int


ProcessEvent = Note | ProcessBegun | ProcessSeen | FileMoved
ProcessListener = Callable[[ProcessEvent], None]


@dataclass(frozen=True)
class Begun:
    """What is remembered of a start; `upload_id` is that of the file that went before it."""

    idempotency_key: str
    upload_id: str | None = None


class Remembered:
    """Where it is remembered that something was begun; `folder` None remembers nothing.

    `what` tells one start from another: the environment, the call and all its values.
    """

    def __init__(self, folder: Path | None, what: object) -> None:
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
        self._path = None if folder is None else folder / f"{digest[:32]}.json"

    def read(self) -> Begun | None:
        """What was begun; None also of a record that cannot be read."""
        if self._path is None:
            return None
        with suppress(OSError, ValueError, TypeError):
            return Begun(**json.loads(self._path.read_text("utf-8")))
        return None

    def write(self, begun: Begun) -> None:
        """Remember it. Raises LocalFileError."""
        if self._path is None:
            return
        with local_errors(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._path, asdict(begun), mode=0o600)

    def forget(self) -> None:
        """Begin anew the next time. Raises LocalFileError."""
        if self._path is not None:
            with local_errors(self._path):
                self._path.unlink(missing_ok=True)


Start = Callable[[Begun, Callable[[str], None]], Process]
"""Starts a process under the Idempotency-Key; the function keeps the id of an upload."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended, and what it had to say. `how` as in `ProcessBegun`."""

    process: Process
    how: str
    messages: tuple[ProcessMessage, ...]

    def demand_success(self) -> None:
        """Raises ProcessUnsuccessful."""
        if self.process.result is not Result.SUCCESS:
            raise ProcessUnsuccessful(self.process, self._why(), self.messages)

    def _why(self) -> str:
        process = self.process
        said = f"The {process.kind} {process.process_id} failed"
        if process.counts is not None and process.counts.failed_items:
            refused = process.counts.failed_items
            return f"{said}: {refused:,} {'item was' if refused == 1 else 'items were'} refused."
        fatal = [one.text for one in self.messages if one.severity == "Fatal"]
        return f"{said}: {fatal[0]}" if fatal else f"{said}."


@dataclass(frozen=True)
class Run:
    """Runs processes. `folder` is where it is remembered what was begun; `timeout` bounds the wait
    for a process, in seconds."""

    data_sets: DataSets
    listener: ProcessListener
    folder: Path | None = None
    timeout: float | None = None
    new_key: Callable[[], str] = lambda: str(uuid.uuid4())

    def __call__(self, what: object, start: Start, *, once: bool = False) -> Ended:
        """Start a process, or go on with the one that an earlier run of the same started, and
        wait for its end. `once`: it could not be done a second time. Raises ProcessActive,
        ProcessTimeout and the other errors of the tree."""
        remembered = Remembered(self.folder, what)
        process, how = self._begin(remembered, start, once=once)
        self.listener(ProcessBegun(process, how))
        ended = self._awaited(process, how)
        remembered.forget()
        return ended

    def watch(self, process_id: str) -> Ended:
        """Wait for the end of a process that somebody started."""
        process = self.data_sets.process(process_id)
        self.listener(ProcessBegun(process, "given"))
        return self._awaited(process, "given")

    def _awaited(self, process: Process, how: str) -> Ended:
        ended = self.data_sets.wait(
            process.process_id,
            timeout=self.timeout,
            on_look=lambda it: self.listener(ProcessSeen(it)),
        )
        return Ended(ended, how, tuple(self.data_sets.messages(ended.process_id)))

    def _begin(self, remembered: Remembered, start: Start, *, once: bool) -> tuple[Process, str]:
        begun = remembered.read()
        if begun is not None:
            process = self._resumed(remembered, begun, start, once=once)
            if process is not None:
                return process, "resumed"
        return self._started(remembered, Begun(self.new_key()), start), "started"

    def _resumed(
        self, remembered: Remembered, begun: Begun, start: Start, *, once: bool
    ) -> Process | None:
        """What an earlier run started, if it is to be gone on with."""
        try:
            process = self._started(remembered, begun, start)
            process = self.data_sets.process(process.process_id)
        except ApiError as error:
            if isinstance(error, NotFound) or error.code == "idempotency_key_reused":
                return None  # its upload, the process, or what the key started is gone
            raise
        if process.result is None or once:
            return process
        self.listener(
            Note(
                f"The {process.kind} {process.process_id}, which an earlier run started, has "
                f"{_ENDED[process.result]} since (`headrace dataset watch {process.process_id}`); "
                "this is another one"
            )
        )
        return None

    def _started(self, remembered: Remembered, begun: Begun, start: Start) -> Process:
        remembered.write(begun)

        def uploaded(upload_id: str) -> None:
            remembered.write(replace(begun, upload_id=upload_id))

        try:
            return start(begun, uploaded)
        except ApiError as error:
            if not isinstance(error, ServiceError):
                remembered.forget()  # it was refused: nothing was begun
            raise
