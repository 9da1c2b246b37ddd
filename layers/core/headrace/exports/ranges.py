"""A range of a table's rows is read and uploaded, as far as a worker's time goes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta

from headrace.exports.extraction import Attempt, Extraction
from headrace.exports.model import Content, ExportRequest, Failure, Job, Operation, Progress, Status
from headrace.exports.ports import PartUploads
from headrace.exports.slices import WHOLE, PartPosition, RowRange, SliceResult, part_numbers
from headrace.exports.slots import Slots
from headrace.exports.snapshots import Snapshots
from headrace.exports.warehouses import Changes, RowStream, Warehouse
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Fenced,
    HeadraceError,
    SliceTooLong,
    Stopped,
    Unavailable,
)

_RESERVE_S = 8.0
"""So long before the end of its time a worker stops: what it waits for gives way every second or
two, and it has to say how it ended."""
_TELL_EVERY = timedelta(seconds=2)


class _Shift:
    """The time of one worker: whether another slice is begun in it, and when it is over.

    ``time_left`` says how many seconds the worker has till it is ended from outside.
    """

    def __init__(self, time_left: Callable[[], float], seconds: float) -> None:
        self.time_left, self._seconds = time_left, seconds
        self._began = self._slice_began = time_left()
        self._longest = 0.0

    def is_over(self) -> bool:
        """Is there too little left of it for one more slice like those before."""
        left = self.time_left()
        return self._began - left >= self._seconds or left - _RESERVE_S < self._longest

    def begin_slice(self) -> None:
        """A slice begins."""
        self._slice_began = self.time_left()

    def end_slice(self) -> None:
        """The slice is done."""
        self._longest = max(self._longest, self._slice_began - self.time_left())

    def check(self) -> None:
        """Raises SliceTooLong if the slice must be left as it is."""
        if self.time_left() < _RESERVE_S:
            raise SliceTooLong("A slice of the table takes longer than a worker may run.")


class _Meter:
    """Counts what a worker reads of its range, and tells it now and then.

    ``before`` is what the range has of slices that are recorded already.
    """

    def __init__(self, tell: Callable[[Progress], None], clock: Clock, before: Progress) -> None:
        self._tell, self._clock, self._before = tell, clock, before
        self._told = clock.now()

    def counted(self, stream: RowStream) -> Iterator[bytes]:
        """The chunks of the stream."""
        size = 0
        for chunk in stream:
            size += len(chunk)
            now = self._clock.now()
            if now - self._told >= _TELL_EVERY:
                self._told = now
                self._say(self._before + Progress(stream.rows_so_far or 0, size))
            yield chunk

    def end_slice(self, result: SliceResult, *, last: bool) -> None:
        """A slice is there; told at once, unless its record is about to say so of the whole job."""
        self._before += Progress(result.rows, result.size)
        if not last:
            self._say(self._before)

    def _say(self, progress: Progress) -> None:
        # Whether anybody hears of it is no matter of life and death.
        with suppress(Unavailable):
            self._tell(progress)


@dataclass(frozen=True)
class ExportRange:
    """Streams the slices of a range, one by one, each into its block of the job's upload.

    Each is recorded when it is there, and none is read twice that is. So a worker that comes near
    the end of its time hands over to the next, and one that dies costs the slice it was at.
    """

    extraction: Extraction
    warehouse: Warehouse
    changes: Changes
    upload: PartUploads
    snapshots: Snapshots
    slots: Slots

    def __call__(
        self,
        attempt: Attempt,
        job_id: str,
        job_attempt: int,
        index: int,
        time_left: Callable[[], float],
    ) -> bool:
        """Is there something left for the next worker; then this one has recorded a slice at least.

        ``time_left``: the seconds that this worker has. Raises Fenced, Stopped, Unavailable;
        SliceTooLong if all its time was not enough for one slice. Any other failure of ours fails
        the job.
        """
        operation, job = self._owned(attempt, job_id, job_attempt)
        shift = _Shift(time_left, self.extraction.limits.range_seconds)
        meter = self._meter(operation, job, index)
        for turn, number in enumerate(job.open_slices(index)):
            if turn:
                if shift.is_over():
                    return True
                operation, job = self._owned(attempt, job_id, job_attempt)
            if number in job.slices_done:
                continue
            shift.begin_slice()
            try:
                result = self._run(operation, job, number, shift, meter)
            except SliceTooLong:
                if turn:
                    return True
                raise
            except (Fenced, Stopped, Unavailable):
                raise
            except HeadraceError as error:
                failure = Failure(error.code, error.detail)
                self.extraction.end_job(operation, job, status=Status.FAILED, failure=failure)
                self.extraction.unstage(job)
                return False
            meter.end_slice(result, last=len(job.slices) == 1)
            self.extraction.operations.record_slice(operation, job, result)
            shift.end_slice()
        return False

    def _owned(self, attempt: Attempt, job_id: str, job_attempt: int) -> tuple[Operation, Job]:
        operation, job = self.extraction.running_job(attempt, job_id)
        if job.attempt != job_attempt or job.key is None or job.upload_id is None:
            raise Fenced("Another attempt owns the job.")
        return operation, job

    def _meter(self, operation: Operation, job: Job, index: int) -> _Meter:
        operations, own = self.extraction.operations, job.own_slices(index)
        done = operations.slices(operation, job) if job.slices_done.intersection(own) else ()
        before = (Progress(one.rows, one.size) for one in done if one.index in own)

        def tell(progress: Progress) -> None:
            operations.tell_progress(operation, job, index, progress)

        return _Meter(tell, self.extraction.clock, sum(before, Progress()))

    def _run(
        self, operation: Operation, job: Job, number: int, shift: _Shift, meter: _Meter
    ) -> SliceResult:
        source, version, table = self.extraction.reading(operation, job)
        snapshot = self.snapshots.to_read(operation, job)
        rows, last = job.slices[number], len(job.slices) - 1
        request: ExportRequest = operation.request

        def should_stop() -> bool:
            shift.check()
            slot.keep()
            return not self.extraction.operations.may_continue(operation, job)

        version, name = (snapshot.version, snapshot.name) if snapshot else (version, None)

        def opened() -> AbstractContextManager[RowStream]:
            if job.content is Content.CHANGES:
                return self.changes.stream_changes(
                    source,
                    request.source_since,
                    version,
                    table,
                    request.file_format,
                    request.compression,
                    name,
                )
            return self.warehouse.stream(
                source,
                version,
                table,
                None if rows == WHOLE else rows,
                request.file_format,
                request.compression,
                PartPosition(first=number == 0, last=number == last),
                name,
            )

        with (
            self.slots.taken(source, operation.tenant, shift.time_left) as slot,
            opened() as stream,
        ):
            parts, digest = self.upload(
                job.key or "",
                job.upload_id or "",
                part_numbers(number, len(job.slices)),
                meter.counted(stream),
                should_stop,
                whole=len(job.slices) == 1,
            )
            exact = isinstance(rows, RowRange) and rows != WHOLE
            if exact and stream.rows != rows.rows:
                raise HeadraceError("A slice of the table does not hold the rows it was cut for.")
            return SliceResult(number, stream.rows, parts, digest)
