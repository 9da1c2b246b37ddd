"""Running a process: whoever does holds its lease, and says how far it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Self

from headrace.datasets.model import LEASE, Process, Progress
from headrace.datasets.ports import Processes
from headrace.kernel.errors import Fenced, HeadraceError


@dataclass
class Holding:
    """Renews the lease of a process every few seconds while it is entered, whatever else goes on.

    ``done`` and ``total`` are what is told of the progress then. Raises Fenced when it is entered,
    and whenever it is looked at: the process has ended, or another one has taken its lease.
    """

    processes: Processes
    process: Process
    every_s: float = 5.0
    lease: timedelta = LEASE
    done: int = 0
    total: int | None = None

    def __post_init__(self) -> None:
        self._over, self._lost = Event(), Event()
        self._thread = Thread(target=self._go_on, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Renews it at once."""
        self._renew()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Renews it no more."""
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Raises Fenced if the work no longer counts; asks for nothing anew."""
        if self._lost.is_set():
            raise Fenced("The process has ended, or another one has taken its lease.")

    def prove(self) -> None:
        """The same, and asks anew: before a step that must not be made by one who lost it."""
        self.look()
        self._renew()

    def counted[T](self, things: Iterable[T]) -> Iterator[T]:
        """The same things; each is counted as done."""
        for thing in things:
            self.done += 1
            if self.done % 1000 == 0:
                self.look()
            yield thing

    def _renew(self) -> None:
        self.processes.renew(self.process, self.lease, Progress(self.done, self.total))

    def _go_on(self) -> None:
        while not self._over.wait(self.every_s):
            try:
                self._renew()
            except Fenced:
                self._lost.set()
                return
            except HeadraceError:
                continue  # the lease outlasts several tries
