"""Undoing imports of a real database."""

import pytest

from headrace.datasets.model import Result
from headrace.kernel.errors import Fenced
from tests.component.datasets.registry import (
    KINDS_OF_BOTH,
    NIL,
    OTHER_IDS,
    SOURCE,
    TENANT,
    Registry,
    a_registry,
    an_undo,
    payload_of,
)
from tests.component.datasets.target_world import World
from tests.component.postgresql.server import Server

CHANGES = (
    "UPDATE providers SET code = 'P9', name = 'Ash', kind_id = NULL WHERE code = 'P1'",
    "DELETE FROM lines WHERE position = 2",
    f"INSERT INTO providers (uuid, code) VALUES ('{NIL}b7', 'P7')",
    f"INSERT INTO contracts (uuid, provider_id, number) SELECT '{NIL}c7', id, 'C7' "
    "FROM providers WHERE code = 'P7'",
)


@pytest.fixture
def source(postgresql: Server) -> Registry:
    """Where payloads are built."""
    return a_registry(postgresql, SOURCE)


@pytest.fixture
def world(postgresql: Server, source: Registry) -> World:
    """A target into which the source was imported once, before it changed."""
    world = World(a_registry(postgresql, OTHER_IDS, KINDS_OF_BOTH))
    world.load(payload_of(source))
    world.target.run("UPDATE lines SET touched_by = 'the target'")
    source.run(*CHANGES)
    return world


def test_an_undone_import_leaves_the_target_as_it_was_to_the_last_column(
    source: Registry, world: World
) -> None:
    before = world.target.everything()
    world.load(payload_of(source))
    assert world.target.everything() != before

    ran = world.undo(an_undo("import2"))

    assert ran.result is Result.SUCCESS
    assert world.target.everything() == before
    assert ran.outcome["counts"] == {
        "added": 1,
        "changed": 1,
        "deleted": 2,
        "unchanged": 0,
        "failed_items": 0,
    }


def test_a_uuid_that_was_adopted_is_given_back(postgresql: Server, source: Registry) -> None:
    world = World(a_registry(postgresql, KINDS_OF_BOTH))
    world.target.run(f"INSERT INTO providers (uuid, code) VALUES ('{NIL}99', 'P9')")
    before = world.target.everything()
    world.load(payload_of(source))

    world.undo(an_undo())

    assert world.target.everything() == before


def test_to_undo_again_changes_nothing(source: Registry, world: World) -> None:
    before = world.target.everything()
    world.load(payload_of(source))
    world.undo(an_undo("import2"))

    ran = world.undo(an_undo("import2", "undo2"))

    assert ran.result is Result.SUCCESS
    assert ran.outcome["counts"]["unchanged"] == 4
    assert world.target.everything() == before


def test_a_record_that_somebody_changed_since_is_told_and_its_item_left_alone(
    source: Registry, world: World
) -> None:
    before = world.target.records()
    world.load(payload_of(source))
    world.target.run("UPDATE providers SET name = 'Yew' WHERE code = 'P9'")

    ran = world.undo(an_undo("import2"))

    assert ran.result is Result.FAILURE
    assert world.told("undo1") == [
        (
            "HEADRACE-DATA-001",
            "PROVIDERS P1",
            "A record of PROVIDERS was changed by somebody else since the import, so it is left as "
            "it is",
        )
    ]
    after = world.target.records()
    assert after[3][f"{NIL}b1"][0]["name"] == "Yew"
    assert f"{NIL}d2" not in after[5]  # the line that the same item lost
    assert f"{NIL}b7" not in after[3]  # the other item is undone
    assert set(after[3]) == set(before[3])


def test_a_record_that_somebody_changed_since_is_restored_by_force(
    source: Registry, world: World
) -> None:
    before = world.target.everything()
    world.load(payload_of(source))
    world.target.run(
        "UPDATE providers SET name = 'Yew' WHERE code = 'P9'",
        "UPDATE contracts SET number = 'C8' WHERE number = 'C7'",
    )

    ran = world.undo(an_undo("import2", force=True))

    assert ran.result is Result.SUCCESS
    assert world.target.everything() == before


def test_a_change_of_what_is_not_carried_is_nobodys_hindrance(
    source: Registry, world: World
) -> None:
    before = world.target.records()
    world.load(payload_of(source))
    world.target.run("UPDATE providers SET touched_by = 'an evening job'")

    ran = world.undo(an_undo("import2"))

    assert ran.result is Result.SUCCESS
    assert world.target.records() == before
    (oak,) = (
        row["row"] for row in world.target.everything()["PROVIDERS"] if row["row"]["code"] == "P1"
    )
    assert oak["touched_by"] == "an evening job"


@pytest.mark.parametrize("force", [False, True])
def test_an_added_record_that_owns_others_by_now_stays(
    source: Registry, world: World, *, force: bool
) -> None:
    world.target.run(
        "ALTER TABLE lines DROP CONSTRAINT lines_contract_id_fkey",
        "ALTER TABLE lines ADD FOREIGN KEY (contract_id) REFERENCES contracts ON DELETE CASCADE",
    )
    world.load(payload_of(source))
    world.target.run(
        f"INSERT INTO lines (uuid, contract_id, position) SELECT '{NIL}e1', id, 1 "
        "FROM contracts WHERE number = 'C7'"
    )

    ran = world.undo(an_undo("import2", force=force))

    assert ran.outcome["counts"]["failed_items"] == 1
    assert [(code, item) for code, item, _ in world.told("undo1")] == [
        ("HEADRACE-DATA-002", "PROVIDERS P7")
    ]
    assert f"{NIL}e1" in world.target.records()[5]
    assert f"{NIL}b7" in world.target.records()[3]


def test_items_that_the_import_refused_are_nothing_to_undo(source: Registry, world: World) -> None:
    world.target.run("ALTER TABLE providers ADD CHECK (name <> 'Ash')")
    before = world.target.everything()
    ran = world.load(payload_of(source))
    assert ran.outcome["counts"]["failed_items"] == 1

    ran = world.undo(an_undo("import2"))

    assert ran.result is Result.SUCCESS
    assert world.target.everything() == before


def test_an_undoing_that_has_ended_does_nothing(source: Registry, world: World) -> None:
    world.load(payload_of(source))
    before = world.target.everything()
    process = an_undo("import2")
    ended = process.ended(Result.SUCCESS, world.clock.now(), {})

    with pytest.raises(Fenced):
        world.undo(ended)

    assert ended.tenant == TENANT
    assert world.target.everything() == before
