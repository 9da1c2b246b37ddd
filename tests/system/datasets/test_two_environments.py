"""Two deployments beside each other: whole migrations over HTTP, looked up by SQL in both of them.

The second one is a platform of these tests' own, which is gone afterwards.
"""

import secrets
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from local import platform as platforms
from local.demo_datasets import Environment, start_second
from local.home import Home
from local.sample.comparing import TableComparison
from local.sample.roster import Roster
from tests.system.deployed import Platform

pytestmark = pytest.mark.system

CARRIED = [
    ("claims-pipeline", "CLAIMS_CONFIGURATION"),
    ("claims-pipeline", "PROVIDERS"),
    ("claims-pipeline", "PROCEDURES"),
    ("claims-pipeline", "DIAGNOSES"),
    ("claims-pipeline", "PRODUCT_BUILDING_BLOCKS"),
    ("policies-pipeline", "POLICIES_CONFIGURATION"),
    ("policies-pipeline", "PROVIDERS"),
]


@pytest.fixture(scope="module")
def production(platform: Platform) -> Iterator[Home]:
    """The second environment's home, with its platform running."""
    home = platform.home.beside
    with Roster(home.roster).for_as_long_as_this_process():
        try:
            yield start_second(platform.home)
        finally:
            platforms.stop(home)
    shutil.rmtree(home.root, ignore_errors=True)


def imported(production: Environment, definition: str, code: str, **options: Any) -> dict[str, Any]:
    path = f"/dataexchange/import/datasetdefinition/{definition}/dataset/{code}"
    return production.finished(production.call("POST", path, options), print)


def counts(process: dict[str, Any]) -> dict[str, int]:
    told: dict[str, int] = process["outcome"]["counts"]
    return told


def as_in_the_source(tables: list[TableComparison]) -> bool:
    """Is all that the source has there, and the same."""
    return not any(table.different or table.only_first for table in tables)


@pytest.mark.parametrize(("client", "definition"), CARRIED)
def test_what_is_set_up_in_test_is_carried_to_production_and_back_out_again(
    platform: Platform, production: Home, client: str, definition: str
) -> None:
    code = f"MIGRATION-{secrets.token_hex(4)}"
    with Environment.of(platform.home, client) as test, Environment.of(production, client) as there:
        before = test.compared(there, definition)
        assert not as_in_the_source(before)
        path = f"/dataexchange/createandexport/datasetdefinition/{definition}/dataset"
        test.finished(test.call("POST", path, {"code": code, "description": "All"}), print)
        source = there.register(test)
        dry = imported(there, definition, code, sourceEnvironment=source, dryRun=True)
        assert test.compared(there, definition) == before
        first = imported(there, definition, code, sourceEnvironment=source)
        assert counts(first) == counts(dry)
        assert as_in_the_source(test.compared(there, definition))
        again = imported(there, definition, code, sourceEnvironment=source)
        told = counts(again)
        assert (told["added"], told["changed"], told["deleted"]) == (0, 0, 0)
        assert told["unchanged"] == sum(table.same for table in test.compared(there, definition))
        undo = there.call("POST", f"/generic/datasetprocesses/{first['id']}/undo", {})
        there.finished(undo, print)
        assert test.compared(there, definition) == before


def test_what_a_killed_demonstration_left_imported_is_undone_and_what_others_imported_stays(
    platform: Platform, production: Home
) -> None:
    definition = "CLAIMS_CONFIGURATION"
    path = f"/dataexchange/createandexport/datasetdefinition/{definition}/dataset"
    with Environment.of(platform.home) as test, Environment.of(production) as there:
        before = test.compared(there, definition)
        source = there.register(test)
        for code in (f"DEMO-{secrets.token_hex(4)}", f"OURS-{secrets.token_hex(4)}"):
            test.finished(test.call("POST", path, {"code": code, "description": "All"}), print)
            done = imported(there, definition, code, sourceEnvironment=source)
            imported(there, definition, code, sourceEnvironment=source)
            told: list[str] = []
            there.put_back(told.append)
            as_before = test.compared(there, definition) == before
            assert as_before is code.startswith("DEMO-")
            assert any(code in line for line in told) is as_before
        there.finished(
            there.call("POST", f"/generic/datasetprocesses/{done['id']}/undo", {}), print
        )


def test_the_demonstration_ends_as_it_began(platform: Platform, production: Home) -> None:
    told = platform.demonstrates("demo-datasets", within=600)
    assert "PRODUCTION is as it was" in told
