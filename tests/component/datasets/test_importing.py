"""Imports into a real database: what they write, what they refuse, and what they leave alone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from headrace.datasets.model import Result
from headrace.datasets.payload import Record, Referred
from headrace.kernel.errors import PayloadRefused
from tests.component.datasets.registry import (
    KINDS_OF_BOTH,
    NIL,
    OTHER_IDS,
    SOURCE,
    PayloadOf,
    Registry,
    a_payload,
    a_registry,
    payload_of,
    records_of,
)
from tests.component.datasets.target_world import World
from tests.component.postgresql.server import Server


@pytest.fixture
def source(postgresql: Server) -> Registry:
    """Where payloads are built."""
    return a_registry(postgresql, SOURCE)


@pytest.fixture
def world(postgresql: Server) -> World:
    """An empty target with other ids than the source's, and the same kinds."""
    return World(a_registry(postgresql, OTHER_IDS, KINDS_OF_BOTH))


def test_an_import_makes_the_target_the_sources_equal(source: Registry, world: World) -> None:
    ran = world.load(payload_of(source))

    assert ran.result is Result.SUCCESS
    assert world.told() == []
    assert ran.outcome["counts"] == {
        "added": 9,
        "changed": 0,
        "deleted": 0,
        "unchanged": 0,
        "failed_items": 0,
    }
    assert world.target.records() == source.records()
    assert world.target.everything() != source.everything()  # their ids are others


def test_a_second_import_changes_nothing(source: Registry, world: World) -> None:
    world.load(payload_of(source))
    before = world.target.everything()

    ran = world.load(payload_of(source))

    assert ran.result is Result.SUCCESS
    assert ran.outcome["counts"]["unchanged"] == 9
    assert ran.outcome["counts"]["added"] == ran.outcome["counts"]["changed"] == 0
    assert world.target.everything() == before
    assert ran.outcome["undo"] is None


def test_a_record_is_matched_by_its_uuid_and_renamed(source: Registry, world: World) -> None:
    world.load(payload_of(source))
    ids = {row["row"]["uuid"]: row["row"]["id"] for row in world.target.everything()["PROVIDERS"]}
    source.run("UPDATE providers SET code = 'P9', rank = 3 WHERE code = 'P1'")

    ran = world.load(payload_of(source))

    assert ran.outcome["counts"]["changed"] == 1
    assert world.target.records() == source.records()
    after = {row["row"]["uuid"]: row["row"]["id"] for row in world.target.everything()["PROVIDERS"]}
    assert after == ids


def test_a_record_is_matched_by_its_functional_key_and_adopts_the_uuid(
    source: Registry, world: World
) -> None:
    world.target.run(
        f"INSERT INTO providers (uuid, code, touched_by) VALUES ('{NIL}99', 'P1', 'the target')",
        f"INSERT INTO contracts (uuid, provider_id, number) SELECT '{NIL}98', id, 'C1' "
        "FROM providers",
    )
    ids = [row["row"]["id"] for row in world.target.everything()["PROVIDERS"]]

    ran = world.load(payload_of(source))

    assert ran.outcome["counts"]["changed"] == 2
    assert world.target.records() == source.records()
    (oak,) = [
        row["row"] for row in world.target.everything()["PROVIDERS"] if row["row"]["code"] == "P1"
    ]
    assert oak["uuid"] == f"{NIL}b1"
    assert [oak["id"]] == ids
    assert oak["touched_by"] == "the target"  # not carried, so not touched


def test_the_functional_key_of_a_dependent_counts_among_those_of_its_parent(
    source: Registry, world: World
) -> None:
    # The contract C1 of another provider is none of P1's, nor of P2's.
    world.target.run(
        f"INSERT INTO providers (uuid, code) VALUES ('{NIL}97', 'P7')",
        f"INSERT INTO contracts (uuid, provider_id, number) SELECT '{NIL}96', id, 'C1' "
        "FROM providers",
    )

    world.load(payload_of(source))

    found = world.target.records()[4]
    assert found[f"{NIL}96"][1] == {"provider_id": f"{NIL}97"}
    assert set(found) == {f"{NIL}96", f"{NIL}c1", f"{NIL}c2"}


