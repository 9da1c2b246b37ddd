"""Two workers of one process at once, as where the workflow takes a running one for dead."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.datasets.importing import undo_key
from headrace.datasets.model import Result
from tests.component.datasets.registry import (
    KINDS_OF_BOTH,
    OTHER_IDS,
    SOURCE,
    Registry,
    a_registry,
    an_import,
    an_undo,
    payload_of,
)
from tests.component.datasets.target_world import World
from tests.component.datasets.test_undoing import CHANGES
from tests.component.postgresql.server import Server


@pytest.fixture
def source(postgresql: Server) -> Registry:
    """Where payloads are built."""
    return a_registry(postgresql, SOURCE)


@pytest.fixture
def world(postgresql: Server, source: Registry) -> World:
    """A target into which the source was imported once, before it changed."""
    world = World(a_registry(postgresql, OTHER_IDS, KINDS_OF_BOTH))
    world.load(payload_of(source))
    source.run(*CHANGES)
    return world


def wait_for_one_that_waits(target: Registry) -> None:
    """Until a session of the target's database asks again and again for its turn."""
    deadline = time.monotonic() + 60
    with target.connect() as connection:
        while not connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'"
        ).fetchall():
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.05)


def test_the_second_one_of_an_import_waits_and_its_undo_set_is_still_whole(
    source: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, payload = world.target.everything(), payload_of(source)
    process, store = an_import("import2"), world.payloads.store
    first_is_at_it = threading.Event()

    def when_the_other_one_waits(tenant: str, key: str, *document: object) -> int:
        if key == undo_key("import2", 0) and not first_is_at_it.is_set():
            first_is_at_it.set()
            wait_for_one_that_waits(world.target)
        return store(tenant, key, *document)  # type: ignore[arg-type]

    monkeypatch.setattr(world.payloads, "store", when_the_other_one_waits)
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(world.run, process, payload)
        assert first_is_at_it.wait(60)
        second = workers.submit(world.run, process, payload)
    assert first.result().result is second.result().result is Result.SUCCESS
    assert first.result().outcome["counts"] == second.result().outcome["counts"]
    assert world.processes.told.get("import2", []) == []
    monkeypatch.undo()

    assert world.undo(an_undo("import2")).result is Result.SUCCESS
    assert world.target.everything() == before


def test_a_worker_that_died_in_the_middle_keeps_nobody_waiting(
    source: Registry, world: World
) -> None:
    with world.target.connect() as dead:
        dead.execute("SELECT pg_advisory_lock(1751474532, 1)")
    ran = world.load(payload_of(source))
    assert ran.result is Result.SUCCESS
