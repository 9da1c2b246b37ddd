"""The rules of an export that need nothing but values."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.exports.model import (
    MOVES,
    Compression,
    Failure,
    FileFormat,
    Job,
    Limits,
    Progress,
    Status,
    origins,
    read_so_far,
)
from headrace.exports.slices import (
    MAX_PARTS,
    MAX_SLICE_PARTS,
    MAX_SLICES,
    MIN_PART_BYTES,
    WHOLE,
    KeyRange,
    RowRange,
    SliceResult,
    UploadedPart,
    coarser,
    part_numbers,
    parts_fit,
)
from headrace.kernel.errors import NotFound, OperationNotRetryable, OperationRunning
from tests.builders import NOON, a_column, a_configuration, a_request, a_rule, a_table, an_export


def test_every_state_is_either_active_ended_or_final() -> None:
    for status in Status:
        groups = [status.active, status.ended, status in (Status.EXPIRED, Status.DELETED)]
        assert groups.count(True) == 1


def test_an_active_state_can_always_be_ended() -> None:
    for status in Status:
        if status.active:
            assert {Status.FAILED, Status.CANCELLED} <= MOVES[status]


def test_origins_are_the_moves_read_backwards() -> None:
    for target in Status:
        assert set(origins(target)) == {one for one in Status if target in MOVES[one]}


def test_nothing_leaves_the_deleted_state() -> None:
    assert MOVES[Status.DELETED] == frozenset()


def test_an_operation_succeeds_only_if_every_job_does() -> None:
    operation = an_export()
    assert operation.outcome() is Status.FAILED


def test_a_job_cannot_outlive_its_operations_end() -> None:
    running = Job("j", "t", status=Status.RUNNING)
    assert running.within(Status.CANCELLED, None).status is Status.CANCELLED
    failure = Failure("abandoned", "gone")
    assert running.within(Status.FAILED, failure).failure == failure
    done = Job("j", "t", status=Status.SUCCEEDED)
    assert done.within(Status.CANCELLED, None) is done


def test_an_ended_operation_is_seen_as_expired_from_its_expiry_on() -> None:
    operation = an_export(NOON)
    done = replace(operation, status=Status.SUCCEEDED, expires_at=NOON + timedelta(hours=24))
    assert done.seen_at(NOON + timedelta(hours=23, minutes=59)).status is Status.SUCCEEDED
    assert done.seen_at(NOON + timedelta(hours=24)).status is Status.EXPIRED


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.RUNNING, Status.SUCCEEDED])
def test_what_is_active_or_succeeded_is_not_retryable(status: Status) -> None:
    with pytest.raises(OperationNotRetryable):
        replace(an_export(), status=status).check_retryable()


def test_what_is_active_is_not_deletable() -> None:
    with pytest.raises(OperationRunning):
        an_export().check_deletable()


def test_an_unknown_table_of_a_configuration_is_not_found() -> None:
    with pytest.raises(NotFound):
        a_configuration().table("salaries")


@given(st.integers(1, 1000))
def test_the_part_numbers_of_slices_are_disjoint_equal_and_allowed(slices: int) -> None:
    blocks = [part_numbers(index, slices) for index in range(slices)]
    assert {len(block) for block in blocks} == {min(MAX_PARTS // slices, MAX_SLICE_PARTS)}
    assert blocks[0][0] == 1
    assert all(earlier.stop == later.start for earlier, later in pairwise(blocks))
    assert blocks[-1][-1] <= MAX_PARTS


_bounds = st.lists(st.text(max_size=40), min_size=1, max_size=60, unique=True).map(sorted)


def slices_by_key(bounds: list[str]) -> tuple[KeyRange, ...]:
    """All keys, cut at these."""
    cuts = [None, *((bound,) for bound in bounds), None]
    return tuple(KeyRange(after, upto, 1) for after, upto in pairwise(cuts))


@given(_bounds, st.integers(0, 4000))
def test_coarser_slices_hold_the_same_keys_and_take_no_more_room_than_allowed(
    bounds: list[str], most_bytes: int
) -> None:
    slices = slices_by_key(bounds)
    joined = [one for one in coarser(slices, most_bytes) if isinstance(one, KeyRange)]
    assert sum(one.rows for one in joined) == len(slices)
    assert joined[0].after is None
    assert joined[-1].upto is None
    assert all(earlier.upto == later.after for earlier, later in pairwise(joined))
    assert {one.upto for one in joined} <= {one.upto for one in slices}
    texts = [text for one in joined for bound in (one.after, one.upto) for text in bound or ()]
    assert sum(len(text.encode()) for text in texts) <= most_bytes


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 9), st.integers(0, 9)),
        max_size=40,
    )
)
def test_what_a_caller_is_told_never_falls_whatever_workers_of_any_attempt_say(
    told: list[tuple[int, int, int, int]],
) -> None:
    kept: dict[int, dict[int, Progress]] = {}
    before = Progress()
    for attempt, index, rows, size in told:
        ranges = kept.setdefault(attempt, {})
        now = ranges.get(index, Progress())
        # As it is written: what says less of either changes nothing.
        if rows >= now.rows and size >= now.size:
            ranges[index] = Progress(rows, size)
        seen = read_so_far({one: list(sums.values()) for one, sums in kept.items()})
        assert seen.rows >= before.rows
        assert seen.size >= before.size
        before = seen


def test_the_time_left_is_told_by_the_pace_so_far_and_only_if_there_is_one() -> None:
    job = Job("j", "t", Status.RUNNING, expected_rows=400, started_at=NOON, read=Progress(100, 5))
    later = NOON + timedelta(seconds=10)
    operation = replace(an_export(), status=Status.RUNNING, started_at=NOON, jobs=(job,))
    seen = operation.seen_at(later)
    assert (seen.seconds_left, seen.jobs[0].seconds_left) == (30, 30)
    for unknown in (
        replace(job, read=Progress()),
        replace(job, expected_rows=None),
        replace(job, expected_rows=90),
    ):
        seen = replace(operation, jobs=(unknown,)).seen_at(later)
        assert (seen.seconds_left, seen.jobs[0].seconds_left) == (None, None)


def test_slices_by_position_stay_as_they_are() -> None:
    slices = tuple(RowRange(first, first, 1) for first in range(50))
    assert coarser(slices, 0) == slices


@given(st.integers(1, MAX_SLICES), st.integers(1, 60), st.data())
def test_every_slice_that_is_not_done_is_in_exactly_one_range(
    slices: int, ranges: int, data: st.DataObject
) -> None:
    done = data.draw(st.frozensets(st.integers(0, slices - 1)))
    ranges = min(ranges, slices)
    job = Job("j", "t", slices=(WHOLE,) * slices, ranges=ranges, slices_done=done)
    shared = [job.open_slices(index) for index in range(ranges)]
    assert [number for one in shared for number in one] == sorted(set(range(slices)) - done)
    sizes = [len(replace(job, slices_done=frozenset()).open_slices(i)) for i in range(ranges)]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


@given(
    st.integers(1, MAX_SLICES),
    st.integers(1, 60),
    st.floats(1, 880),
    st.integers(1, 2048),
    st.none() | st.integers(1, 60),
)
def test_there_are_no_more_ranges_than_slices_and_than_allowed(
    slices: int, max_ranges: int, seconds: float, range_mib: int, readers: int | None
) -> None:
    limits = Limits(
        max_ranges=max_ranges, range_seconds=seconds, range_bytes=range_mib * 1024 * 1024
    )
    assert 1 <= limits.ranges(slices, readers) <= min(slices, max_ranges, readers or slices)
    assert limits.slice_bytes <= limits.range_bytes


@pytest.mark.parametrize("slices", [1, 7, 40])
def test_by_default_a_slice_is_a_range_up_to_the_most_ranges(slices: int) -> None:
    assert Limits().ranges(slices) == slices


@given(st.lists(st.lists(st.integers(1, 2 * MIN_PART_BYTES), min_size=1, max_size=3), min_size=1))
def test_only_the_last_part_of_a_document_may_be_small(sizes: list[list[int]]) -> None:
    results = tuple(
        SliceResult(
            index, 1, tuple(UploadedPart(n, size, "", "") for n, size in enumerate(one)), ""
        )
        for index, one in enumerate(sizes)
    )
    flat = [size for one in sizes for size in one]
    assert parts_fit(results) == (min(flat[:-1], default=MIN_PART_BYTES) >= MIN_PART_BYTES)


def test_the_schema_hash_changes_with_what_callers_see_and_with_nothing_else() -> None:
    table = a_table()
    renamed_source = a_table(source="other.place", row_estimate=9)
    assert renamed_source.schema_hash == table.schema_hash
    assert a_table(columns=(a_column("id"),)).schema_hash != table.schema_hash
    assert a_table(primary_key=()).schema_hash != table.schema_hash


@pytest.mark.parametrize(
    ("file_format", "compression", "name"),
    [
        (FileFormat.CSV, Compression.NONE, "pay_slips.csv"),
        (FileFormat.NDJSON, Compression.GZIP, "pay_slips.ndjson.gz"),
        (FileFormat.JSON, Compression.ZSTD, "pay_slips.json.zst"),
        (FileFormat.PARQUET, Compression.ZSTD, "pay_slips.parquet"),
    ],
)
def test_a_file_is_named_after_its_table_and_form(
    file_format: FileFormat, compression: Compression, name: str
) -> None:
    request = a_request(file_format=file_format, compression=compression)
    assert request.file_name('pay"slips') == name


def test_a_quota_day_ends_at_the_tenants_midnight() -> None:
    rule = a_rule(time_zone="Pacific/Auckland")  # UTC+13 in March
    assert rule.day(NOON) == "2026-03-05"
    assert rule.resets_at(NOON).isoformat() == "2026-03-05T11:00:00+00:00"


def test_a_quota_day_is_right_on_the_night_the_clocks_change() -> None:
    rule = a_rule(time_zone="Europe/Amsterdam")
    before = NOON.replace(month=3, day=28, hour=23, minute=30)  # 00:30 on the 29th, still UTC+1
    assert rule.day(before) == "2026-03-29"
    assert rule.resets_at(before).isoformat() == "2026-03-29T22:00:00+00:00"
