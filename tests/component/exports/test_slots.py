"""No more workers read from a database at once than it has slots for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from headrace.exports.sources import Source
from headrace.kernel.errors import SourceBusy
from headrace.runtime.task import failure_of
from tests.world import World

BOOKS = Source("books", "postgresql", {"max_connections": "2"})


@pytest.fixture
def time_left(world: World) -> Iterator[Callable[[], float]]:
    """That of a worker that begins now and has forty seconds."""
    end = world.clock.now().timestamp() + 40
    yield lambda: end - world.clock.now().timestamp()


def slots_taken(world: World) -> int:
    items = world.clients["dynamodb"].scan(TableName="OperationsTable")["Items"]
    return sum(
        item["pk"]["S"] == "-source#books" and item["sk"]["S"].startswith("slot#") for item in items
    )


def test_who_comes_when_all_slots_are_taken_waits_and_is_told_to_come_again(
    world: World, time_left: Callable[[], float]
) -> None:
    with ExitStack() as readers:
        for _ in range(2):
            readers.enter_context(world.slots.taken(BOOKS, "north", time_left))
        began = time_left()
        with pytest.raises(SourceBusy) as raised, world.slots.taken(BOOKS, "north", time_left):
            pass
        # What is said of the job when it was told so till nobody called it any more.
        failure = failure_of({"error": {"Error": type(raised.value).__name__}})
        assert failure.code == SourceBusy.code == "source_busy"
        # The rest of its time it would need for the work.
        assert 10 <= began - time_left() <= 12
    assert slots_taken(world) == 0


def test_a_slot_that_was_given_back_is_the_next_ones(
    world: World, time_left: Callable[[], float]
) -> None:
    for _ in range(5):
        with (
            world.slots.taken(BOOKS, "north", time_left) as one,
            world.slots.taken(BOOKS, "north", time_left) as other,
        ):
            assert {one.number, other.number} == {0, 1}
            assert slots_taken(world) == 2


def test_a_worker_that_died_loses_its_slot_and_one_that_lives_keeps_it(
    world: World, time_left: Callable[[], float]
) -> None:
    with world.slots.taken(BOOKS, "north", time_left) as living, ExitStack() as left_behind:
        dead = left_behind.enter_context(world.slots.taken(BOOKS, "north", time_left))
        for _ in range(8):
            world.clock.advance(seconds=10)
            living.keep()
        with world.slots.taken(BOOKS, "north", time_left) as heir:
            assert heir.number == dead.number
            # It was not dead after all, and has no say any more.
            dead.free()
            world.clock.advance(seconds=20)
            dead.keep()
            living.keep()
            with pytest.raises(SourceBusy), world.slots.taken(BOOKS, "north", lambda: 0.0):
                pass


def test_sources_do_not_share_their_slots_and_most_have_no_cap(
    world: World, time_left: Callable[[], float]
) -> None:
    with ExitStack() as readers:
        for name in ("books", "others"):
            for _ in range(2):
                source = Source(name, "postgresql", {"max_connections": "2"})
                readers.enter_context(world.slots.taken(source, "north", time_left))
        for _ in range(20):
            lake = Source("books", "ducklake", {})
            assert readers.enter_context(world.slots.taken(lake, "north", time_left)).number is None
        assert slots_taken(world) == 2


def test_a_worker_reads_in_a_slot_and_gives_it_back_whatever_happens(
    world: World, time_left: Callable[[], float]
) -> None:
    world.configurations.origin = Source("books", "postgresql", {"max_connections": "1"})
    operation = world.start(entity="employees")
    [job_id] = world.plan(operation)
    job_attempt, _ = world.plan_job(operation, job_id)
    source = Source("hr", "postgresql", {"max_connections": "1"})
    with world.slots.taken(source, "north", time_left), pytest.raises(SourceBusy):
        world.export_range(operation, job_id, job_attempt, time_left=time_left)
    world.warehouse.failure = SourceBusy("broken in the middle")
    with pytest.raises(SourceBusy):
        world.export_range(operation, job_id, job_attempt)
    world.warehouse.failure = None
    world.export_range(operation, job_id, job_attempt)
    assert world.complete_job(operation, job_id, job_attempt)


@pytest.mark.parametrize(
    ("options", "most"), [({}, 4), ({"max_connections": "9"}, 9), ({"max_connections": "no"}, 4)]
)
def test_a_database_has_as_many_slots_as_its_option_says(
    options: dict[str, str], most: int
) -> None:
    assert Source("books", "postgresql", options).max_readers == most


def test_many_workers_of_a_tenant_do_not_stand_before_one_of_another(
    world: World, time_left: Callable[[], float]
) -> None:
    source = Source("books", "postgresql", {"max_connections": "3"})
    with ExitStack() as readers:
        first, *_ = [
            readers.enter_context(world.slots.taken(source, "north", time_left)) for _ in range(3)
        ]
        with pytest.raises(SourceBusy), world.slots.taken(source, "north", time_left):
            pass
        with pytest.raises(SourceBusy), world.slots.taken(source, "south", time_left):
            pass
        first.free()
        with pytest.raises(SourceBusy), world.slots.taken(source, "north", lambda: 0.0):
            pass
        # North is asked again and again meanwhile, and south comes once.
        with world.slots.taken(source, "south", lambda: 0.0) as souths:
            assert souths.number == first.number
        # Nobody else waits any more, so north need not leave a slot unused.
        with world.slots.taken(source, "north", lambda: 0.0) as norths:
            assert norths.number == first.number


def test_of_tenants_with_as_many_slots_it_is_the_turn_of_who_waits_longer(
    world: World, time_left: Callable[[], float]
) -> None:
    source = Source("books", "postgresql", {"max_connections": "1"})
    now, slots = world.clock.now(), world.slots.slots
    with world.slots.taken(source, "north", time_left):
        for seconds, tenant in enumerate(("south", "north")):
            moment = now + timedelta(seconds=seconds)
            slots.wait("books", tenant, moment, now + timedelta(seconds=30))
    with pytest.raises(SourceBusy), world.slots.taken(source, "north", lambda: 0.0):
        pass
    with world.slots.taken(source, "south", lambda: 0.0):
        pass
    # Having had its turn, it comes behind.
    slots.wait("books", "south", now + timedelta(seconds=2), now + timedelta(seconds=30))
    with pytest.raises(SourceBusy), world.slots.taken(source, "south", lambda: 0.0):
        pass
    with world.slots.taken(source, "north", lambda: 0.0):
        pass


def test_a_tenant_whose_workers_died_waiting_holds_nobody_up_for_long(world: World) -> None:
    now, slots = world.clock.now(), world.slots.slots
    slots.wait("books", "south", now, now + timedelta(seconds=10))
    world.clock.advance(seconds=1)
    with pytest.raises(SourceBusy), world.slots.taken(BOOKS, "north", lambda: 0.0):
        pass
    world.clock.advance(seconds=10)
    with world.slots.taken(BOOKS, "north", lambda: 0.0):
        pass
