"""Imports into a real database: what they write, what they refuse, and what they leave alone."""

from dataclasses import dataclass, field

import pytest

from headrace.adapters.postgresql.importing import PostgresqlTarget
from headrace.datasets.importing import ImportDataSet
from headrace.datasets.model import Process, Result
from headrace.datasets.running import Ran
from tests.builders import SteppingClock
from tests.component.datasets.registry import (
    NOON,
    TENANT,
    KeptPayloads,
    KeptProcesses,
    OneApplication,
    OnePayload,
    PayloadOf,
    Registry,
    a_registry,
    an_import,
    payload_of,
)
from tests.component.postgresql.server import Server

NIL = "00000000-0000-4000-8000-0000000000"

KINDS_OF_BOTH = f"INSERT INTO kinds (uuid, code) VALUES ('{NIL}01', 'GP'), ('{NIL}02', 'LAB')"

SOURCE = f"""
{KINDS_OF_BOTH};
INSERT INTO procedures (uuid, code, title)
  VALUES ('{NIL}a1', 'X-RAY', E'pictures\\n"of" \\\\ bones'), ('{NIL}a2', 'BLOOD', NULL);
INSERT INTO providers (uuid, code, name, rank, since, kind_id)
  VALUES ('{NIL}b1', 'P1', 'Oak', 1.5, '2026-01-01 12:00+02', 2), ('{NIL}b2', 'P2', '', 0, NULL, 1);
INSERT INTO providers (uuid, code, name, chief_id)
  SELECT '{NIL}b3', 'P3', 'Elm', id FROM providers WHERE code = 'P2';
INSERT INTO contracts (uuid, provider_id, number, note)
  SELECT '{NIL}c1', id, 'C1', '{{"a": [1, null]}}' FROM providers WHERE code = 'P1';
INSERT INTO contracts (uuid, provider_id, number)
  SELECT '{NIL}c2', id, 'C1' FROM providers WHERE code = 'P2';
INSERT INTO lines (uuid, contract_id, position, amount, procedure_id)
  SELECT '{NIL}d1', c.id, 1, 12.50, p.id FROM contracts c, procedures p
  WHERE c.uuid = '{NIL}c1' AND p.code = 'X-RAY';
INSERT INTO lines (uuid, contract_id, position, amount)
  SELECT '{NIL}d2', c.id, 2, 7 FROM contracts c WHERE c.uuid = '{NIL}c1';
"""

OTHER_IDS = (
    "SELECT setval(pg_get_serial_sequence(t, 'id'), 1000) FROM unnest(ARRAY['public.kinds', \
'public.procedures', 'public.providers', 'public.contracts', 'public.lines']) t"
)


@dataclass
class World:
    """A target and what is around it."""

    target: Registry
    processes: KeptProcesses = field(default_factory=KeptProcesses)
    payloads: KeptPayloads = field(default_factory=KeptPayloads)
    clock: SteppingClock = field(default_factory=lambda: SteppingClock(NOON))
    imports: int = 0

    def load(self, payload: PayloadOf, time_left: float = 900, **request: object) -> Ran:
        """Imports a payload, as a process of its own."""
        self.imports += 1
        return self.run(an_import(f"import{self.imports}", **request), payload, time_left)

    def run(self, process: Process, payload: PayloadOf, time_left: float = 900) -> Ran:
        """Runs a worker of the process."""
        self.processes.kept[process.process_id] = process
        self.payloads.documents["payload"] = b"a file"
        usecase = ImportDataSet(
            OneApplication(self.target.application),
            self.processes,
            self.payloads,
            OnePayload(payload),
            PostgresqlTarget(),
            self.clock,
        )
        return usecase(TENANT, process.process_id, lambda: time_left)

    def told(self) -> list[tuple[str, str | None, str]]:
        """The messages of the last import: code, item, text."""
        messages = self.processes.told[f"import{self.imports}"]
        return [(message.code, message.item, message.text) for message in messages]


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
