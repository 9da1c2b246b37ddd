"""The audit log of processes, over what a real import leaves."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from headrace.datasets.audit_trail import Found, Search, SearchAuditTrail
from headrace.datasets.audit_views import AuditTrailPage
from headrace.datasets.model import Process, Result
from headrace.kernel.caller import Caller
from headrace.kernel.errors import NotFound, ValidationFailed
from headrace.kernel.ids import RandomIds
from headrace.kernel.view import as_json
from tests.component.datasets.registry import NOON, TENANT, KeptPayloads, KeptProcesses, an_import

ADDED = {
    "change": "added",
    "table": "PROVIDERS",
    "tableId": 3,
    "item": "PROVIDERS A",
    "number": 0,
    "uuid": "0000-a",
    "key": ["A"],
    "values": {"name": {"new": "Ann"}, "code": {"new": "A"}},
}
CHANGED = {
    **ADDED,
    "change": "changed",
    "uuid": "0000-b",
    "values": {"name": {"old": "Bob", "new": None}},
}
DELETED = {**ADDED, "change": "deleted", "table": "CONTRACTS", "uuid": "0000-c"}


@dataclass
class History(KeptProcesses):
    """The processes that are kept, the newest first."""

    def latest(self, tenant: str, limit: int) -> list[Process]:
        """See the port."""
        ours = [one for one in self.kept.values() if one.tenant == tenant]
        return sorted(ours, key=lambda one: one.process_id, reverse=True)[:limit]


class World:
    """Processes that have ended."""

    def __init__(self) -> None:
        self.history = History()
        self.payloads = KeptPayloads()

    def ended(self, *lines: dict[str, Any], **request: Any) -> str:
        process_id = RandomIds().new(NOON)
        key = f"{process_id}/difference.ndjson"
        self.payloads.documents[key] = b"".join(
            json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in lines
        )
        counts = {"added": 0, "changed": 0, "deleted": 0, "unchanged": 5, "failed_items": 0}
        for one in lines:
            counts[one["change"]] += 1
        outcome = {"counts": counts, "difference": key, "undo": None}
        begun = an_import(process_id, **request)
        self.history.begin(begun.ended(Result.SUCCESS, NOON, outcome))
        return process_id

    def search(self, query: str, offset: int = 0, limit: int = 50, tenant: str = TENANT) -> Found:
        search = SearchAuditTrail(self.history, self.history, self.payloads)
        caller = Caller(tenant, "carrier", frozenset())
        return search(caller, Search.read(query), offset, limit)


def test_the_log_of_a_process_has_each_record_with_old_and_new_values() -> None:
    world = World()
    process_id = world.ended(ADDED, CHANGED, DELETED)
    page = as_json(AuditTrailPage.of(world.search(f"process.eq('{process_id}')"), 0, 50))
    assert [one["changeType"] for one in page["items"]] == ["added", "changed", "deleted"]
    assert page["items"][1]["values"] == [{"column": "name", "oldValue": "Bob", "newValue": None}]
    assert page["items"][0]["values"] == [
        {"column": "code", "oldValue": None, "newValue": "A"},
        {"column": "name", "oldValue": None, "newValue": "Ann"},
    ]
    assert (page["totalResults"], page["hasMore"]) == (3, False)
    [process] = page["processes"]
    assert (process["id"], process["startedBy"], process["result"]) == (process_id, "somebody", "S")
    assert "payload" not in process["request"]


def test_a_search_is_narrowed_and_read_page_by_page() -> None:
    world = World()
    process_id = world.ended(ADDED, CHANGED, {**ADDED, "uuid": "0000-d"}, DELETED)
    named = f"process.id.eq('{process_id}')"
    added = world.search(f"{named}.and.changeType.eq('added')")
    assert [one.uuid for one in added.changes] == ["0000-a", "0000-d"]
    assert added.total == 2
    [found] = world.search(f"{named}.and.uuid.eq('0000-b')").changes
    assert found.change == "changed"
    [found] = world.search(f"{named}.and.table.eq('CONTRACTS')").changes
    assert found.uuid == "0000-c"
    first, second = world.search(named, 0, 3), world.search(named, 3, 3)
    assert (len(first.changes), first.has_more) == (3, True)
    assert (len(second.changes), second.has_more) == (1, False)


def test_a_page_ends_before_it_is_more_than_lambda_answers() -> None:
    world = World()
    long = 'é"\n' * 120_000
    lines = [
        {**CHANGED, "uuid": f"{number:04d}", "values": {"name": {"old": long, "new": "x"}}}
        for number in range(12)
    ]
    alone = "ü" * 5_000_000
    lines[6] = {**ADDED, "uuid": "0006", "values": {"name": {"new": alone}, "code": {"new": "A"}}}
    process_id = world.ended(*lines)
    seen: list[str] = []
    while True:
        found = world.search(f"process.eq('{process_id}')", len(seen), 200)
        page = as_json(AuditTrailPage.of(found, len(seen), 200))
        body = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
        assert len(json.dumps({"body": body}, ensure_ascii=False).encode()) < 6 * 1024 * 1024
        assert page["items"]
        for one in page["items"]:
            values = {value["column"]: value for value in one["values"]}
            whole = "old" + long if one["uuid"] != "0006" else "new" + "ü" * 1000 + "…"
            assert values["name"][f"{whole[:3]}Value"] == whole[3:]
        seen += [one["uuid"] for one in page["items"]]
        assert page["hasMore"] is (len(seen) < 12)
        if not page["hasMore"]:
            break
    assert seen == [f"{number:04d}" for number in range(12)]


def test_a_dry_run_changed_nothing_and_has_no_records() -> None:
    world = World()
    process_id = world.ended(ADDED, dryRun=True)
    found = world.search(f"process.eq('{process_id}')")
    assert (found.changes, found.total) == ((), None)


def test_a_process_without_a_difference_is_shown_alone() -> None:
    world = World()
    process_id = world.ended(ADDED)
    world.payloads.documents.clear()
    assert world.search(f"process.eq('{process_id}')").changes == ()
    world.history.begin(replace(world.history.kept[process_id], outcome={}))
    assert len(world.search(f"process.eq('{process_id}')").processes) == 1


def test_without_a_process_all_are_listed_the_newest_first() -> None:
    world = World()
    ids = sorted(world.ended() for _ in range(5))
    found = world.search("", 1, 2)
    assert [one.process_id for one in found.processes] == [ids[3], ids[2]]
    assert found.has_more and not world.search("", 3, 2).has_more


def test_another_tenants_process_is_none() -> None:
    world = World()
    process_id = world.ended(ADDED)
    for query, tenant in (
        ("process.eq('nothing')", TENANT),
        (f"process.eq('{RandomIds().new(NOON)}')", TENANT),
    ):
        with pytest.raises(NotFound):
            world.search(query, tenant=tenant)
    assert world.search("", tenant="south").processes == []
    assert world.history.find(TENANT, process_id) is not None


@pytest.mark.parametrize(
    "query",
    [
        "process",
        "process.eq(1)",
        "process.like('x')",
        "process.eq('a').or.process.eq('b')",
        "process.eq('a').and.process.id.eq('b')",
        "process.eq('a').and.changeType.eq('moved')",
        "table.eq('PROVIDERS')",
        "process.eq('a'').and.table.eq('b')",
        "process.eq('\\u0000').and.",
    ],
)
def test_a_search_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(ValidationFailed):
        Search.read(query)
