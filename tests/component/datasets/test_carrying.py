"""From one database through a payload into another one, with nothing between that is not real."""

import pytest

from headrace.adapters.payload.by_format import PayloadWriterByFormat
from headrace.adapters.postgresql.application import PostgresqlApplication
from headrace.datasets.definitions import OutputFormat
from headrace.datasets.model import Options, Result, Selection
from tests.component.datasets.payloads import a_manifest
from tests.component.datasets.registry import (
    DEFINITION,
    KINDS_OF_BOTH,
    OTHER_IDS,
    PROCEDURES,
    PROVIDERS,
    SOURCE,
    Registry,
    a_registry,
)
from tests.component.datasets.target_world import World
from tests.component.postgresql.server import Server

EVERYTHING = Options(global_includes=(PROCEDURES.table_id,))
FORMATS = [OutputFormat.ZIP, OutputFormat.XML]


@pytest.fixture
def source(postgresql: Server) -> Registry:
    """Where payloads are built."""
    return a_registry(postgresql, SOURCE)


@pytest.fixture
def world(postgresql: Server) -> World:
    """An empty target with other ids than the source's, and the same kinds."""
    return World(a_registry(postgresql, OTHER_IDS, KINDS_OF_BOTH))


def built(source: Registry, output: OutputFormat, version: str = "4.2.1") -> bytes:
    """The payload of all providers and procedures."""
    database, application = PostgresqlApplication(), source.application
    items = list(database.items(application, DEFINITION, [Selection(PROVIDERS.table_id)]))
    with database.gather(application, DEFINITION, items, EVERYTHING) as gathering:
        manifest = a_manifest(
            gathering.items,
            definition=DEFINITION.code,
            version=version,
            output=output,
            excluded=(),
        )
        return b"".join(PayloadWriterByFormat().write(manifest, gathering))


@pytest.mark.parametrize("output", FORMATS)
def test_a_target_gets_all_that_the_source_has_and_then_nothing_more(
    source: Registry, world: World, output: OutputFormat
) -> None:
    ran = world.load(built(source, output))
    assert (ran.result, world.told()) == (Result.SUCCESS, [])
    assert world.target.records() == source.records()

    again = world.load(built(source, output))
    assert again.outcome["counts"]["unchanged"] == ran.outcome["counts"]["added"] > 0
    assert again.outcome["counts"]["changed"] == again.outcome["counts"]["added"] == 0


@pytest.mark.parametrize("output", FORMATS)
def test_what_the_source_deleted_is_deleted(
    source: Registry, world: World, output: OutputFormat
) -> None:
    world.load(built(source, output))
    source.run("DELETE FROM lines", "DELETE FROM contracts")
    ran = world.load(built(source, output))
    assert ran.outcome["counts"]["deleted"] > 0
    assert world.target.records() == source.records()


@pytest.mark.parametrize("output", FORMATS)
def test_a_payload_that_is_damaged_is_refused_before_anything_is_written(
    source: Registry, world: World, output: OutputFormat
) -> None:
    payload = bytearray(built(source, output))
    # A value of the last table that is written.
    if output is OutputFormat.ZIP:
        place = payload.index(b"tables/5.ndjson") + 60
    else:
        place = payload.rindex(b"</value>") - 1
    payload[place] ^= 1
    before = world.target.everything()

    ran = world.load(bytes(payload))

    assert ran.result is Result.FAILURE
    assert [code for code, _, _ in world.told()] == ["GEN-MIGR-013"]
    assert world.target.everything() == before


@pytest.mark.abuse(118)
@pytest.mark.parametrize("output", FORMATS)
def test_a_payload_of_another_version_is_refused_as_such_whatever_else_it_is(
    source: Registry, world: World, output: OutputFormat
) -> None:
    ran = world.load(built(source, output, version="5.0.0"))
    assert ran.result is Result.FAILURE
    assert [code for code, _, _ in world.told()] == ["GEN-MIGR-015"]
