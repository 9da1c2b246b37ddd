"""The background processing of an application: its status, and that it stands still for an import.

Whoever stops it for an import starts it again after, whatever became of the import. That it is
stopped for a process is remembered before it is stopped, so that a worker that dies in between
leaves nothing standing still of which nobody knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from headrace.datasets.definitions import Application
from headrace.datasets.messages import Message, MessageText, Severity
from headrace.datasets.model import Process, Result
from headrace.datasets.ports import Applications, Processes
from headrace.datasets.running import LEASE, Heartbeat, Ran, running
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import NotFound, ValidationFailed

_POLL_SECONDS = 1.0
_TIME_TO_END = 20.0
"""Seconds before its end that a worker hands over to the next."""
LONGEST_WAIT = timedelta(minutes=30)
"""How long tasks that were begun may take to end."""

RUNNING = MessageText(
    "task_processing_running",
    "Background processing is running while the data set is imported; with stopTaskProcessing it "
    "is stopped before and started again after",
    Severity.WARNING,
)
STOPPED = MessageText(
    "task_processing_stopped",
    "Background processing was stopped for the import",
    Severity.INFORMATIVE,
)
STARTED = MessageText(
    "task_processing_started",
    "Background processing was started again after the import",
    Severity.INFORMATIVE,
)
NOT_STOPPED = MessageText(
    "task_processing_not_stopped",
    "Background processing did not come to a stop within {minutes} minutes, so nothing was "
    "imported",
)
UNKNOWN = MessageText(
    "task_processing_unknown",
    "The application has no background processing that can be stopped",
    Severity.WARNING,
)


class TaskState(StrEnum):
    """How background processing stands, in the words of the application's own function."""

    STARTED = "STARTED"
    STOPPING = "STOPPING"
    """No new task is begun, and some that were are not at their end."""
    STOPPED = "STOPPED"


class TaskProcessing(Protocol):
    """The background processing of an application that has functions for it. Every call raises
    SourceUnavailable."""

    def state(self, application: Application) -> TaskState:
        """How it stands."""
        ...

    def stop(self, application: Application) -> None:
        """Begins no new task; those that were begun go on. Harmless where it is stopped."""
        ...

    def start(self, application: Application) -> None:
        """Goes on. Harmless where it does."""
        ...


class Pauses(Protocol):
    """For which process background processing stands still."""

    def of(self, tenant: str) -> str | None:
        """The process, if there is one. Read consistently."""
        ...

    def remember(self, process: Process) -> None:
        """That it is stopped for this one, and for no earlier one any more."""
        ...

    def forget(self, process: Process) -> None:
        """That it was started again after this one."""
        ...


def action_named(text: str | None) -> str:
    """``stop`` or ``start``. Raises ValidationFailed."""
    if text not in ("stop", "start"):
        raise ValidationFailed(
            "A query parameter is wrong.",
            [{"field": "action", "message": "must be stop or start"}],
        )
    return text


@dataclass(frozen=True)
class Standing:
    """How background processing stands; ``paused_for``: the process that it was stopped for."""

    state: TaskState
    paused_for: str | None = None


@dataclass(frozen=True)
class ControlTaskProcessing:
    """What callers see of background processing, and do to it."""

    applications: Applications
    tasks: TaskProcessing
    pauses: Pauses

    def __call__(self, caller: Caller, action: str | None = None) -> Standing:
        """How it stands, after the action: ``stop``, ``start``, or none.

        Raises NotFound: the application has no such functions; SourceUnavailable.
        """
        application = self.applications.of_tenant(caller.tenant)
        if application is None or not application.task_processing:
            raise NotFound("There is no background processing here that can be stopped.")
        if action == "stop":
            self.tasks.stop(application)
        elif action == "start":
            self.tasks.start(application)
        return Standing(self.tasks.state(application), self.pauses.of(caller.tenant))


@dataclass(frozen=True)
class PauseTaskProcessing:
    """Before an import: stops background processing if the import asks for it, and says clearly
    that it is running if the import does not."""

    applications: Applications
    processes: Processes
    tasks: TaskProcessing
    pauses: Pauses
    clock: Clock
    sleep: Callable[[float], None]

    def __call__(self, tenant: str, process_id: str, time_left: Callable[[], float]) -> Ran:
        """Without a result it stands as the import wants it, or is to be waited for by another
        worker (``waits``). Raises Fenced, SourceUnavailable."""
        process = running(self.processes, tenant, process_id)
        application = self.applications.of_tenant(tenant)
        if application is None or process.request.get("dryRun"):
            return Ran(None)
        wanted = bool(process.request.get("stopTaskProcessing"))
        if not application.task_processing:
            self._tell(process, UNKNOWN() if wanted else None)
            return Ran(None)
        if not wanted:
            stands = self.tasks.state(application) is TaskState.STOPPED
            self._tell(process, None if stands else RUNNING())
            return Ran(None)
        return self._pause(application, process, time_left)

    def _pause(
        self, application: Application, process: Process, time_left: Callable[[], float]
    ) -> Ran:
        # One that an operator stopped stays so; one that was stopped for an import that died is
        # started again after this one.
        ours = self.pauses.of(process.tenant) is not None
        if ours or self.tasks.state(application) is TaskState.STARTED:
            self.pauses.remember(process)
        self.tasks.stop(application)
        heartbeat = Heartbeat(self.processes, process, self.clock)
        while self.tasks.state(application) is not TaskState.STOPPED:
            if self.clock.now() - process.started_at >= LONGEST_WAIT:
                minutes = int(LONGEST_WAIT.total_seconds() // 60)
                self._tell(process, NOT_STOPPED(minutes=minutes))
                return Ran(Result.FAILURE)
            if time_left() < _TIME_TO_END:
                return Ran(None, {"waits": True})
            heartbeat(0)
            self.sleep(_POLL_SECONDS)
        self.processes.renew(process, LEASE, process.progress)
        self._tell(process, STOPPED())
        return Ran(None)

    def _tell(self, process: Process, message: Message | None) -> None:
        if message is not None:
            self.processes.tell(process, [message])


@dataclass(frozen=True)
class ResumeTaskProcessing:
    """After an import, whatever became of it: starts background processing again, if it was
    stopped for this process."""

    applications: Applications
    processes: Processes
    tasks: TaskProcessing
    pauses: Pauses

    def __call__(self, tenant: str, process_id: str) -> None:
        """Also after the process has ended. Raises SourceUnavailable."""
        process = self.processes.find(tenant, process_id)
        if process is None or self.pauses.of(tenant) != process_id:
            return
        application = self.applications.of_tenant(tenant)
        if application is not None and application.task_processing:
            self.tasks.start(application)
            if not process.has_ended:
                self.processes.tell(process, [STARTED()])
        self.pauses.forget(process)
