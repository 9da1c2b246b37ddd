"""Data sets are created, built and downloaded, through the real handlers and the workflow."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from headrace.adapters.dynamodb.data_set_processes import DynamoProcesses
from headrace.datasets.ending import Swept
from headrace.datasets.model import Process
from headrace.kernel.errors import Unavailable
from headrace.kernel.ids import OPERATION_ID
from headrace.runtime import datasets
from tests.component.datasets.building import ALL, SourceSide, a_source_side
from tests.component.datasets.environment import BASE, deployed
from tests.component.datasets.registry import SOURCE, a_registry
from tests.component.postgresql.server import Server
from tests.workflow import TaskError


@pytest.fixture
def side(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceSide]:
    """A source environment of three providers."""
    with deployed(monkeypatch) as environment:
        yield a_source_side(environment, a_registry(postgresql, SOURCE), monkeypatch)


def manifest(payload: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        loaded: dict[str, Any] = json.loads(archive.read("manifest.json"))
        return loaded


def records(payload: bytes) -> dict[str, list[dict[str, Any]]]:
    """The records of a payload by table."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        return {
            entry["name"]: [
                json.loads(line) for line in archive.read(entry["document"]).splitlines()
            ]
            for entry in manifest(payload)["tables"]
        }


def codes(payload: bytes) -> set[str]:
    return {one["values"]["code"] for one in records(payload)["PROVIDERS"]}


# --- creating ---------------------------------------------------------------------------------


def test_a_data_set_is_created_with_all_records_of_a_table(side: SourceSide) -> None:
    reply = side.create("TEST_321", {"description": "all of them", "items": [{"tableId": 3}]})
    assert reply.status == 201
    place = f"{BASE}/dataexchange/export/datasetdefinition/PROVIDERS/dataset/TEST_321"
    assert reply.headers["Location"] == place
    assert (reply.json["code"], reply.json["description"]) == ("TEST_321", "all of them")
    assert reply.json["numberOfItems"] == 3
    assert reply.json["lastPayloadBuiltDateTime"] is None
    assert set(reply.json["creationDate"]) == {"value"}


def test_a_data_set_is_created_with_the_records_that_are_named_by_either_name(
    side: SourceSide,
) -> None:
    for name in ("items", "configMigrationItems"):
        listed = [{"tableId": 3, "recordId": 1}, {"tableId": 3, "recordId": 1}]
        assert side.create(name, {name: listed}).json["numberOfItems"] == 1


def test_a_code_is_taken_once_for_each_definition(side: SourceSide) -> None:
    assert side.create("one").status == 201
    again = side.create("one", {"items": [{"tableId": 3, "recordId": 1}]})
    assert (again.status, again.json["code"]) == (409, "data_set_exists")
    assert side.built("one")["outcome"]["items"] > 1


@pytest.mark.abuse(135)
@pytest.mark.parametrize(
    "body",
    [
        {"code": ""},
        {"code": "a b"},
        {"code": "a/b"},
        {"code": "x" * 101},
        {"description": "\u0000"},
        {"description": "\ud800"},
        {"items": [{"tableId": "3"}]},
        {"items": [{"recordId": 3}]},
        {"items": [{"tableId": 3, "recordId": -1}]},
        {"items": [{"tableId": 3, "other": 1}]},
        {"items": [{"tableId": 3}], "configMigrationItems": []},
        {"items": [{"tableId": 99}]},
        {"items": [{"tableId": 4}]},
        {"items": [{"tableId": 3, "recordId": 4711}]},
        {"exactVersionMatch": "true"},
        {"excludeOptions": [{"tableTopId": 4, "tableDependentId": 5}]},
        {"excludeOptions": [{"tableTopId": 3, "tableDependentId": 1}]},
        {"globalIncludeOptions": [{"tableId": 3}]},
        {"unknown": True},
    ],
)
def test_what_is_no_data_set_is_refused_and_nothing_is_kept(
    side: SourceSide, body: dict[str, Any]
) -> None:
    reply = side.create("wrong", body)
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert side.deployed.items("datasets") == []


