"""The part planner: every missing byte once, in order, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client import ManifestFile, Part, VerificationError
from headrace_client.plan import Stretch, stretches, verifiable_parts

DIGEST = "ab" * 32


def a_file(*sizes: int, bytes: int | None = None, sha256: str | None = None) -> ManifestFile:
    parts, offset = [], 0
    for number, size in enumerate(sizes, 1):
        parts.append(Part(number, offset, size, DIGEST))
        offset += size
    return ManifestFile(
        job_id="j",
        table="t",
        file_name="t.csv",
        content_type="text/csv",
        rows=0,
        bytes=offset if bytes is None else bytes,
        sha256=sha256,
        schema_hash=None,
        schema_version=None,
        snapshot=None,
        parts=tuple(parts),
    )


sizes_of_parts = st.lists(st.integers(0, 60), max_size=40)


@given(sizes=sizes_of_parts, data=st.data(), target=st.integers(1, 200))
def test_the_stretches_are_exactly_the_missing_parts_in_order(
    sizes: list[int], data: st.DataObject, target: int
) -> None:
    parts = verifiable_parts(a_file(*sizes))
    held = {part.offset for part in parts if data.draw(st.booleans(), label=f"held {part}")}
    planned = stretches(parts, held, target)
    assert [part for stretch in planned for part in stretch.parts] == [
        part for part in parts if part.offset not in held
    ]


@given(sizes=sizes_of_parts, data=st.data(), target=st.integers(1, 200))
def test_a_stretch_is_unbroken_and_small_unless_one_part_is_large(
    sizes: list[int], data: st.DataObject, target: int
) -> None:
    parts = verifiable_parts(a_file(*sizes))
    held = {part.offset for part in parts if data.draw(st.booleans(), label=f"held {part}")}
    for stretch in stretches(parts, held, target):
        covered = b"".join(
            bytes(1 for _ in range(part.offset, part.offset + part.bytes)) for part in stretch.parts
        )
        assert len(covered) == stretch.end - stretch.offset > 0
        assert len(stretch.parts) == 1 or stretch.end - stretch.offset <= target


@given(sizes=sizes_of_parts)
def test_parts_in_any_order_cover_the_file(sizes: list[int]) -> None:
    file = a_file(*sizes)
    shuffled = ManifestFile(**{**vars(file), "parts": file.parts[::-1]})
    parts = verifiable_parts(shuffled)
    assert sum(part.bytes for part in parts) == file.bytes
    assert all(part.bytes for part in parts)
    assert list(parts) == sorted(parts, key=lambda part: part.offset)


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12), data=st.data())
def test_a_part_that_is_missing_moved_or_resized_is_noticed(
    sizes: list[int], data: st.DataObject
) -> None:
    file = a_file(*sizes)
    victim = data.draw(st.integers(0, len(sizes) - 1))
    part = file.parts[victim]
    shift = data.draw(st.sampled_from([-1, 1]))
    damaged = data.draw(
        st.sampled_from(
            [
                None,
                Part(part.number, part.offset + 1, part.bytes, part.sha256),
                Part(part.number, part.offset, part.bytes + shift, part.sha256),
            ]
        )
    )
    parts = list(file.parts)
    parts[victim : victim + 1] = [] if damaged is None else [damaged]
    with pytest.raises(VerificationError):
        verifiable_parts(ManifestFile(**{**vars(file), "parts": tuple(parts)}))


def test_a_file_without_parts_is_one_part_if_its_digest_is_known() -> None:
    assert verifiable_parts(a_file(bytes=10, sha256=DIGEST)) == (Part(1, 0, 10, DIGEST),)
    with pytest.raises(VerificationError, match="add up to 0 bytes, not to the file's 10"):
        verifiable_parts(a_file(bytes=10))
    assert verifiable_parts(a_file()) == ()


def test_a_part_larger_than_the_target_is_a_stretch_by_itself() -> None:
    parts = verifiable_parts(a_file(5, 100, 5, 5))
    assert [stretch.parts for stretch in stretches(parts, set(), 20)] == [
        (parts[0],),
        (parts[1],),
        (parts[2], parts[3]),
    ]


def test_a_stretch_knows_its_bytes() -> None:
    parts = verifiable_parts(a_file(5, 7))
    assert (Stretch(parts).offset, Stretch(parts).end) == (0, 12)
