"""`headrace dataset` against the deployed product: from a build to an import that is undone."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.postgresql import Server
from tests.system.client.test_command import COMMAND, an_environment, headrace
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform

pytestmark = pytest.mark.system

CLAIMS, GROUP_CLIENTS = "CLAIMS_CONFIGURATION", 18039405
SCOPES = ("dataexchange", "datasetoperation:createandexport")


class Database:
    """The names of the group clients, by their codes."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def names(self) -> dict[str, str]:
        said = self._server.run(
            "SELECT json_object_agg(code, name) FROM claims.group_clients", "claims"
        )
        found: dict[str, str] = json.loads(said)
        return found

    def rename(self, names: dict[str, str]) -> None:
        for code, name in names.items():
            quoted = name.replace("'", "''")
            self._server.run(
                f"UPDATE claims.group_clients SET name = '{quoted}' WHERE code = '{code}' "
                f"AND name <> '{quoted}'",
                "claims",
            )


@pytest.fixture(scope="module")
def carrier(clients: Clients) -> Integrator:
    integrator = clients.special(NORTHWIND, "cost_centres", scopes=SCOPES)
    clients.keep(integrator)
    return integrator


@pytest.fixture
def code() -> str:
    """Of a data set that is not there yet."""
    return f"CLI_{secrets.token_hex(4)}"


@pytest.fixture
def claims(platform: Platform) -> Iterator[Database]:
    """The application's database; what a test changes in it is put back."""
    database = Database(Server(platform.home.roster))
    before = database.names()
    yield database
    database.rename(before)


def dataset(carrier: Integrator, *arguments: str, code: int = 0) -> Any:
    return headrace(carrier, "dataset", *arguments, code=code)


def test_a_set_is_built_downloaded_compared_imported_and_undone(
    carrier: Integrator, claims: Database, code: str, tmp_path: Path
) -> None:
    created = dataset(carrier, "create", CLAIMS, code, "--item", str(GROUP_CLIENTS))
    before = claims.names()
    assert created["numberOfItems"] == len(before)
    assert dataset(carrier, "download", CLAIMS, code, code=8)["error"]["code"] == "not_built"
    built = dataset(carrier, "build", CLAIMS, code)
    assert built["process"]["result"] == "S", built
    file = tmp_path / "clients.zip"
    got = dataset(carrier, "download", CLAIMS, code, "--out", str(file))
    assert (got["path"], got["bytes"]) == (str(file), file.stat().st_size)

    changed = {name: f"{before[name]} & Söhne" for name in sorted(before)[:2]}
    claims.rename(changed)
    dry = dataset(carrier, "import", str(file), "--dry-run")
    assert claims.names() == before | changed
    told = {
        (one["change"], one["key"][0], one["values"]["name"]["old"], one["values"]["name"]["new"])
        for one in dry["difference"]
    }
    assert told == {("changed", name, new, before[name]) for name, new in changed.items()}

    imported = dataset(carrier, "import", str(file))
    assert claims.names() == before
    assert imported["process"]["outcome"]["counts"] == dry["process"]["outcome"]["counts"]
    again = dataset(carrier, "diff", imported["process"]["id"])
    assert {one["key"][0] for one in again["difference"]} == set(changed)

    undone = dataset(carrier, "undo", imported["process"]["id"])
    assert undone["process"]["result"] == "S", undone
    assert claims.names() == before | changed
    twice = dataset(carrier, "undo", imported["process"]["id"], code=8)
    assert twice["error"]["code"] == "not_undoable"


def test_a_file_that_is_too_large_for_a_call_is_uploaded_to_the_storage(
    carrier: Integrator, code: str, tmp_path: Path
) -> None:
    file = tmp_path / "large.zip"
    dataset(carrier, "build", CLAIMS, code, "--full")
    dataset(carrier, "download", CLAIMS, code, "--out", str(file))
    # What is before an archive is no part of it: the product refuses it, once it has it all.
    file.write_bytes(secrets.token_bytes(5_000_000) + file.read_bytes())

    refused = dataset(carrier, "import", CLAIMS, str(file), code=1)

    assert refused["error"]["code"] == "process_unsuccessful"
    fatal = [one for one in refused["error"]["messages"] if one["severity"] == "Fatal"]
    assert [one["code"] for one in fatal] == ["GEN-MIGR-013"]
    assert fatal[0]["text"] in refused["error"]["detail"]


def test_what_a_registered_source_has_built_is_imported_from_there(
    carrier: Integrator, claims: Database, code: str
) -> None:
    # The environment is its own source, so that what it imports is what it has.
    where = f"{carrier.platform.api_url}/dataexchange"
    name = "ohi.application.uri.CONF"
    credential = {"username": carrier.client_id, "password": carrier.client_secret}
    put = carrier.call("PUT", "/api/credentials/credential/DataExchangeClient", json=credential)
    assert put.status_code == 204, put.text
    carrier.call("POST", "/api/generic/properties", json={"name": name, "value": where})
    try:
        dataset(carrier, "build", CLAIMS, code, "--full")
        (source,) = dataset(carrier, "available", CLAIMS)["sources"]
        assert (source["url"], source["failure"]) == (where, None)
        (found,) = [one for one in source["dataSets"] if one["code"] == code]

        asked = ["import", "--from", found["environment"], CLAIMS, code]
        dry = dataset(carrier, *asked, "--dry-run")
        assert dry["difference"] == []
        changed = sorted(claims.names())[0]
        claims.rename({changed: "Another name"})
        imported = dataset(carrier, *asked)
    finally:
        carrier.call("POST", "/api/generic/properties", json={"name": name, "value": ""})
    counts = imported["process"]["outcome"]["counts"]
    assert (counts["added"], counts["changed"], counts["deleted"]) == (0, 1, 0)
    assert claims.names()[changed] != "Another name"


def test_interrupted_a_build_goes_on_and_can_be_watched(carrier: Integrator, code: str) -> None:
    started = subprocess.Popen(
        [*COMMAND, "dataset", "build", CLAIMS, code, "--full"],
        env=an_environment(carrier),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stderr is not None
    first = started.stderr.readline()
    assert first.startswith("Started build "), first
    process_id = first.split()[-1]
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=120)
    assert started.returncode in (0, 130)  # it may have ended before

    watched = dataset(carrier, "watch", process_id)

    assert watched["process"]["result"] == "S"
    assert watched["process"]["dataSetCode"] == code
    if started.returncode == 130:
        assert f"headrace dataset watch {process_id}" in said
