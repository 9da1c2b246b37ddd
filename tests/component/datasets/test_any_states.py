"""Whatever source and target hold: what an import does, what undoes it, and what a killed one
leaves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.adapters.postgresql import applying, import_plan, importing, undoing
from headrace.datasets.model import Result
from headrace.datasets.payload import Record
from tests.component.datasets.registry import (
    KINDS_OF_BOTH,
    NIL,
    OTHER_IDS,
    PayloadOf,
    Registry,
    a_payload,
    a_registry,
    an_import,
    an_undo,
    records_of,
)
from tests.component.datasets.target_world import World
from tests.component.postgresql.server import Server

EMPTY = "TRUNCATE procedures, providers, contracts, lines RESTART IDENTITY CASCADE"


@dataclass(frozen=True)
class State:
    """The rows of a registry, by UUID, as SQL puts them there."""

    procedures: dict[str, tuple[str, str]]
    providers: dict[str, tuple[str, str, str | None, str | None]]
    """Code, name, code of the kind, UUID of the chief."""
    contracts: dict[str, tuple[str, str]]
    lines: dict[str, tuple[str, int, str, str | None]]

    def statements(self) -> Iterator[str]:
        """What fills an empty registry."""
        yield EMPTY
        for uuid, (code, title) in self.procedures.items():
            yield f"INSERT INTO procedures (uuid, code, title) VALUES ('{uuid}', '{code}', {title})"
        for uuid, (code, name, kind, chief) in self.providers.items():
            yield (
                "INSERT INTO providers (uuid, code, name, kind_id, chief_id) VALUES "
                f"('{uuid}', '{code}', {name}, (SELECT id FROM kinds WHERE code = '{kind}'), "
                f"(SELECT id FROM providers WHERE uuid::text = '{chief}'))"
            )
        for uuid, (provider, number) in self.contracts.items():
            yield (
                f"INSERT INTO contracts (uuid, provider_id, number) SELECT '{uuid}', id, "
                f"'{number}' FROM providers WHERE uuid = '{provider}'"
            )
        for uuid, (contract, position, amount, procedure) in self.lines.items():
            yield (
                "INSERT INTO lines (uuid, contract_id, position, amount, procedure_id) "
                f"SELECT '{uuid}', c.id, {position}, {amount}, "
                f"(SELECT id FROM procedures WHERE uuid::text = '{procedure}') "
                f"FROM contracts c WHERE uuid = '{contract}'"
            )


def _uuids(letter: str, number: int) -> st.SearchStrategy[str]:
    return st.integers(1, number).map(lambda digit: f"{NIL}{letter}{digit}")


def _pairs[T](
    uuids: st.SearchStrategy[str], others: st.SearchStrategy[T], most: int
) -> st.SearchStrategy[list[tuple[str, T]]]:
    """UUIDs with something each; neither is there twice."""
    twice = (lambda pair: pair[0], lambda pair: pair[1])
    return st.lists(st.tuples(uuids, others), max_size=most, unique_by=twice)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Few UUIDs and few keys, so that two states share some, and not always the same ones."""
    procedures = draw(_pairs(_uuids("a", 3), st.sampled_from("XYZ"), 3))
    providers = draw(_pairs(_uuids("b", 4), st.sampled_from("PQRS"), 4))
    names = st.sampled_from(["NULL", "'Oak'", "'Elm'"])
    chosen: dict[str, tuple[str, str, str | None, str | None]] = {}
    for uuid, code in providers:
        chief = draw(st.none() | st.sampled_from(sorted(chosen))) if chosen else None
        chosen[uuid] = (code, draw(names), draw(st.sampled_from([None, "GP", "LAB"])), chief)
    contracts: dict[str, tuple[str, str]] = {}
    if chosen:
        owners = st.tuples(st.sampled_from(sorted(chosen)), st.sampled_from(["1", "2"]))
        contracts = dict(draw(_pairs(_uuids("c", 5), owners, 5)))
    lines = {}
    if contracts:
        places = st.tuples(st.sampled_from(sorted(contracts)), st.integers(1, 2))
        for uuid, (contract, position) in draw(_pairs(_uuids("d", 6), places, 6)):
            known = sorted(uuid for uuid, _ in procedures)
            procedure = draw(st.none() | st.sampled_from(known)) if known else None
            amount = draw(st.sampled_from(["1", "2.50", "NULL"]))
            lines[uuid] = (contract, position, amount, procedure)
    titles = {uuid: (code, draw(names)) for uuid, code in procedures}
    return State(titles, chosen, contracts, lines)


@dataclass
class Pair:
    """A source and a target, filled anew for each example."""

    source: Registry
    target: Registry
    examples: int = 0

    def filled(self, source: State, target: State) -> World:
        """A world of the target; the source's payload is ``payload``."""
        self.examples += 1
        self.source.run(*source.statements())
        self.target.run(*target.statements(), OTHER_IDS)
        return World(self.target)

    def payload(self) -> PayloadOf:
        """Of all the source has."""
        return a_payload(records_of(self.source))


