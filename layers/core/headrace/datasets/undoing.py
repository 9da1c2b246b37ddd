"""Undoing an import: the records that it wrote become again what they were before.

What the import wrote in several goes is undone in as many, the last one first. As with imports an
item is undone whole or not at all, and a worker that begins anew finds what is undone already.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from headrace.datasets.importing import TIME_TO_END_S, ended, of_tenant, undo_parts
from headrace.datasets.messages import UNKNOWN_DEFINITION
from headrace.datasets.model import Counts, Result
from headrace.datasets.ports import Applications, Payloads, Processes, TargetDatabase
from headrace.datasets.running import Heartbeat, Ran, running
from headrace.kernel.clock import Clock
from headrace.kernel.errors import Fenced


@dataclass(frozen=True)
class UndoImport:
    """Undoes the import that a process is about (its request's ``undoes``)."""

    applications: Applications
    processes: Processes
    payloads: Payloads
    target: TargetDatabase
    clock: Clock

    def __call__(self, tenant: str, process_id: str, time_left: Callable[[], float]) -> Ran:
        """How far it came; its messages are told. ``time_left``: seconds.

        Raises Fenced, SourceUnavailable, SourceChanged, FileUnavailable, FileExpired.
        """
        process = running(self.processes, tenant, process_id)
        undone = self.processes.find(tenant, process.request["undoes"])
        if undone is None:
            raise Fenced("The import that is to be undone is not known.")
        known = of_tenant(self.applications, process)
        if known is None:
            self.processes.tell(process, [UNKNOWN_DEFINITION(definition=process.definition)])
            return Ran(Result.FAILURE)
        heartbeat = Heartbeat(self.processes, process, self.clock)
        counts = Counts()
        for key in reversed(undo_parts(self.payloads, undone)):
            with (
                self.payloads.open(tenant, key) as lines,
                self.target.planned_undo(
                    *known,
                    lines,
                    force=bool(process.request.get("force")),
                    keep_going=heartbeat,
                ) as planned,
            ):
                if planned.wrong:
                    self.processes.tell(process, planned.wrong)
                    return Ran(Result.FAILURE)
                heartbeat.total, done = planned.records(), 0
                for records in planned.apply():
                    done += records
                    heartbeat(done)
                    if done < heartbeat.total and time_left() < TIME_TO_END_S:
                        return Ran(None)
                self.processes.tell(process, planned.messages())
                counts = _sum(counts, planned.counts())
        if counts.failed_items == 0:
            self.processes.undone(undone, process.process_id)
        return ended(counts)


def _sum(one: Counts, other: Counts) -> Counts:
    more = asdict(other)
    return Counts(**{name: number + more[name] for name, number in asdict(one).items()})
