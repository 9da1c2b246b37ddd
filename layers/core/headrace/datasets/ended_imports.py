"""What callers do with imports that have ended: read what they changed, and undo it. Both are ours.

All of it belongs to the caller's tenant. What another tenant has is as what never was.
"""

import os
from dataclasses import dataclass

from headrace.datasets.import_starts import ImportStarter
from headrace.datasets.importing import undo_key
from headrace.datasets.model import Process, ProcessKind
from headrace.datasets.ports import Payloads, Processes
from headrace.datasets.usecases import GetProcess
from headrace.kernel.caller import Caller
from headrace.kernel.errors import FileExpired, NotUndoable


@dataclass(frozen=True)
class GetDifference:
    """Hands out what an import changed, or a dry run would."""

    processes: Processes
    payloads: Payloads
    most_bytes: int
    """Of a document that is handed out in the answer itself; a larger one is linked to."""

    def __call__(self, caller: Caller, process_id: str) -> bytes | str | None:
        """The document, or a link to it; None if the process left none.

        Raises NotFound, FileUnavailable, FileExpired.
        """
        process = GetProcess(self.processes)(caller, process_id)
        key = process.outcome.get("difference")
        if key is None:
            return None
        with self.payloads.open(caller.tenant, key) as file:
            if file.seek(0, os.SEEK_END) <= self.most_bytes:
                file.seek(0)
                return file.read()
        return self.payloads.link(caller.tenant, key, f"{process_id}.ndjson")


@dataclass(frozen=True)
class StartUndo:
    """Starts to undo an import."""

    start: ImportStarter
    processes: Processes
    payloads: Payloads

    def __call__(
        self,
        caller: Caller,
        process_id: str,
        key: str | None,
        *,
        force: bool,
        stop_task_processing: bool,
    ) -> Process:
        """The process that undoes it, or the one that the key started before.

        ``force``: also where somebody changed a record since. Raises NotFound, NotUndoable,
        ImportWhileBusy, IdempotencyKeyReused, FileUnavailable.
        """
        undone = GetProcess(self.processes)(caller, process_id)
        made, now = self.start.new_id()
        process = Process(
            tenant=caller.tenant,
            process_id=made,
            kind=ProcessKind.UNDO,
            definition=undone.definition,
            data_set=undone.data_set,
            started_at=now,
            started_by=caller.user or caller.client_id,
            request={
                "undoes": undone.process_id,
                "force": force,
                "stopTaskProcessing": stop_task_processing,
            },
        )
        try:
            self._check(undone)
        except NotUndoable:
            # By now it may have been undone by the very process that this start is a repetition of.
            if (begun := self.start.repeated(process, caller, key)) is not None:
                return begun
            raise
        return self.start(process, caller, key, "")

    def _check(self, undone: Process) -> None:
        if undone.kind is not ProcessKind.IMPORT:
            raise NotUndoable("Only imports can be undone.")
        if not undone.has_ended:
            raise NotUndoable("The import still runs.")
        if undone.undone_by is not None:
            raise NotUndoable("The import was undone already.", undoneBy=undone.undone_by)
        # Not by its outcome: of an import that was ended from outside that says nothing.
        try:
            with self.payloads.open(undone.tenant, undo_key(undone.process_id, 0)):
                return
        except FileExpired:
            raise NotUndoable("The import changed nothing.") from None
