"""Waiting for the process of a data set: shown meanwhile, and gone on with when run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace_client.client import HeadraceClient
from headrace_client.command.dataset_display import process_display
from headrace_client.command.outcome import Common, Exit, Printer, answer, interruptible
from headrace_client.command.profile import environment, state_path
from headrace_client.datasets.model import Process
from headrace_client.datasets.run import ProcessBegun, ProcessEvent, Run
from headrace_client.errors import Conflict, HeadraceClientError, ProcessActive, ProcessTimeout


class StoppedWatching(HeadraceClientError):
    """The user interrupted a command that waits for a process."""

    code = "interrupted"

    def __init__(self, process: Process | None) -> None:
        if process is None:
            super().__init__("Interrupted. Run the same command again to go on where it stopped.")
            return
        super().__init__(
            f"Interrupted. The {process.kind} goes on: `headrace dataset watch "
            f"{process.process_id}` shows it to its end, and so does the same command."
        )


class Watched:
    """Shows what happens, and remembers which process it is about."""

    def __init__(self) -> None:
        self._shown: Callable[[ProcessEvent], None] = _unseen
        self.process: Process | None = None

    def __call__(self, event: ProcessEvent) -> None:
        if isinstance(event, ProcessBegun):
            self.process = event.process
        self._shown(event)

    @contextmanager
    def showing(self, printer: Printer) -> Iterator[None]:
        """Show it meanwhile. Errors of processes get advice."""
        with process_display(printer.common, printer.err) as self._shown, _advised():
            yield

    def run(self, client: HeadraceClient, timeout: float | None) -> Run:
        """What runs processes."""
        folder = state_path(environment()) / "datasets"
        return Run(client.data_sets, self, folder, timeout)


def watching(common: Common, work: Callable[[HeadraceClient, Printer, Watched], Exit]) -> int:
    """As `answer`, for what waits: an interruption says how to go on."""
    watched = Watched()
    return interruptible(
        common,
        lambda: answer(common, lambda client, printer: work(client, printer, watched)),
        lambda: StoppedWatching(watched.process),
    )


@contextmanager
def _advised() -> Iterator[None]:
    try:
        yield
    except ProcessActive as active:
        if active.blocking_process_id is not None:
            active.hint = f"`headrace dataset watch {active.blocking_process_id}` shows it."
        raise
    except ProcessTimeout as late:
        late.hint = f"`headrace dataset watch {late.process.process_id}` shows it to its end."
        raise
    except Conflict as conflict:
        if conflict.code == "data_set_exists":
            conflict.hint = "Without --full it is built again, of the items that it has."
        raise


def _unseen(event: ProcessEvent) -> None:
    """Shows nothing."""
