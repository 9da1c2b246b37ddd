"""What killed and late workers leave in storage is seen to by the sweeper, and nothing else is."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from headrace.datasets.ports import DataSets
from headrace.kernel.errors import Fenced
from headrace.runtime import datasets
from tests.component.datasets.building import SourceSide, a_source_side
from tests.component.datasets.environment import BUCKET, TENANT, deployed
from tests.component.datasets.registry import SOURCE, a_registry
from tests.component.postgresql.server import Server


@pytest.fixture
def side(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceSide]:
    """A source environment of three providers."""
    with deployed(monkeypatch) as environment:
        yield a_source_side(environment, a_registry(postgresql, SOURCE), monkeypatch)


def left_open(key: str) -> str:
    """An upload that nobody completes."""
    begun = boto3.client("s3").create_multipart_upload(Bucket=BUCKET, Key=f"{TENANT}/{key}")
    return str(begun["UploadId"])


def open_uploads() -> set[str]:
    """The keys of those there are, without the tenant."""
    listed = boto3.client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return {one["Key"].removeprefix(f"{TENANT}/") for one in listed}


def payloads(side: SourceSide) -> set[str]:
    """The keys of those that are stored, without the tenant."""
    found = {key.removeprefix(f"{TENANT}/") for key in side.stored()}
    return {key for key in found if key.startswith("payloads/")}


def kept(side: SourceSide, code: str = "all") -> Any:
    """The data set."""
    found = datasets.data_sets().find(TENANT, "PROVIDERS", code)
    assert found is not None
    return found


def sweep(side: SourceSide) -> int:
    """How many ended processes the sweeper has seen to, a minute later."""
    side.clock.advance(minutes=1)
    return datasets.sweep_data_sets()().tidied


def test_uploads_of_an_ended_build_are_aborted_and_those_of_others_are_not(
    side: SourceSide,
) -> None:
    side.create()
    process_id = side.built()["id"]
    of_data_set = kept(side).data_set_id
    others = {
        "payloads/another/01-1.zip",
        "items/another",
        "imports/01kaqb7m3y6c9r2t5v8x1z4d7h.zip",
    }
    ours = {
        f"payloads/{of_data_set}/{process_id}-late.zip",
        f"items/{of_data_set}",
        f"{process_id}/difference.ndjson",
    }
    for key in ours | others:
        left_open(key)
    assert sweep(side) == 1
    assert open_uploads() == others
    assert sweep(side) == 0


def test_what_a_running_build_stores_is_left_alone(side: SourceSide) -> None:
    side.create()
    process_id = side.build().json["id"]
    key = f"payloads/{kept(side).data_set_id}/{process_id}-first.zip"
    left_open(key)
    assert sweep(side) == 0
    assert open_uploads() == {key}


def test_items_that_the_next_build_may_be_writing_wait_until_it_has_ended(
    side: SourceSide,
) -> None:
    side.create()
    side.built()
    side.build()
    items = f"items/{kept(side).data_set_id}"
    left_open(items)
    assert sweep(side) == 0
    assert open_uploads() == {items}
    side.run()
    side.clock.advance(hours=1)
    assert sweep(side) == 2
    assert open_uploads() == set()


def test_a_payload_that_a_late_worker_completed_goes_with_the_next_sweep(
    side: SourceSide,
) -> None:
    side.create()
    process_id = side.built()["id"]
    data_set = kept(side)
    late = f"payloads/{data_set.data_set_id}/{process_id}-late.zip"
    datasets.payloads().store(TENANT, late, "application/zip", [b"late"])
    assert payloads(side) == {data_set.payload_key, late}
    assert sweep(side) == 1
    assert payloads(side) == {data_set.payload_key}
    assert side.payload().status == 200


def test_a_worker_that_comes_when_its_process_has_ended_leaves_what_was_built(
    side: SourceSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.create()
    side.built()
    before, stored = kept(side), payloads(side)
    process_id = side.build().json["id"]

    def ended_meanwhile(*_: Any) -> None:
        raise Fenced("The process has ended.")

    with monkeypatch.context() as late:
        late.setattr(type(datasets.data_sets()), "built", ended_meanwhile)
        with pytest.raises(Fenced):
            datasets.build_data_set()(TENANT, process_id)
    assert kept(side) == before
    assert payloads(side) == stored


def test_of_two_workers_at_once_the_data_set_has_one_whole_payload_of_the_size_it_says(
    side: SourceSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.create()
    process_id = side.build().json["id"]
    build, built = datasets.build_data_set(), type(datasets.data_sets()).built

    def overtaken(data_sets: DataSets, *given: Any) -> None:
        """The other worker does all its work before this one's is taken, and finds other names."""
        monkeypatch.setattr(type(datasets.data_sets()), "built", built)
        side.registry.run("UPDATE providers SET name = md5(random()::text)")
        build(TENANT, process_id)
        built(data_sets, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(type(datasets.data_sets()), "built", overtaken)
    build(TENANT, process_id)
    side.run()
    data_set = kept(side)
    stored = side.stored()[f"{TENANT}/{data_set.payload_key}"]
    assert data_set.payload_bytes == len(stored)
    sweep(side)
    assert payloads(side) == {data_set.payload_key}


def test_a_second_data_set_of_a_code_leaves_no_items_behind(side: SourceSide) -> None:
    side.create()
    before = side.stored()
    assert side.create().status == 409
    assert side.stored() == before
