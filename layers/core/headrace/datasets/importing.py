"""Importing a payload (seed 001), or saying what that would do.

An import plans all it has to do, keeps what undoes it, and then writes item after item. A worker
that is killed, or whose time is over, leaves whole items; the next one begins anew, finds what is
done unchanged, and keeps what undoes its own part: so the undo set has as many parts as there were
workers that wrote.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count, takewhile

from headrace.datasets.definitions import Application, Definition, accepts
from headrace.datasets.messages import (
    TECHNICAL_FAILURE,
    UNKNOWN_DEFINITION,
    WRONG_VERSION,
    Message,
)
from headrace.datasets.model import Counts, Process, Progress, Result
from headrace.datasets.payload import Manifest
from headrace.datasets.ports import (
    Applications,
    PayloadReader,
    Payloads,
    Planned,
    Processes,
    TargetDatabase,
)
from headrace.datasets.running import LEASE, Heartbeat, Ran, running
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    FileExpired,
    PayloadIncompatible,
    PayloadRefused,
    PayloadTableUnknown,
)

NDJSON = "application/x-ndjson"

TIME_TO_END_S = 60.0
"""A worker that has no more time than this begins no further batch."""


def covered_tables(definition: Definition, manifest: Manifest) -> frozenset[int]:
    """The dependents of which a payload has all records that belong to its items.

    Records of theirs that are missing in it were deleted in the source. Of tables that were
    excluded, or filtered by an inclusion date, or that the payload does not know, nobody can say.
    """
    complete = {entry.table_id for entry in manifest.tables if entry.complete}
    return frozenset(
        table.table_id
        for table in definition.tables
        if table.owner
        and table.table_id in complete
        and (definition.top_of(table.table_id), table.table_id) not in manifest.excluded
    )


def of_tenant(
    applications: Applications, process: Process
) -> tuple[Application, Definition] | None:
    """The application and definition of a process, if the catalog still has them."""
    application = applications.of_tenant(process.tenant)
    definition = application.definition(process.definition) if application else None
    return (application, definition) if application and definition else None


def difference_key(process_id: str) -> str:
    """Where the difference of an import lies."""
    return f"{process_id}/difference.ndjson"


def undo_key(process_id: str, part: int) -> str:
    """Where a part of an import's undo set lies."""
    return f"{process_id}/undo-{part}.ndjson"