def test_unknown_and_foreign_definitions_are_the_same(side: SourceSide) -> None:
    unknown = side.create(definition="NOTHING")
    foreign = side.create(tenant="south")
    assert unknown.status == foreign.status == 404
    assert unknown.json["code"] == foreign.json["code"] == "OHI-IP-DATA-004"
    assert unknown.json["severity"] == "Fatal"
    assert unknown.json["detail"] == "Unknown data set definition code NOTHING"
    for reply in (side.build(tenant="south"), side.payload(tenant="south")):
        assert (reply.status, reply.json["code"]) == (404, "OHI-IP-DATA-004")


def test_an_unknown_data_set_is_told_by_its_code(side: SourceSide) -> None:
    for reply in (side.build("never"), side.payload("never")):
        assert (reply.status, reply.json["code"]) == (404, "OHI-IP-DATA-001")
        assert reply.json["detail"] == (
            "Unknown combination of data set code never and data set definition code PROVIDERS"
        )


@pytest.mark.abuse(141)
def test_what_is_no_code_is_not_repeated(side: SourceSide) -> None:
    for reply in (
        side.build("<script>"),
        side.build(definition="<script>"),
        side.payload("x" * 3000),
        side.rebuild("x" * 3000, {}),
    ):
        assert reply.status == 404
        assert "script" not in reply.body and "xxx" not in reply.body


@pytest.mark.abuse(17)
def test_each_call_needs_its_access_restriction(side: SourceSide) -> None:
    replies = [
        side.create(scopes=("datasetoperation:createandexport",)),
        side.build(scopes=("datasetoperation:createandexport",)),
        side.payload(scopes=()),
        side.process("01kaqb7m3y6c9r2t5v8x1z4d7h", scopes=()),
        side.create_and_build(scopes=("dataexchange",)),
        side.rebuild("01kaqb7m3y6c9r2t5v8x1z4d7h", {}, scopes=("dataexchange",)),
    ]
    for reply in replies:
        assert (reply.status, reply.json["code"]) == (403, "insufficient_scope")


# --- building ---------------------------------------------------------------------------------


def test_a_data_set_is_built_and_downloaded(side: SourceSide) -> None:
    side.create()
    started = side.build()
    assert started.status == 201
    process_id = started.json["id"]
    assert OPERATION_ID.fullmatch(process_id)
    assert started.headers["Location"] == f"{BASE}/generic/datasetprocesses/{process_id}"
    running = side.process(process_id).json
    assert (running["endDateTime"], running["result"]) == (None, None)
    assert running["links"]["messages"].endswith(f"/{process_id}/messages")
    side.run()
    ended = side.process(process_id).json
    assert ended["result"] == "S"
    assert ended["endDateTime"] is not None
    assert ended["progress"]["done"] == ended["progress"]["total"] > 0
    reply = side.payload()
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/zip")
    assert 'filename="PROVIDERS_all.zip"' in reply.headers["Content-Disposition"]
    told = manifest(reply.content)
    assert (told["definition"], told["dataSet"], told["environment"]) == (
        "PROVIDERS",
        "all",
        "TST",
    )
    assert codes(reply.content) == {"P1", "P2", "P3"}


@pytest.mark.abuse(98)
def test_there_is_nothing_to_download_before_it_is_built(side: SourceSide) -> None:
    side.create()
    reply = side.payload()
    assert (reply.status, reply.body) == (204, "")
    side.build()
    assert side.payload().status == 204


