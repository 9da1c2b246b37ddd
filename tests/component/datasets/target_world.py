"""A target database and what the workers of imports and undoings need around it."""

from dataclasses import dataclass, field

from headrace.adapters.payload.by_format import PayloadReaderByFormat
from headrace.adapters.postgresql.importing import PostgresqlTarget
from headrace.datasets.importing import ImportDataSet
from headrace.datasets.model import Process
from headrace.datasets.running import Ran
from headrace.datasets.undoing import UndoImport
from tests.builders import SteppingClock
from tests.component.datasets.registry import (
    NOON,
    TENANT,
    KeptPayloads,
    KeptProcesses,
    OneApplication,
    OnePayload,
    PayloadOf,
    Registry,
    an_import,
)


@dataclass
class World:
    """A target and what is around it."""

    target: Registry
    processes: KeptProcesses = field(default_factory=KeptProcesses)
    payloads: KeptPayloads = field(default_factory=KeptPayloads)
    clock: SteppingClock = field(default_factory=lambda: SteppingClock(NOON))
    imports: int = 0

    def load(self, payload: PayloadOf | bytes, time_left: float = 900, **request: object) -> Ran:
        """Imports a payload, as a process of its own."""
        self.imports += 1
        return self.run(an_import(f"import{self.imports}", **request), payload, time_left)

    def run(self, process: Process, payload: PayloadOf | bytes, time_left: float = 900) -> Ran:
        """Runs a worker of the process. A payload in bytes is read as one that was uploaded."""
        self.processes.kept[process.process_id] = process
        self.payloads.documents["payload"] = payload if isinstance(payload, bytes) else b"a file"
        usecase = ImportDataSet(
            OneApplication(self.target.application),
            self.processes,
            self.payloads,
            PayloadReaderByFormat() if isinstance(payload, bytes) else OnePayload(payload),
            PostgresqlTarget(),
            self.clock,
        )
        return usecase(TENANT, process.process_id, lambda: time_left)

    def undo(self, process: Process, time_left: float = 900) -> Ran:
        """Runs a worker of the process, which undoes an import."""
        self.processes.kept[process.process_id] = process
        usecase = UndoImport(
            OneApplication(self.target.application),
            self.processes,
            self.payloads,
            PostgresqlTarget(),
            self.clock,
        )
        return usecase(TENANT, process.process_id, lambda: time_left)

    def told(self, process_id: str | None = None) -> list[tuple[str, str | None, str]]:
        """The messages of the last import, or of another process: code, item, text."""
        messages = self.processes.told[process_id or f"import{self.imports}"]
        return [(message.code, message.item, message.text) for message in messages]
