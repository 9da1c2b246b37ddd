"""Part numbers are bounded, and the size of a stream is not known beforehand."""

from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.adapters.s3.part_upload import S3PartUploads, part_sizes
from headrace.exports.slices import MIN_PART_BYTES
from headrace.kernel.errors import RangeTooLarge
from tests.builders import a_request
from tests.world import BUCKET, a_world

MIB = 1024 * 1024


@given(st.integers(1, 10_000))
def test_parts_never_shrink_and_end_at_four_times_their_size(count: int) -> None:
    sizes = list(part_sizes(8, count))
    assert len(sizes) == count
    assert sizes == sorted(sizes)
    assert sizes[0] == 8
    assert set(sizes) <= {8, 16, 32}


def test_a_stream_larger_than_its_numbers_take_fails_and_overwrites_nobodys_parts() -> None:
    with a_world() as world:
        upload_id = world.files.open_upload("key", a_request(), "f.csv", None)
        upload = S3PartUploads(world.clients["s3"], BUCKET, MIN_PART_BYTES)
        with pytest.raises(RangeTooLarge):
            upload("key", upload_id, range(3, 5), repeat(b"x" * MIB, 60), lambda: False)

        stored = world.clients["s3"].list_parts(Bucket=BUCKET, Key="key", UploadId=upload_id)
        assert {part["PartNumber"] for part in stored.get("Parts", [])} <= {3, 4}


def test_a_stream_of_unforeseen_size_fits_by_larger_parts() -> None:
    with a_world() as world:
        upload_id = world.files.open_upload("key", a_request(), "f.csv", None)
        upload = S3PartUploads(world.clients["s3"], BUCKET, MIN_PART_BYTES)
        parts, _ = upload("key", upload_id, range(1, 5), repeat(b"x" * MIB, 40), lambda: False)
        world.files.complete("key", upload_id, parts)

        assert [part.size for part in parts] == [5 * MIB, 5 * MIB, 10 * MIB, 20 * MIB]
        assert len(world.stored()["key"]) == 40 * MIB