def test_updates_until_the_build_are_in_new_items_are_not_and_deleted_ones_are_left_out(
    side: SourceSide,
) -> None:
    side.create()
    side.registry.run(
        "UPDATE providers SET name = 'Renamed' WHERE code = 'P1'",
        "INSERT INTO providers (uuid, code) VALUES (gen_random_uuid(), 'P9')",
        "DELETE FROM providers WHERE code = 'P3'",
    )
    assert side.built()["result"] == "S"
    found = records(side.payload().content)["PROVIDERS"]
    assert {one["values"]["code"]: one["values"]["name"] for one in found} == {
        "P1": "Renamed",
        "P2": "",
    }


def test_the_same_data_give_the_same_bytes(side: SourceSide) -> None:
    side.create()
    side.built()
    first = side.payload().content
    side.built()
    assert side.payload().content == first


def test_dependents_and_reference_data_can_be_left_out(side: SourceSide) -> None:
    excluded = [
        {"tableTopId": 3, "tableDependentId": 4},
        {"tableTopId": 3, "tableDependentId": 2},
    ]
    side.create("lean", {"items": [{"tableId": 3}], "excludeOptions": excluded})
    side.create("whole")
    side.built("lean")
    lean = records(side.payload("lean").content)
    side.built("whole")
    whole = records(side.payload("whole").content)
    assert whole["CONTRACTS"] and whole["PROCEDURES"]
    assert not lean.get("CONTRACTS") and not lean.get("PROCEDURES")
    assert len(lean["PROVIDERS"]) == len(whole["PROVIDERS"]) == 3


def test_all_reference_data_can_be_taken_along(side: SourceSide) -> None:
    one = [{"tableId": 3, "recordId": 2}]
    side.create("few", {"items": one})
    side.create("more", {"items": one, "globalIncludeOptions": [{"tableId": 2}]})
    side.built("few")
    side.built("more")
    assert not records(side.payload("few").content).get("PROCEDURES")
    assert len(records(side.payload("more").content)["PROCEDURES"]) == 2


def test_a_build_has_options_of_its_own(side: SourceSide) -> None:
    side.create("all", {"items": [{"tableId": 3}], "exactVersionMatch": True})
    side.built("all")
    told = manifest(side.payload().content)
    assert (told["exactVersionMatch"], told["disableDeleteByOmission"]) == (True, False)
    side.built(
        "all",
        inclusionDate="2023-12-31",
        exactVersionMatch=False,
        disableDeleteByOmission=True,
    )
    told = manifest(side.payload().content)
    assert told["inclusionDate"] == "2023-12-31"
    assert (told["exactVersionMatch"], told["disableDeleteByOmission"]) == (False, True)


@pytest.mark.abuse(135)
@pytest.mark.parametrize(
    "date", ["2023-13-01", "31-12-2023", "2023-12-31T00:00:00", "20231231", 20231231, ""]
)
def test_an_inclusion_date_is_a_date(side: SourceSide, date: Any) -> None:
    side.create()
    reply = side.build(body={"inclusionDate": date})
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")


@pytest.mark.abuse(97)
def test_an_empty_data_set_is_not_built(side: SourceSide) -> None:
    side.create("empty", {"items": []})
    reply = side.build("empty")
    assert (reply.status, reply.json["code"]) == (422, "GEN-MIGR-010")
    assert reply.json["detail"] == "It is not possible to start a build with empty data set"
    assert reply.json["severity"] == "Fatal"
    side.registry.run("TRUNCATE providers CASCADE")
    reply = side.create_and_build()
    assert (reply.status, reply.json["code"]) == (422, "GEN-MIGR-010")


@pytest.mark.abuse(97)
def test_a_data_set_whose_items_are_all_gone_fails_with_that_message(side: SourceSide) -> None:
    side.create()
    side.registry.run("TRUNCATE providers CASCADE")
    ended = side.built()
    assert ended["result"] == "F"
    page = side.messages(ended["id"]).json
    assert [one["code"] for one in page["messages"]] == ["GEN-MIGR-010"]
    assert page["messages"][0]["severity"] == "Fatal"
    assert side.payload().status == 204