@pytest.fixture(scope="module")
def pair(postgresql: Server) -> Pair:
    """One for all examples of a test."""
    return Pair(a_registry(postgresql, KINDS_OF_BOTH), a_registry(postgresql, KINDS_OF_BOTH))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that a few records are several."""
    monkeypatch.setattr(import_plan, "RECORDS_IN_A_BATCH", 3)
    monkeypatch.setattr(undoing, "RECORDS_IN_A_BATCH", 3)


def any_states[**P](examples: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """With this many of them."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def items_of(payload: PayloadOf) -> dict[str, list[tuple[int, Record]]]:
    """The records of each item by what messages call it, with their tables."""
    names = {2: "PROCEDURES", 3: "PROVIDERS"}
    labels = {
        record.item: f"{names[table_id]} {record.values['code']}"
        for table_id in names
        for record in payload.records.get(table_id, ())
    }
    items: dict[str, list[tuple[int, Record]]] = {label: [] for label in labels.values()}
    for table_id, records in payload.records.items():
        for record in records:
            items[labels[record.item]].append((table_id, record))
    return items


@any_states(25)
@given(source=states(), target=states())
def test_what_is_not_refused_is_as_in_the_source_and_undoing_restores_the_target(
    pair: Pair, source: State, target: State
) -> None:
    world, payload = pair.filled(source, target), pair.payload()
    before, rows_before = world.target.records(), world.target.everything()
    wanted = pair.source.records()

    world.load(payload)

    refused = {item for _, item, _ in world.told()}
    after = world.target.records()
    for label, records in items_of(payload).items():
        for table_id, record in records:
            expected = before if label in refused else wanted
            assert after[table_id].get(record.uuid) == expected[table_id].get(record.uuid)
    if not refused:
        # What belongs to the source's providers is the same, but for what is to go next time.
        world.load(payload)
        after = world.target.records()
        for table_id, owner, parents in ((4, "provider_id", 3), (5, "contract_id", 4)):
            owned = {
                uuid
                for uuid, (_, links) in after[table_id].items()
                if links[owner] in wanted[parents]
            }
            assert owned == set(wanted[table_id])
        third = world.load(payload)
        assert third.outcome["counts"]["unchanged"] == sum(map(len, wanted.values()))
        assert third.outcome["undo"] is None
    for number in range(world.imports, 0, -1):
        ran = world.undo(an_undo(f"import{number}", f"undo{number}"))
        assert ran.result is Result.SUCCESS, world.told(f"undo{number}")
    assert world.target.everything() == rows_before


class Killed(Exception):
    """The worker is no more."""


@dataclass
class Killer:
    """Ends a worker at the n-th statement that writes."""

    monkeypatch: pytest.MonkeyPatch
    at: int = 0
    seen: int = 0
    in_order: Any = field(default=applying.in_order)

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(importing, "in_order", self.statements)
        self.monkeypatch.setattr(undoing, "in_order", self.statements)

    def statements(self, *args: Any) -> Iterator[str]:
        """Those of a transaction, as far as the worker lives."""
        for statement in self.in_order(*args):
            self.seen += 1
            if self.seen == self.at:
                raise Killed
            yield statement

    def next_at(self, at: int) -> None:
        """From now on. 0: never."""
        self.at, self.seen = at, 0


def whole_items(payload: PayloadOf, world: World, before: Any, after: Any) -> list[tuple[str, str]]:
    """Of each item, whether the target has it as ``before`` or as ``after``. Else it is torn."""
    now = world.target.records()
    found = []
    for label, records in items_of(payload).items():
        states_of = [
            (
                now[table_id].get(record.uuid) == before[table_id].get(record.uuid),
                now[table_id].get(record.uuid) == after[table_id].get(record.uuid),
            )
            for table_id, record in records
        ]
        as_before, as_after = (all(column) for column in zip(*states_of, strict=True))
        assert as_before or as_after, f"{label} is torn"
        found.append((label, "after" if as_after else "before"))
    return found


@any_states(15)
@given(source=states(), target=states(), at=st.integers(1, 40), again=st.integers(1, 40))
def test_a_killed_import_leaves_whole_items_and_comes_to_the_same_end_when_it_is_run_again(
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    source: State,
    target: State,
    at: int,
    again: int,
) -> None:
    world, payload = pair.filled(source, target), pair.payload()
    world.load(payload)
    told, end = world.told(), world.target.records()
    world, payload = pair.filled(source, target), pair.payload()
    before, rows_before = world.target.records(), world.target.everything()
    with monkeypatch.context() as patch:
        killer = Killer(patch)
        for moment in (at, again):
            killer.next_at(moment)
            try:
                world.run(an_import(), payload)
            except Killed:
                whole_items(payload, world, before, end)
        killer.next_at(0)

        ran = world.run(an_import(), payload)

        assert world.told("import1") == told
        assert world.target.records() == end
        assert ran.outcome["counts"]["failed_items"] == len({item for _, item, _ in told})

        killer.next_at(at)
        try:
            world.undo(an_undo())
        except Killed:
            whole_items(payload, world, before, end)
        killer.next_at(0)
        undone = world.undo(an_undo())

    assert undone.result is Result.SUCCESS, world.told("undo1")
    assert world.target.everything() == rows_before