def test_a_reference_out_of_the_set_is_found_by_functional_key(postgresql: Server) -> None:
    source = a_registry(postgresql, SOURCE)
    kinds = f"INSERT INTO kinds (uuid, code) VALUES ('{NIL}71', 'LAB'), ('{NIL}72', 'GP')"
    world = World(a_registry(postgresql, OTHER_IDS, kinds))

    ran = world.load(payload_of(source))

    assert ran.result is Result.SUCCESS
    assert world.target.records()[3][f"{NIL}b1"][1]["kind_id"] == f"{NIL}71"


def test_an_item_whose_reference_leads_nowhere_is_refused_and_the_others_are_imported(
    source: Registry, world: World
) -> None:
    source.run(
        f"INSERT INTO kinds (uuid, code) VALUES ('{NIL}03', 'SPA')",
        "UPDATE providers SET kind_id = 3 WHERE code = 'P1'",
    )

    ran = world.load(payload_of(source))

    assert ran.result is Result.FAILURE
    assert ran.outcome["counts"]["failed_items"] == 1
    assert world.told() == [
        (
            "GEN-MIGR-001",
            "PROVIDERS P1",
            f'kind_id refers to KINDS ["SPA"] ({NIL}03), which is neither in the data set nor in '
            "this environment",
        )
    ]
    found = world.target.records()
    assert set(found[3]) == {f"{NIL}b2", f"{NIL}b3"}
    assert set(found[4]) == {f"{NIL}c2"}  # nothing of the refused item's
    assert found[5] == {}


def test_what_refers_to_a_refused_item_is_refused_with_it(source: Registry, world: World) -> None:
    source.run(
        f"INSERT INTO kinds (uuid, code) VALUES ('{NIL}03', 'SPA')",
        "UPDATE providers SET kind_id = 3 WHERE code = 'P2'",  # the chief of P3
    )

    ran = world.load(payload_of(source))

    assert ran.outcome["counts"]["failed_items"] == 2
    assert [(code, item) for code, item, _ in world.told()] == [
        ("GEN-MIGR-001", "PROVIDERS P2"),
        ("GEN-MIGR-001", "PROVIDERS P3"),
    ]
    assert set(world.target.records()[3]) == {f"{NIL}b1"}


def test_what_refers_to_an_item_that_the_database_refuses_is_refused_with_it(
    source: Registry, world: World
) -> None:
    world.target.run("ALTER TABLE providers ADD CHECK (name <> '')")  # P2 has an empty name

    world.load(payload_of(source))

    assert [(code, item) for code, item, _ in world.told()] == [
        ("GEN-MIGR-006", "PROVIDERS P2"),
        ("GEN-MIGR-001", "PROVIDERS P3"),
    ]
    assert set(world.target.records()[3]) == {f"{NIL}b1"}