def test_what_was_built_before_goes_when_the_next_build_is_there(side: SourceSide) -> None:
    side.create()
    side.built()
    first = {key for key in side.stored() if "/payloads/" in key}
    side.built()
    second = {key for key in side.stored() if "/payloads/" in key}
    assert len(first) == len(second) == 1
    assert first != second


def test_a_build_that_cannot_read_the_database_fails_and_says_so(side: SourceSide) -> None:
    side.create()
    started = side.build()
    options = {**side.registry.application.options, "database": "gone"}
    side.deployed.publish(replace(side.registry.application, options=options))
    side.run()
    ended = side.process(started.json["id"]).json
    assert ended["result"] == "F"
    [message] = side.messages(started.json["id"]).json["messages"]
    assert message["code"] == "GEN-MIGR-013"
    assert "gone" not in message["text"]
    assert side.build().status == 201


# --- full data sets ---------------------------------------------------------------------------


def test_a_full_data_set_is_created_and_built_in_one_call(side: SourceSide) -> None:
    reply = side.create_and_build("full", {"description": "all there is"})
    assert reply.status == 201
    assert side.payload("full").status == 204
    side.run()
    assert side.process(reply.json["id"]).json["result"] == "S"
    found = records(side.payload("full").content)
    assert {one["values"]["code"] for one in found["PROVIDERS"]} == {"P1", "P2", "P3"}
    assert len(found["PROCEDURES"]) == 2


def test_a_full_data_set_is_not_created_twice(side: SourceSide) -> None:
    side.create_and_build("full")
    side.run()
    again = side.create_and_build("full")
    assert (again.status, again.json["code"]) == (409, "data_set_exists")


def test_a_full_data_set_that_was_refused_is_not_there(side: SourceSide) -> None:
    side.create()
    side.build()
    assert side.create_and_build("full").json["code"] == "GEN-MIGR-008"
    assert side.payload("full").status == 404


def test_a_full_data_set_can_be_built_again_by_its_code(side: SourceSide) -> None:
    side.create_and_build("full")
    side.run()
    side.registry.run("INSERT INTO providers (uuid, code) VALUES (gen_random_uuid(), 'P9')")
    assert side.built("full")["result"] == "S"
    assert codes(side.payload("full").content) == {"P1", "P2", "P3"}


def test_a_full_data_set_whose_first_build_failed_has_its_items_by_the_next(
    side: SourceSide,
) -> None:
    side.create_and_build("full")
    side.run({"BuildDataSetFunctionArn": _raises})
    assert side.built("full")["result"] == "S"
    assert codes(side.payload("full").content) == {"P1", "P2", "P3"}


def test_a_full_data_set_is_changed_and_takes_what_is_new(side: SourceSide) -> None:
    side.create_and_build("full", {"description": "before"})
    side.run()
    data_set_id = _id_of(side, "full")
    side.registry.run("INSERT INTO providers (uuid, code) VALUES (gen_random_uuid(), 'P9')")
    changes = {
        "description": "after",
        "excludeOptions": [{"tableTopId": 3, "tableDependentId": 4}],
    }
    reply = side.rebuild(data_set_id, changes)
    assert reply.status == 201
    side.run()
    found = side.payload("full").content
    assert codes(found) == {"P1", "P2", "P3", "P9"}
    assert manifest(found)["description"] == "after"
    assert not records(found).get("CONTRACTS")


def test_only_a_full_data_set_of_the_tenants_is_changed(side: SourceSide) -> None:
    side.create("some")
    side.create_and_build("full")
    side.run()
    replies = [
        side.rebuild(_id_of(side, "some"), {}),
        side.rebuild("01kaqb7m3y6c9r2t5v8x1z4d7h", {}),
        side.rebuild(_id_of(side, "full"), {}, tenant="south"),
    ]
    for reply in replies:
        assert (reply.status, reply.json["code"]) == (404, "not_found")
    some, *others = (reply.json["detail"] for reply in replies)
    assert "has the items that it was created of" in some
    assert set(others) == {"There is no such data set."}


