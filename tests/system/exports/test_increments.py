"""The seed's workflow as deployed: a full export, then increments, while others write."""

import random
from dataclasses import replace

import pytest

from headrace.exports.sources import Configuration, Resync, SnapshotScope
from tests.system.conftest import NORTHWIND, Clients
from tests.system.deployed import Integrator, Platform
from tests.system.exports.ledgers import Copy, DatabaseLedger, LakeLedger, Ledger, grant, written_to

pytestmark = pytest.mark.system


@pytest.fixture
def lake(platform: Platform) -> LakeLedger:
    """A ledger in a DuckLake."""
    return LakeLedger.made(platform)


@pytest.fixture
def database(platform: Platform, clients: Clients) -> DatabaseLedger:
    """A ledger in a PostgreSQL database whose changes are logged."""
    return DatabaseLedger.made(platform, clients)


def reader_of(clients: Clients, ledger: Ledger, **changes: object) -> Integrator:
    """A client that gets the ledger and nothing else."""
    return grant(clients, clients.special(NORTHWIND), ledger, **changes)


def extract(client: Integrator, copy: Copy) -> str:
    """Fills the copy by a full export; the operation's id."""
    done = client.export(fileFormat="ndjson")
    manifest = client.manifest(done["operationId"])
    copy.replace(client.document(done["jobs"][0]["jobId"]), manifest["syncVersion"])
    return str(done["operationId"])


def follow(client: Integrator, copy: Copy) -> dict[str, int]:
    """Brings the copy up to date by an increment; what changed."""
    done = client.increment(copy.version, fileFormat="ndjson")
    assert done["sinceSyncVersion"] == copy.version
    manifest = client.manifest(done["operationId"])
    [file] = manifest["files"]
    assert (manifest["kind"], file["content"]) == ("incremental", "changes")
    counts = copy.apply(client.document(done["jobs"][0]["jobId"]), manifest["syncVersion"])
    assert file["rows"] == sum(counts.values())
    return counts


def keeps_up(client: Integrator, ledger: Ledger) -> None:
    """The whole loop, with a writer all the time, and one last look when it is quiet."""
    copy = Copy()
    with written_to(ledger, seed=20261125):
        extract(client, copy)
        for _ in range(3):
            follow(client, copy)
    follow(client, copy)
    assert copy.holds() == ledger.rows()
    # Nothing was written since: nothing has changed.
    assert follow(client, copy) == {"inserted": 0, "updated": 0, "deleted": 0}


def test_a_copy_of_a_lake_keeps_up_while_others_write(clients: Clients, lake: LakeLedger) -> None:
    keeps_up(reader_of(clients, lake), lake)


def test_a_copy_of_a_database_keeps_up_while_others_write(
    clients: Clients, database: DatabaseLedger
) -> None:
    keeps_up(reader_of(clients, database, snapshot=SnapshotScope.OPERATION), database)


def test_a_table_that_was_emptied_at_once_needs_a_full_export(
    clients: Clients, database: DatabaseLedger
) -> None:
    client, copy = reader_of(clients, database), Copy()
    extract(client, copy)
    database.truncate()
    reply = client.starts_increment(copy.version, fileFormat="ndjson")
    done = client.ended(reply.json()["operationId"], of="incrementals")
    assert done["status"] == "failed"
    assert done["syncVersion"] is None
    assert done["jobs"][0]["error"]["code"] == "resync_required"
    assert client.manifest(done["operationId"])["syncVersion"] is None
    assert client.sync_version()["syncVersion"] == copy.version

    extract(client, copy)
    assert copy.holds() == set()
    database.write(random.Random(3), 6)
    follow(client, copy)
    assert copy.holds() == database.rows()


def test_the_seeds_order_of_calls_loses_nothing(clients: Clients, lake: LakeLedger) -> None:
    client, copy = reader_of(clients, lake), Copy()
    operation_id = extract(client, copy)
    # Somebody commits between the extraction and the call for the version.
    lake.write(random.Random(7), 6)

    standing = client.sync_version()

    assert standing["baseline"]["operationId"] == operation_id
    assert standing["syncVersion"] == standing["baseline"]["syncVersion"] == copy.version
    assert standing["latest"] != standing["syncVersion"]
    copy.version = standing["syncVersion"]
    assert sum(follow(client, copy).values()) > 0
    assert copy.holds() == lake.rows()


def test_versions_of_nobody_and_of_another_are_refused_alike(
    clients: Clients, lake: LakeLedger
) -> None:
    client, other = reader_of(clients, lake), reader_of(clients, lake)
    copy = Copy()
    extract(client, copy)
    refused = [
        client.starts_increment("never given to anybody"),
        client.starts_increment("999999"),
        other.starts_increment(copy.version),
    ]
    assert {reply.status_code for reply in refused} == {422}
    assert {reply.json()["code"] for reply in refused} == {"sync_version_unknown"}
    assert len({reply.json()["detail"] for reply in refused}) == 1
    assert client.starts_increment("").status_code == 422
    assert client.is_free()


def test_an_increment_is_found_among_increments_only(clients: Clients, lake: LakeLedger) -> None:
    client, copy = reader_of(clients, lake), Copy()
    full = extract(client, copy)
    done = client.increment(copy.version)
    own, path = done["operationId"], "/data/v1/incrementals"
    assert done["links"]["status"].endswith(f"{path}/{own}/status")
    assert client.get(f"/data/v1/fulldata/{own}/status").status_code == 404
    assert client.get(f"{path}/{full}/status").status_code == 404
    assert client.call("PUT", f"{path}/{own}/retry").status_code == 409
    assert client.call("POST", f"{path}/{own}/cancel").json()["status"] == "succeeded"
    assert client.get(f"{path}/{own}/manifest").json() == client.manifest(own)
    assert client.call("DELETE", f"{path}/{own}").status_code == 204
    assert client.get(f"{path}/{own}/status").status_code == 404
    assert client.sync_version()["baseline"]["operationId"] == own


def test_a_column_that_is_granted_anew_needs_the_whole_table(
    clients: Clients, lake: LakeLedger
) -> None:
    client, copy = reader_of(clients, lake), Copy()
    extract(client, copy)

    def wider(one: Configuration, resync: Resync) -> Configuration:
        [table] = one.tables
        more = replace(table.columns[2], name="unseen", source="unseen")
        return replace(
            one, tables=(replace(table, columns=(*table.columns[:3], more)),), resync=resync
        )

    clients.reconfigure(client, lambda one: wider(one, Resync.REFUSE))
    refused = client.starts_increment(copy.version)
    assert (refused.status_code, refused.json()["code"]) == (410, "resync_required")
    assert [one["table"] for one in refused.json()["tables"]] == ["ledger"]

    clients.reconfigure(client, lambda one: wider(one, Resync.DOCUMENT))
    # At the very same version it could not be told which grant a copy goes on from.
    lake.write(random.Random(5), 6)
    done = client.increment(copy.version, fileFormat="ndjson")
    [file] = client.manifest(done["operationId"])["files"]
    assert file["content"] == done["jobs"][0]["content"] == "full"
    copy.replace(client.document(done["jobs"][0]["jobId"]), done["syncVersion"])
    assert copy.holds() == lake.rows()
    follow(client, copy)