@dataclass(frozen=True)
class ImportDataSet:
    """Imports the payload of a process; a dry run tells the difference and writes nothing."""

    applications: Applications
    processes: Processes
    payloads: Payloads
    reader: PayloadReader
    target: TargetDatabase
    clock: Clock

    def __call__(self, tenant: str, process_id: str, time_left: Callable[[], float]) -> Ran:
        """How far it came; its messages are told.

        ``time_left``: seconds. Raises Fenced, SourceUnavailable, SourceChanged, FileUnavailable,
        FileExpired.
        """
        process = running(self.processes, tenant, process_id)
        known = of_tenant(self.applications, process)
        if known is None:
            return self._refused(process, [UNKNOWN_DEFINITION(definition=process.definition)])
        try:
            return self._read(process, *known, time_left)
        except PayloadRefused as refused:
            return self._refused(process, [_of(refused)])

    def _read(
        self,
        process: Process,
        application: Application,
        definition: Definition,
        time_left: Callable[[], float],
    ) -> Ran:
        with (
            self.payloads.open(process.tenant, process.request["payload"]) as file,
            self.reader.read(file, definition) as payload,
        ):
            manifest, request = payload.manifest, process.request
            exactly = bool(request.get("exactVersionMatch")) or manifest.exact_version_match
            if not accepts(manifest.version, application.version, exactly=exactly):
                return self._refused(process, [_wrong_version(manifest, application)])
            heartbeat = Heartbeat(self.processes, process, self.clock)
            payload.verify(heartbeat)
            keeps = request.get("disableDeleteByOmission") or manifest.disable_delete_by_omission
            with self.target.planned(
                application,
                definition,
                payload,
                delete_by_omission=not keeps,
                dry=bool(request.get("dryRun")),
                keep_going=heartbeat,
            ) as planned:
                if planned.wrong:
                    return self._refused(process, planned.wrong)
                if request.get("dryRun"):
                    return self._told(process, planned)
                return self._applied(process, planned, heartbeat, time_left)

    def _refused(self, process: Process, messages: Iterable[Message]) -> Ran:
        self.processes.tell(process, messages)
        return Ran(Result.FAILURE)

    def _told(self, process: Process, planned: Planned) -> Ran:
        key = difference_key(process.process_id)
        self.payloads.store(process.tenant, key, NDJSON, planned.difference())
        self.processes.tell(process, planned.messages())
        return ended(planned.counts(), difference=key)

    def _applied(
        self,
        process: Process,
        planned: Planned,
        heartbeat: Heartbeat,
        time_left: Callable[[], float],
    ) -> Ran:
        tenant, process_id = process.tenant, process.process_id
        part, total = len(undo_parts(self.payloads, process)), planned.records()
        if part == 0:
            key = difference_key(process_id)
            self.payloads.store(tenant, key, NDJSON, planned.difference())
        if total:
            self.payloads.store(tenant, undo_key(process_id, part), NDJSON, planned.undo_set())
        heartbeat.total, done = total, 0
        # The last word before the first change: is the process still this worker's.
        self.processes.renew(process, LEASE, Progress(done, total))
        for records in planned.apply():
            done += records
            heartbeat(done)
            if done < total and time_left() < TIME_TO_END_S:
                return Ran(None)
        self.processes.tell(process, planned.messages())
        counts = planned.counts()
        if part or counts.failed_items:
            counts = self._settled(process, planned, counts)
        undo = undo_key(process_id, 0) if part or total else None
        return ended(counts, difference=difference_key(process_id), undo=undo)

    def _settled(self, process: Process, planned: Planned, counts: Counts) -> Counts:
        """Leaves what was not done out of the difference, which was written before it was.

        Counts what all workers together did: what the first one had to do, without the items that
        were refused in the end.
        """
        failed = planned.failed_items()
        done = {"added": 0, "changed": 0, "deleted": 0}
        key = difference_key(process.process_id)

        def kept() -> Iterator[bytes]:
            with self.payloads.open(process.tenant, key) as file:
                for line in file:
                    entry = json.loads(line)
                    if entry["number"] not in failed:
                        done[entry["change"]] += 1
                        yield line

        self.payloads.store(process.tenant, key, NDJSON, kept())
        known = counts.added + counts.changed + counts.unchanged
        return Counts(
            **done,
            unchanged=known - done["added"] - done["changed"],
            failed_items=counts.failed_items,
        )


def _of(refused: PayloadRefused) -> Message:
    """Why a payload is refused, as a message of the process."""
    if isinstance(refused, PayloadTableUnknown | PayloadIncompatible):
        return Message(refused.code, refused.detail)
    return TECHNICAL_FAILURE(reason=refused.detail)


def undo_parts(payloads: Payloads, process: Process) -> list[str]:
    """Where the parts of an import's undo set lie, in their order. Raises FileUnavailable."""
    keys = (undo_key(process.process_id, part) for part in count())
    return list(takewhile(lambda key: _exists(payloads, process.tenant, key), keys))


def _exists(payloads: Payloads, tenant: str, key: str) -> bool:
    """Is there such a document. Raises FileUnavailable."""
    with suppress(FileExpired), payloads.open(tenant, key):
        return True
    return False


def _wrong_version(manifest: Manifest, application: Application) -> Message:
    return WRONG_VERSION(built_by=manifest.version, version=application.version)


def ended(counts: Counts, **outcome: str | None) -> Ran:
    """The end of a process that failed if any of its items did."""
    result = Result.FAILURE if counts.failed_items else Result.SUCCESS
    return Ran(result, {"counts": asdict(counts), **outcome})