def _id_of(side: SourceSide, code: str) -> str:
    [found] = [one for one in side.deployed.items("datasets") if one["sk"].endswith(f"#{code}")]
    return str(found["data_set_id"])


def _raises(event: Any) -> Any:
    raise TaskError("Sandbox.Timedout")


# --- one at a time ----------------------------------------------------------------------------


@pytest.mark.abuse(96)
def test_a_build_is_not_started_while_another_one_is_in_progress(side: SourceSide) -> None:
    side.create("one")
    side.create("two")
    running = side.build("one").json["id"]
    for reply in (side.build("one"), side.build("two"), side.create_and_build("three")):
        assert (reply.status, reply.json["code"]) == (409, "GEN-MIGR-008")
        assert reply.json["detail"] == (
            "It is not possible to start a new build while another build or import is in progress"
        )
        assert reply.json["blockingProcessId"] == running
    side.run()
    assert side.build("two").status == 201


@pytest.mark.abuse(96)
def test_a_build_whose_worker_died_stands_in_nobodys_way_for_long(side: SourceSide) -> None:
    side.create()
    dead = side.build().json["id"]
    side.clock.advance(minutes=4)
    side.runs.states[f"{dead}-1"] = False
    assert side.build().status == 409
    side.clock.advance(minutes=2)
    following = side.build()
    assert following.status == 201
    ended = side.process(dead).json
    assert ended["result"] == "F"
    [message] = side.messages(dead).json["messages"]
    assert message["code"] == "GEN-MIGR-013"
    side.run()
    assert side.process(dead).json == ended
    assert side.process(following.json["id"]).json["result"] == "S"


@pytest.mark.parametrize("hours", [1, -1])
def test_a_start_by_a_clock_that_is_wrong_takes_no_running_builds_place(
    side: SourceSide, hours: int
) -> None:
    side.create()
    running = side.build().json["id"]
    side.clock.advance(hours=hours)
    refused = side.build()
    assert (refused.status, refused.json["blockingProcessId"]) == (409, running)
    side.clock.advance(hours=-hours)
    side.run()
    assert side.process(running).json["result"] == "S"


def test_a_start_that_cannot_ask_for_the_running_build_leaves_it_alone(
    side: SourceSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.create()
    running = side.build().json["id"]
    side.runs.states[f"{running}-1"] = False
    side.clock.advance(hours=1)

    def busy(_: Process) -> bool:
        raise Unavailable("busy")

    monkeypatch.setattr(side.runs, "is_running", busy)
    assert side.build().status == 409


@pytest.mark.parametrize("hours", [1, -1])
def test_a_dead_build_of_a_worker_whose_clock_was_wrong_is_ended_by_the_next_sweep(
    side: SourceSide, hours: int
) -> None:
    side.create()
    side.clock.advance(hours=hours)
    dead = side.build().json["id"]
    side.clock.advance(hours=-hours)
    side.runs.states[f"{dead}-1"] = False
    assert datasets.sweep_data_sets()().failed == 1
    assert side.process(dead).json["result"] == "F"
    assert side.build().status == 201


@pytest.mark.parametrize("hours", [1, -1])
def test_a_sweeper_whose_clock_is_wrong_leaves_a_running_build_alone(
    side: SourceSide, hours: int
) -> None:
    side.create()
    running = side.build().json["id"]
    side.clock.advance(hours=hours)
    assert replace(datasets.sweep_data_sets()(), lag_s=0) == Swept()
    side.clock.advance(hours=-hours)
    side.run()
    assert side.process(running).json["result"] == "S"


def test_other_tenants_build_at_the_same_time(side: SourceSide) -> None:
    other = replace(side.registry.application, tenant="south", application_id="other")
    side.deployed.publish(side.registry.application, other)
    side.create()
    side.create(tenant="south")
    assert side.build().status == side.build(tenant="south").status == 201


@pytest.mark.abuse(81)
def test_a_start_that_is_repeated_with_its_key_is_the_same_build(side: SourceSide) -> None:
    side.create()
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "nightly"}}
    first = side.build(**key)
    assert side.build(**key).json["id"] == first.json["id"]
    side.run()
    again = side.build(**key)
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    assert again.json["result"] == "S"
    assert not side.runs.waiting


