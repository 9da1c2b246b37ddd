"""The rules of an export that need nothing but values."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.exports.model import (
    MAX_PARTS,
    MIN_PART_BYTES,
    MOVES,
    Compression,
    Failure,
    FileFormat,
    Job,
    RangeResult,
    Status,
    UploadedPart,
    origins,
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
def test_the_part_numbers_of_ranges_are_disjoint_equal_and_allowed(ranges: int) -> None:
    blocks = [part_numbers(index, ranges) for index in range(ranges)]
    assert {len(block) for block in blocks} == {MAX_PARTS // ranges}
    assert blocks[0][0] == 1
    assert all(earlier.stop == later.start for earlier, later in pairwise(blocks))
    assert blocks[-1][-1] <= MAX_PARTS


@given(st.lists(st.lists(st.integers(1, 2 * MIN_PART_BYTES), min_size=1, max_size=3), min_size=1))
def test_only_the_last_part_of_a_document_may_be_small(sizes: list[list[int]]) -> None:
    results = tuple(
        RangeResult(
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