@pytest.mark.abuse(119)
def test_an_item_that_fails_halfway_is_rolled_back_and_nothing_of_it_is_deleted(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    before = world.target.records()
    source.run(
        "DELETE FROM lines WHERE position = 1",  # would go by omission
        "UPDATE contracts SET number = 'C5' WHERE provider_id = 1",
        "UPDATE lines SET amount = -1 WHERE position = 2",  # and this fails
        "UPDATE providers SET name = 'Ash' WHERE code = 'P2'",
    )
    world.target.run("ALTER TABLE lines ADD CONSTRAINT not_negative CHECK (amount >= 0)")

    ran = world.load(payload_of(source))

    assert ran.result is Result.FAILURE
    assert world.told() == [
        (
            "GEN-MIGR-006",
            "PROVIDERS P1",
            "The item does not fit the table as it is in this environment: a rule of the database "
            "does not allow its values (not_negative)",
        )
    ]
    after = world.target.records()
    assert after[3][f"{NIL}b2"][0]["name"] == "Ash"
    assert after[4] == before[4]
    assert after[5] == before[5]
    counts = ran.outcome["counts"]
    assert (counts["added"], counts["changed"], counts["deleted"]) == (0, 1, 0)


def test_dependents_that_the_set_has_no_more_are_deleted_with_all_they_own(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    source.run("DELETE FROM lines", "DELETE FROM contracts")

    ran = world.load(payload_of(source))

    assert ran.outcome["counts"]["deleted"] == 4
    assert world.target.records() == source.records()


@pytest.mark.parametrize("way", ["asked for", "built so"])
def test_nothing_is_deleted_where_deletion_is_disabled(
    source: Registry, world: World, way: str
) -> None:
    world.load(payload_of(source))
    before = world.target.records()
    source.run("DELETE FROM lines", "DELETE FROM contracts")

    if way == "asked for":
        ran = world.load(payload_of(source), disableDeleteByOmission=True)
    else:
        ran = world.load(payload_of(source, disable_delete_by_omission=True))

    assert ran.outcome["counts"]["deleted"] == 0
    assert world.target.records() == before


def test_nothing_is_deleted_of_tables_that_the_set_does_not_cover(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    before = world.target.records()
    source.run("DELETE FROM lines", "DELETE FROM contracts")

    for payload in (
        payload_of(source, incomplete=[4, 5]),
        payload_of(source, without=[4, 5]),
        payload_of(source, excluded=((3, 4), (3, 5))),
        # Contracts are covered, and would take with them lines, which are not.
        payload_of(source, incomplete=[5]),
    ):
        ran = world.load(payload)
        deleted = ran.outcome["counts"]["deleted"]
        assert (deleted, world.target.records()[5]) == (0 if deleted == 0 else 1, before[5])

    # C1 of P2 has no lines, so it could go when lines were not covered; C1 of P1 could not.
    assert set(world.target.records()[4]) == {f"{NIL}c1"}


def test_dependents_of_providers_outside_the_set_stay(source: Registry, world: World) -> None:
    world.load(payload_of(source))
    source.run("DELETE FROM lines", "DELETE FROM contracts")

    world.load(payload_of(source, only=["P2", "P3"]))

    assert set(world.target.records()[4]) == {f"{NIL}c1"}
    assert len(world.target.records()[5]) == 2


def test_top_level_items_and_reference_data_are_never_deleted(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    source.run("DELETE FROM lines", "DELETE FROM contracts", "DELETE FROM procedures")
    source.run("DELETE FROM providers WHERE code <> 'P1'")

    world.load(payload_of(source))

    assert len(world.target.records()[2]) == 2
    assert len(world.target.records()[3]) == 3


def test_a_dependent_moves_to_another_parent_of_the_same_item(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    source.run(
        f"INSERT INTO contracts (uuid, provider_id, number) SELECT '{NIL}c9', id, 'C9' "
        "FROM providers WHERE code = 'P1'",
        "UPDATE lines SET contract_id = (SELECT id FROM contracts WHERE number = 'C9')",
        f"DELETE FROM contracts WHERE uuid = '{NIL}c1'",
    )

    ran = world.load(payload_of(source))

    assert ran.result is Result.SUCCESS
    assert world.target.records() == source.records()


def test_a_moved_dependent_does_not_go_with_the_parent_it_had(
    source: Registry, world: World
) -> None:
    world.target.run(
        "ALTER TABLE lines DROP CONSTRAINT lines_contract_id_fkey",
        "ALTER TABLE lines ADD FOREIGN KEY (contract_id) REFERENCES contracts ON DELETE CASCADE",
    )
    world.load(payload_of(source))
    source.run(
        "UPDATE lines SET contract_id = 2",  # of P2
        f"DELETE FROM contracts WHERE uuid = '{NIL}c1'",
    )

    first, second = world.load(payload_of(source)), world.load(payload_of(source))

    # The parent itself goes with the next import: two items are two transactions.
    assert (first.outcome["counts"]["deleted"], second.outcome["counts"]["deleted"]) == (0, 1)
    assert world.target.records() == source.records()


def test_a_name_that_a_deleted_dependent_leaves_is_free_for_another(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    source.run(
        "DELETE FROM lines WHERE position = 1",
        "UPDATE lines SET position = 1 WHERE position = 2",
    )

    ran = world.load(payload_of(source))

    assert ran.result is Result.SUCCESS
    assert world.target.records() == source.records()


def test_a_name_that_another_item_leaves_is_free_whatever_their_order(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    source.run(
        "UPDATE providers SET code = 'P4' WHERE code = 'P3'",
        "UPDATE providers SET code = 'P3' WHERE code = 'P2'",
        "UPDATE providers SET code = 'P2' WHERE code = 'P1'",
    )

    ran = world.load(payload_of(source))

    assert ran.result is Result.SUCCESS
    assert world.told() == []
    assert world.target.records() == source.records()


def test_two_items_that_exchange_their_names_are_refused_with_the_reason(
    source: Registry, world: World
) -> None:
    world.load(payload_of(source))
    source.run(
        "UPDATE providers SET code = 'X' WHERE code = 'P1'",
        "UPDATE providers SET code = 'P1' WHERE code = 'P2'",
        "UPDATE providers SET code = 'P2' WHERE code = 'X'",
    )

    ran = world.load(payload_of(source))

    assert ran.outcome["counts"]["failed_items"] == 2
    assert all("are to be unique (providers_code_key)" in text for _, _, text in world.told())


@pytest.mark.abuse(118)
@pytest.mark.parametrize(
    ("built_by", "exactly", "accepted"),
    [
        ("4.0.0", False, True),
        ("3.9.9", False, False),
        ("4.0.0", True, False),
        ("4.2.1", True, True),
    ],
)
def test_the_version_that_built_the_set_has_to_fit(
    source: Registry, world: World, built_by: str, *, exactly: bool, accepted: bool
) -> None:
    for payload, asked in (
        (payload_of(source, version=built_by), {"exactVersionMatch": exactly}),
        (payload_of(source, version=built_by, exact_version_match=exactly), {}),
    ):
        ran = world.load(payload, dryRun=True, **asked)

        assert (ran.result is Result.SUCCESS) is accepted
        if not accepted:
            text = (
                f"The data set was built by version {built_by} and this environment has version "
                "4.2.1"
            )
            assert world.told() == [("GEN-MIGR-015", None, text)]
            assert world.target.records()[3] == {}


def test_a_table_that_is_not_in_the_database_stops_the_import(
    source: Registry, world: World
) -> None:
    world.target.run("DROP TABLE lines")

    ran = world.load(payload_of(source))

    assert ran.result is Result.FAILURE
    assert world.told() == [
        ("GEN-MIGR-003", "LINES", "The table LINES is not known in this environment")
    ]


def test_a_table_that_the_definition_does_not_know_stops_the_import(
    source: Registry, world: World
) -> None:
    payload = payload_of(source)
    other = replace(payload.manifest.tables[0], table_id=77, name="SECRETS")
    payload.manifest = replace(payload.manifest, tables=(*payload.manifest.tables, other))

    ran = world.load(payload)

    assert ran.result is Result.FAILURE
    assert [(code, item) for code, item, _ in world.told()] == [("GEN-MIGR-003", "SECRETS")]
    assert world.target.records()[3] == {}


def test_a_table_without_a_column_stops_the_import(source: Registry, world: World) -> None:
    world.target.run("ALTER TABLE providers DROP COLUMN since")

    ran = world.load(payload_of(source))

    assert ran.result is Result.FAILURE
    (told,) = world.told()
    assert told[:2] == ("GEN-MIGR-006", "PROVIDERS")
    assert "it has no column since" in told[2]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rank", "many"),
        ("rank", "123456789012"),
        ("rank", "1.234"),  # which the server would round
        ("since", "yesterday noon"),
        ("code", "a name of more than twenty letters"),
    ],
)
def test_a_value_that_does_not_fit_its_column_refuses_the_item_and_names_the_column(
    source: Registry, world: World, column: str, value: str
) -> None:
    records = records_of(source)
    first = records[3][0]
    records[3][0] = replace(first, values={**first.values, column: value})

    ran = world.load(a_payload(records))

    assert ran.outcome["counts"]["failed_items"] == 1
    (told,) = world.told()
    assert told[0] == "GEN-MIGR-006"
    assert f"its column {column} of PROVIDERS cannot hold the value" in told[2]
    assert value not in told[2]
    assert set(world.target.records()[3]) == {f"{NIL}b2", f"{NIL}b3"}


def test_a_rule_of_the_application_refuses_an_item_and_its_words_stay_inside(
    source: Registry, world: World
) -> None:
    world.target.run(
        "CREATE FUNCTION no_elms() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.name = 'Elm' THEN RAISE 'secret-of-the-server %', NEW.name; END IF; "
        "RETURN NEW; END $$",
        "CREATE TRIGGER no_elms BEFORE INSERT ON providers FOR EACH ROW EXECUTE FUNCTION no_elms()",
    )

    world.load(payload_of(source))

    ((code, item, text),) = world.told()
    assert (code, item) == ("GEN-MIGR-006", "PROVIDERS P3")
    assert "a rule of the application does not allow it" in text
    assert "secret" not in text
    assert "Elm" not in text


def test_a_uuid_that_is_twice_in_the_set_refuses_both_items(world: World) -> None:
    records = [
        Record(item, f"{NIL}b1", _provider(f"P{item}"), {"kind_id": None, "chief_id": None})
        for item in (0, 1)
    ]

    world.load(a_payload({3: records}))

    assert [item for _, item, _ in world.told()] == ["PROVIDERS P0", "PROVIDERS P1"]
    assert world.target.records()[3] == {}


def test_a_reference_to_what_comes_later_in_the_set_refuses_the_item(world: World) -> None:
    records = [
        Record(
            0,
            f"{NIL}b1",
            _provider("P0"),
            {"kind_id": None, "chief_id": Referred(3, f"{NIL}b2", ("P1",))},
        ),
        Record(1, f"{NIL}b2", _provider("P1"), {"kind_id": None, "chief_id": None}),
    ]

    world.load(a_payload({3: records}))

    ((code, item, text),) = world.told()
    assert (code, item) == ("GEN-MIGR-006", "PROVIDERS P0")
    assert "comes after it in the data set" in text


def test_a_character_that_no_text_can_have_stops_the_import(source: Registry, world: World) -> None:
    records = records_of(source)
    first = records[3][0]
    records[3][0] = replace(first, values={**first.values, "name": "a\0b"})

    ran = world.load(a_payload(records))

    assert ran.result is Result.FAILURE
    assert [code for code, _, _ in world.told()] == ["GEN-MIGR-006"]
    assert world.target.records()[3] == {}


def test_a_payload_that_turns_out_wrong_halfway_changes_nothing(
    source: Registry, world: World
) -> None:
    class Broken(PayloadOf):
        def lines(self, table_id: int) -> Iterator[bytes]:
            yield from super().lines(table_id)
            if table_id == 5:
                raise PayloadRefused("The digest of LINES.ndjson is another one.")

    payload = payload_of(source)

    ran = world.load(Broken(payload.manifest, payload.records))

    assert ran.result is Result.FAILURE
    text = "A technical failure: The digest of LINES.ndjson is another one."
    assert world.told() == [("GEN-MIGR-013", None, text)]
    assert world.target.records()[2] == {}


def test_a_provider_may_be_its_own_chief(world: World) -> None:
    itself = Referred(3, f"{NIL}b1", ("P0",))
    record = Record(0, f"{NIL}b1", _provider("P0"), {"kind_id": None, "chief_id": itself})

    world.load(a_payload({3: [record]}))

    assert world.target.records()[3][f"{NIL}b1"][1]["chief_id"] == f"{NIL}b1"


def _provider(code: str) -> dict[str, str | None]:
    return {"code": code, "name": None, "rank": None, "since": None}


# --- dry runs -----------------------------------------------------------------------------------


def test_a_dry_run_tells_the_difference_and_writes_nothing(source: Registry, world: World) -> None:
    world.load(payload_of(source))
    source.run(
        "UPDATE providers SET name = 'Ash', kind_id = 1 WHERE code = 'P1'",
        "DELETE FROM lines WHERE position = 2",
        f"INSERT INTO procedures (uuid, code, title) VALUES ('{NIL}a3', 'MRI', 'magnets')",
        "UPDATE lines SET procedure_id = (SELECT id FROM procedures WHERE code = 'MRI')",
    )
    before = world.target.everything()

    ran = world.load(payload_of(source), dryRun=True)

    assert ran.result is Result.SUCCESS
    assert world.target.everything() == before
    assert ran.outcome["counts"] == {
        "added": 1,
        "changed": 2,
        "deleted": 1,
        "unchanged": 6,
        "failed_items": 0,
    }
    told = {line.pop("uuid"): line for line in world.payloads.lines(ran.outcome["difference"])}
    x_ray = {"uuid": f"{NIL}a1", "key": ["X-RAY"]}
    assert told == {
        f"{NIL}a3": {
            "change": "added",
            "table": "PROCEDURES",
            "tableId": 2,
            "item": "PROCEDURES MRI",
            "number": 2,
            "key": ["MRI"],
            "values": {
                "uuid": {"new": f"{NIL}a3"},
                "code": {"new": "MRI"},
                "title": {"new": "magnets"},
            },
        },
        f"{NIL}b1": {
            "change": "changed",
            "table": "PROVIDERS",
            "tableId": 3,
            "item": "PROVIDERS P1",
            "number": 3,
            "key": ["P1"],
            "values": {
                "name": {"old": "Oak", "new": "Ash"},
                "kind_id": {
                    "old": {"uuid": f"{NIL}02", "key": ["LAB"]},
                    "new": {"uuid": f"{NIL}01", "key": ["GP"]},
                },
            },
        },
        f"{NIL}d1": {
            "change": "changed",
            "table": "LINES",
            "tableId": 5,
            "item": "PROVIDERS P1",
            "number": 3,
            "key": ["1"],
            "values": {"procedure_id": {"old": x_ray, "new": {"uuid": f"{NIL}a3", "key": ["MRI"]}}},
        },
        f"{NIL}d2": {
            "change": "deleted",
            "table": "LINES",
            "tableId": 5,
            "item": "PROVIDERS P1",
            "number": 3,
            "key": ["2"],
            "values": {
                "uuid": {"old": f"{NIL}d2"},
                "position": {"old": "2"},
                "amount": {"old": "7"},
                "contract_id": {"old": {"uuid": f"{NIL}c1", "key": ["C1"]}},
                "procedure_id": {"old": None},
            },
        },
    }


def test_a_dry_run_uses_up_no_ids(source: Registry, world: World) -> None:
    last = "SELECT last_value FROM providers_id_seq"
    before = world.target.server.run(last, world.target.database)

    world.load(payload_of(source), dryRun=True)

    assert world.target.server.run(last, world.target.database) == before


def test_the_difference_of_an_import_is_what_was_done(source: Registry, world: World) -> None:
    world.target.run("ALTER TABLE providers ADD CHECK (name <> 'Oak')")

    ran = world.load(payload_of(source))

    lines = world.payloads.lines(ran.outcome["difference"])
    assert {line["item"] for line in lines} == {
        "PROCEDURES X-RAY",
        "PROCEDURES BLOOD",
        "PROVIDERS P2",
        "PROVIDERS P3",
    }
    assert len(lines) == ran.outcome["counts"]["added"]
