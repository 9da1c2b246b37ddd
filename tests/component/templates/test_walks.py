"""Walks in DynamoDB: who reads one, and which one a reader goes on with."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.walks import DynamoWalks
from headrace.kernel.errors import Fenced, NotFound
from headrace.templates.model import LEASE, Parameters, Reader, Walk, WalkState
from tests.builders import NOON, a_walk
from tests.world import REGION, create_tables

SECOND = timedelta(seconds=1)


@pytest.fixture
def walks() -> Iterator[DynamoWalks]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        create_tables(client)
        yield DynamoWalks(Table(client, "TemplatesTable", pause=lambda _: None))


def found(walks: DynamoWalks, walk: Walk) -> Walk:
    there = walks.find(walk.reader, walk.walk_id)
    assert there is not None
    return there


def test_a_walk_is_found_as_it_began_and_by_its_reader_only(walks: DynamoWalks) -> None:
    since = datetime(2026, 3, 1, 8, 15, 30, 123_456, tzinfo=UTC)
    walk = a_walk(parameters=Parameters(since, include_anonymised=True), catalog_version=7)
    walks.begin(walk)
    assert found(walks, walk) == walk
    for other in (Reader("south", "partner"), Reader("north", "someone"), Reader("north", "p")):
        assert walks.find(other, walk.walk_id) is None
        with pytest.raises(NotFound):
            walks.take(other, walk.walk_id, NOON)


@pytest.mark.parametrize("name", ["one#two", "Zoë Ångström", "a@b.example"])
def test_a_readers_name_may_be_any_text(walks: DynamoWalks, name: str) -> None:
    walk = a_walk(reader=Reader("north", name))
    walks.begin(walk)
    assert found(walks, walk).reader.name == name


def test_a_reader_goes_on_with_the_latest_walk_of_the_same_parameters(walks: DynamoWalks) -> None:
    first = walks.begin_unless_there(a_walk("first"), NOON - SECOND)
    assert walks.begin_unless_there(a_walk("second"), NOON - SECOND) == first
    others = (
        a_walk("others", template_id="sessions"),
        a_walk("other-rows", parameters=Parameters(include_anonymised=True)),
        a_walk("other-reader", reader=Reader("north", "someone")),
    )
    for other in others:
        assert walks.begin_unless_there(other, NOON - SECOND) == other
    walks.begin(a_walk("anew"))
    assert walks.begin_unless_there(a_walk("third"), NOON - SECOND).walk_id == "anew"
    assert found(walks, first) == first


def test_who_goes_on_with_what_is_too_old_or_has_failed_begins_anew(walks: DynamoWalks) -> None:
    walks.begin(a_walk("old"))
    assert walks.begin_unless_there(a_walk("young"), NOON).walk_id == "young"
    walks.fail(found(walks, a_walk("young")), "source_unavailable")
    assert walks.begin_unless_there(a_walk("next"), NOON - SECOND).walk_id == "next"
    assert found(walks, a_walk("young")).failure == "source_unavailable"


def test_one_worker_reads_and_says_how_far_it_is(walks: DynamoWalks) -> None:
    walks.begin(a_walk())
    walk = walks.fix(walks.take(a_walk().reader, a_walk().walk_id, NOON), "7")
    with pytest.raises(Fenced):
        walks.take(walk.reader, walk.walk_id, NOON + LEASE - SECOND)
    walks.grow(walk, 2_000, NOON + SECOND)
    there = found(walks, walk)
    assert (there.rows, there.version, there.take, there.state) == (
        2_000,
        "7",
        1,
        WalkState.READING,
    )
    assert there.heard_at == NOON + SECOND
    with pytest.raises(Fenced):
        walks.grow(walk, 1_999, NOON + SECOND)
    walks.complete(walk, 2_345)
    there = found(walks, walk)
    assert (there.rows, there.state) == (2_345, WalkState.COMPLETE)
    with pytest.raises(Fenced):
        walks.take(walk.reader, walk.walk_id, NOON + 2 * LEASE)
    with pytest.raises(Fenced):
        walks.fail(walk, "late")


def test_a_worker_that_is_not_heard_of_is_replaced_and_fenced(walks: DynamoWalks) -> None:
    walks.begin(a_walk())
    assert found(walks, a_walk()).is_left(NOON + LEASE)
    lost = walks.fix(walks.take(a_walk().reader, a_walk().walk_id, NOON), "7")
    walks.grow(lost, 4_000, NOON + SECOND)
    assert not found(walks, lost).is_left(NOON + LEASE)
    assert found(walks, lost).is_left(NOON + SECOND + LEASE)
    walk = walks.take(lost.reader, lost.walk_id, NOON + SECOND + LEASE)
    assert (walk.take, walk.rows, walk.version) == (2, 4_000, "7")
    for late in (
        lambda: walks.grow(lost, 6_000, NOON + LEASE + SECOND),
        lambda: walks.complete(lost, 6_000),
        lambda: walks.fail(lost, "late"),
        lambda: walks.fix(lost, "8"),
    ):
        with pytest.raises(Fenced):
            late()
    walks.complete(walk, 5_000)
    assert found(walks, walk).rows == 5_000


def test_a_walk_that_no_worker_could_be_started_for_fails(walks: DynamoWalks) -> None:
    walks.begin(a_walk())
    walks.fail(a_walk(), "unavailable")
    with pytest.raises(Fenced):
        walks.take(a_walk().reader, a_walk().walk_id, NOON)
