"""Workers that come to the end of their time, die, or come twice, in the middle of a range."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.adapters.s3.part_upload import S3PartUploads
from headrace.exports.model import Limits, Operation, Status
from headrace.kernel.errors import HeadraceError, SliceTooLong, SourceUnavailable
from headrace.runtime.task import failure_of
from tests.builders import SteppingClock
from tests.examples import examples
from tests.fakes import FakeStream, FakeWarehouse
from tests.world import BUCKET, World, a_world

MIB = 1024 * 1024
ROWS = 48
SLICES = 8
PER_SLICE = ROWS // SLICES


@dataclass
class SlowStream(FakeStream):
    """Each row takes its time, and something may happen before it."""

    before_row: Callable[[bytes], None] = lambda _: None

    def __iter__(self) -> Iterator[bytes]:
        for line in super().__iter__():
            self.before_row(line)
            yield line


@dataclass
class SlowWarehouse(FakeWarehouse):
    """A table whose rows take seconds, and a note of every slice that was begun."""

    clock: SteppingClock = field(default_factory=SteppingClock)
    row_seconds: float = 1.0
    begun: list[int] = field(default_factory=list)
    before_row: Callable[[int], None] = lambda _: None

    @contextmanager
    def stream(self, *asked: Any, **named: Any) -> Iterator[FakeStream]:
        """See the port."""
        self.begun.append(asked[3].first // PER_SLICE if asked[3] else -1)

        def before(line: bytes) -> None:
            self.before_row(json.loads(line)["row"])
            self.clock.advance(seconds=self.row_seconds)

        with super().stream(*asked, **named) as stream:
            yield SlowStream(stream.lines, before_row=before)


@dataclass
class Fan:
    """One job in eight slices of six rows, shared out to as many ranges as asked for."""

    world: World
    warehouse: SlowWarehouse
    operation: Operation
    job_id: str
    job_attempt: int

    def shift(self, seconds: float = 900, index: int = 0) -> bool:
        """A worker with so much time; whether the range is to be gone on with."""
        clock = self.world.clock
        end = clock.now() + timedelta(seconds=seconds)
        return self.world.export_range(
            self.operation,
            self.job_id,
            self.job_attempt,
            index,
            lambda: float((end - clock.now()) / timedelta(seconds=1)),
        )

    def holds_every_row_once(self) -> None:
        """Completes the job; fails unless the document is the table."""
        assert self.world.complete_job(self.operation, self.job_id, self.job_attempt)
        [body] = self.world.stored().values()
        assert [json.loads(line)["row"] for line in body.splitlines()] == list(range(ROWS))


@contextmanager
def a_fan(ranges: int = 1, range_seconds: float = 780) -> Iterator[Fan]:
    """A planned job of a fresh deployment."""
    # As many bytes as the ranges are to be, in the slices that the warehouse makes of any table.
    limits = Limits(max_ranges=ranges, range_seconds=range_seconds, range_bytes=MIB)
    with a_world(limits=limits) as world:
        warehouse = SlowWarehouse(
            rows={"main.employees": ROWS}, row_bytes=MIB, ranges=SLICES, clock=world.clock
        )
        world.warehouse = warehouse
        world.upload = S3PartUploads(world.clients["s3"], BUCKET, poll_s=0.0)
        operation = world.start(entity="employees")
        [job_id] = world.plan(operation)
        job_attempt, shared = world.plan_job(operation, job_id)
        assert shared == ranges
        yield Fan(world, warehouse, operation, job_id, job_attempt)


def test_a_worker_whose_time_is_over_hands_over_and_no_slice_is_read_twice() -> None:
    with a_fan(range_seconds=15) as fan:
        # Six seconds for a slice: the third begins in time, the fourth would not.
        assert [fan.shift(), fan.shift(), fan.shift()] == [True, True, False]
        assert fan.warehouse.begun == list(range(SLICES))
        fan.holds_every_row_once()


def test_no_slice_is_begun_for_which_the_time_is_too_short() -> None:
    with a_fan() as fan:
        assert fan.shift(seconds=25)
        assert fan.warehouse.begun == [0, 1]


def test_a_slice_that_the_end_of_the_time_cuts_off_is_read_by_the_next_worker() -> None:
    def slower(row: int) -> None:
        if row == PER_SLICE:
            fan.world.clock.advance(seconds=30)

    with a_fan() as fan:
        fan.warehouse.before_row = slower
        assert fan.shift(seconds=40)
        fan.warehouse.before_row = lambda _: None
        assert not fan.shift()
        assert fan.warehouse.begun == [0, 1, *range(1, SLICES)]
        fan.holds_every_row_once()


def test_a_slice_that_a_worker_has_not_time_enough_for_fails_the_job_with_the_reason() -> None:
    with a_fan() as fan:
        fan.warehouse.row_seconds = 400
        with pytest.raises(SliceTooLong) as raised:
            fan.shift()
        failure = failure_of({"error": {"Error": type(raised.value).__name__}})
        assert failure.code == SliceTooLong.code
        assert "CSV, JSON or NDJSON" in failure.detail
        assert fan.world.complete_is_refused(fan.operation, fan.job_id, fan.job_attempt)


def test_a_worker_that_dies_costs_the_slice_that_it_was_at() -> None:
    def die(row: int) -> None:
        if row == 2 * PER_SLICE + 3:
            raise SystemExit

    with a_fan() as fan:
        fan.warehouse.before_row = die
        with pytest.raises(SystemExit):
            fan.shift()
        assert len(fan.world.status(fan.operation).jobs[0].slices_done) == 2
        fan.warehouse.before_row = lambda _: None
        assert not fan.shift()
        assert fan.warehouse.begun == [0, 1, 2, *range(2, SLICES)]
        fan.holds_every_row_once()


def test_of_two_workers_of_one_range_each_leaves_alone_what_the_other_has_done() -> None:
    def come_twice(row: int) -> None:
        if row == PER_SLICE + 2:
            fan.warehouse.before_row = lambda _: None
            assert not fan.shift()

    with a_fan() as fan:
        fan.warehouse.before_row = come_twice
        assert not fan.shift()
        # The second came while the first was at its second slice, and did all the others.
        assert fan.warehouse.begun == [0, 1, *range(1, SLICES)]
        fan.holds_every_row_once()


def test_a_table_that_is_planned_anew_begins_with_no_slice_done() -> None:
    with a_fan(range_seconds=1) as fan:
        assert fan.shift()
        world = fan.world
        fan.job_attempt, _ = world.plan_job(fan.operation, fan.job_id, anew=True)
        assert world.status(fan.operation).jobs[0].slices_done == frozenset()
        while fan.shift():
            pass
        fan.holds_every_row_once()


def test_rows_and_bytes_grow_while_a_slice_is_read_and_few_writes_tell_them() -> None:
    seen: list[tuple[int, int, int]] = []

    def look(row: int) -> None:
        [job] = fan.world.status(fan.operation).jobs
        seen.append((job.so_far.rows, job.so_far.size, job.percent))

    with a_fan() as fan:
        table = fan.world.operations.table
        fan.warehouse.before_row = look
        assert not fan.shift()
        item = f"job#{fan.job_id}#progress#0001#0000"
        assert table.get("north#bureau", item) is not None
        # A row takes a second: told every other one, and when a slice is there.
        assert len({rows for rows, _, _ in seen}) > ROWS // 3
        assert all(row - rows <= 2 for row, (rows, _, _) in enumerate(seen))
        assert seen == sorted(seen)
        assert all(size == rows * MIB for rows, size, _ in seen)
        [job] = fan.world.status(fan.operation).jobs
        assert job.seconds_left is None
        fan.holds_every_row_once()
        assert fan.world.status(fan.operation).so_far.rows == ROWS


@settings(max_examples=examples(10), deadline=None)
@given(
    troubles=st.lists(
        st.tuples(st.integers(0, ROWS - 1), st.sampled_from(["die", "time", "plan"])), max_size=4
    )
)
def test_what_a_caller_sees_never_falls_while_workers_die_hand_over_and_begin_anew(
    troubles: list[tuple[int, str]],
) -> None:
    left, before = dict(troubles), (0, 0, 0)

    def look_and_trouble(row: int) -> None:
        nonlocal before
        [job] = fan.world.status(fan.operation).jobs
        now = (job.so_far.rows, job.so_far.size, job.percent)
        assert all(new >= old for old, new in zip(before, now, strict=True))
        before = now
        match left.pop(row, None):
            case "die":
                raise SystemExit
            case "time":
                fan.world.clock.advance(seconds=30)
            case "plan":
                fan.job_attempt, _ = fan.world.plan_job(fan.operation, fan.job_id, anew=True)

    with a_fan() as fan:
        fan.warehouse.before_row = look_and_trouble
        again = True
        while again:
            try:
                again = fan.shift(30)
            except (HeadraceError, SystemExit):
                again = True
        fan.holds_every_row_once()


@settings(max_examples=examples(15), deadline=None)
@given(
    ranges=st.integers(1, SLICES),
    troubles=st.lists(st.tuples(st.integers(0, ROWS - 1), st.sampled_from("dtb")), max_size=5),
    seconds=st.sampled_from([20, 30, 900]),
)
def test_whatever_happens_to_workers_the_document_holds_every_row_once(
    ranges: int, troubles: list[tuple[int, str]], seconds: float
) -> None:
    left = dict(troubles)

    def trouble(row: int) -> None:
        match left.pop(row, None):
            case "d":
                raise SystemExit
            case "t":
                fan.world.clock.advance(seconds=seconds)
            case "b":
                raise SourceUnavailable("It went away.")

    with a_fan(ranges) as fan:
        fan.warehouse.before_row = trouble
        todo = list(range(ranges))
        while todo:
            index = todo.pop(0)
            try:
                again = fan.shift(seconds, index)
            except (HeadraceError, SystemExit):
                again = True
            if again:
                todo.append(index)
        fan.holds_every_row_once()
        assert fan.world.status(fan.operation).jobs[0].status is Status.SUCCEEDED