@pytest.mark.abuse(81)
def test_a_start_that_is_repeated_at_the_same_moment_is_the_same_build(
    side: SourceSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.create()
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "nightly"}}
    look, first = DynamoProcesses._started_before, []

    def overtaken(self: DynamoProcesses, *given: Any) -> Process | None:
        found = look(self, *given)
        monkeypatch.setattr(DynamoProcesses, "_started_before", look)
        first.append(side.build(**key).json["id"])
        return found

    monkeypatch.setattr(DynamoProcesses, "_started_before", overtaken)
    second = side.build(**key)
    assert (second.status, [second.json["id"]]) == (201, first)


@pytest.mark.abuse(82)
def test_a_key_belongs_to_one_request(side: SourceSide) -> None:
    side.create()
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "nightly"}}
    side.build(**key)
    side.run()
    other = side.build(body={"inclusionDate": "2026-01-01"}, **key)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


@pytest.mark.abuse(81)
def test_a_creation_whose_answer_was_lost_is_answered_the_same_again(side: SourceSide) -> None:
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "first"}}
    first = side.create(**key)
    again = side.create(**key)
    assert (again.status, again.json, again.headers["Location"]) == (
        *(201, first.json),
        first.headers["Location"],
    )
    side.build()
    side.run()
    assert side.create(**key).json["id"] == first.json["id"]


@pytest.mark.abuse(82)
def test_a_key_creates_a_data_set_with_one_body_only(side: SourceSide) -> None:
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "first"}}
    side.create(**key)
    other = side.create(body={**ALL, "description": "another"}, **key)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


def test_neither_another_key_nor_another_clients_is_answered_what_one_created(
    side: SourceSide,
) -> None:
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "first"}}
    side.create(**key)
    for asked in (
        side.create(headers={"Idempotency-Key": "second"}),
        side.create(),
        side.create(client="somebody-else", **key),
    ):
        assert (asked.status, asked.json["code"]) == (409, "data_set_exists")


def test_a_full_data_set_is_started_once_by_its_key(side: SourceSide) -> None:
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "first"}}
    first = side.create_and_build("full", **key)
    side.run()
    assert side.create_and_build("full", **key).json["id"] == first.json["id"]


def test_a_start_that_the_workflow_service_did_not_take_is_begun_by_the_sweeper(
    side: SourceSide,
) -> None:
    side.create()
    side.runs.failure = Unavailable("busy")
    process_id = side.build().json["id"]
    side.runs.failure = None
    assert datasets.sweep_data_sets()().started == 1
    assert datasets.sweep_data_sets()().started == 0
    side.run()
    assert side.process(process_id).json["result"] == "S"


def test_processes_of_others_are_as_those_that_never_were(side: SourceSide) -> None:
    side.create()
    process_id = side.build().json["id"]
    foreign = side.process(process_id, tenant="south")
    never = side.process("01kaqb7m3y6c9r2t5v8x1z4d7h")
    nonsense = side.process("../x")
    assert foreign.status == never.status == nonsense.status == 404
    assert foreign.json == never.json == nonsense.json
    assert side.messages("01kaqb7m3y6c9r2t5v8x1z4d7h").status == 404


def test_who_did_what_is_in_the_audit_trail(side: SourceSide) -> None:
    side.create()
    process_id = side.built()["id"]
    side.payload()
    events = {one["action"]: one for one in side.deployed.items("audit")}
    assert {"data_set", "build", "download"} <= set(events)
    assert events["build"]["concerns"]["dataSetProcessId"] == process_id
    assert events["download"]["concerns"]["dataSetCode"] == "all"
