"""What holds of data sets whatever went wrong.

Those of ``AT_ONCE`` hold as soon as the process has ended and its notice was told, ``SETTLED`` when
the sweeper has been there as well.
"""

import json
from collections import Counter

from headrace.datasets.definitions import Table
from headrace.datasets.messages import Severity
from tests.chaos.data_sets import Carried, Environment, Records
from tests.chaos.journeys import Invariant
from tests.system.deployed import Platform


def payload_is_the_databases(platform: Platform, seen: Carried) -> None:
    """The payload's records are those of the database, each once, and nothing else is in it."""
    payload = seen.environment.payload(seen.code)
    tables = {table.name: table for table in seen.environment.definition.tables}
    assert set(payload) == set(tables)
    for name, lines in payload.items():
        found = Counter(
            json.dumps([one["uuid"], one["values"], _uuids(one["references"])], sort_keys=True)
            for one in lines
        )
        assert found == _expected(seen.environment, tables[name]), name


def _uuids(references: dict[str, dict[str, str] | None]) -> dict[str, str | None]:
    return {column: one["uuid"] if one else None for column, one in references.items()}


def _expected(environment: Environment, table: Table) -> Counter[str]:
    return Counter(
        json.dumps([one["uuid"], one["values"], one["references"]], sort_keys=True)
        for one in environment.rows(table)
    )


def data_set_says_what_lies_there(platform: Platform, seen: Carried) -> None:
    """Its key names a document, whose size is the one it says."""
    kept = seen.environment.data_set(seen.code)
    objects = seen.environment.objects()
    assert objects[kept["payload_key"]["S"]] == int(kept["payload_bytes"]["N"])


def target_is_as_wanted(platform: Platform, seen: Carried) -> None:
    """The database has what the source has, or what it had before what is undone."""
    assert seen.environment.records() == seen.wanted


def counts_are_what_was_done(platform: Platform, seen: Carried) -> None:
    """The process says how many records it added, changed and deleted. Of several only all know."""
    if len(seen.ends) > 1:
        return
    done = Counter(change for _, change in _changes(seen.before, seen.wanted))
    told = seen.last["outcome"]["counts"]
    assert {name: told[name] for name in ("added", "changed", "deleted")} == {
        name: done[name] for name in ("added", "changed", "deleted")
    }
    assert told["failedItems"] == 0


def counts_add_up(platform: Platform, seen: Carried) -> None:
    """An undoing tells of each record of the undo set: what its last worker did, and what it found
    done, by an earlier worker of it."""
    if len(seen.ends) > 1:
        return
    done = Counter(change for _, change in _changes(seen.before, seen.wanted))
    told = seen.last["outcome"]["counts"]
    assert all(told[name] <= done[name] for name in ("added", "changed", "deleted")), told
    names = ("added", "changed", "deleted", "unchanged")
    assert sum(told[name] for name in names) == sum(done.values()), told
    assert told["failedItems"] == 0


def difference_is_what_was_done(platform: Platform, seen: Carried) -> None:
    """The difference names each record that was written, once, and none besides."""
    if len(seen.ends) > 1:
        return
    reply = seen.environment.integrator.get(
        f"/generic/datasetprocesses/{seen.last['id']}/difference", follow_redirects=True
    )
    assert reply.status_code == 200, reply.text
    told = [json.loads(line) for line in reply.content.splitlines()]
    assert Counter((one["uuid"], one["change"]) for one in told) == Counter(
        _changes(seen.before, seen.wanted)
    )


def _changes(before: Records, after: Records) -> list[tuple[str, str]]:
    changes = []
    for table, ours in before.items():
        theirs = after[table]
        changes += [(uuid, "added") for uuid in theirs.keys() - ours.keys()]
        changes += [(uuid, "deleted") for uuid in ours.keys() - theirs.keys()]
        changes += [
            (uuid, "changed") for uuid in ours.keys() & theirs.keys() if ours[uuid] != theirs[uuid]
        ]
    return changes


def only_its_own_messages(platform: Platform, seen: Carried) -> None:
    """What succeeded tells of no failure, and each thing once."""
    told = seen.environment.messages(seen.last["id"])
    assert [one for one in told if one["severity"] == Severity.FATAL] == [], told
    assert len({one["code"] for one in told}) == len(told)


def background_processing_runs(platform: Platform, seen: Carried) -> None:
    """What was stopped for the import was started again, and nobody thinks otherwise."""
    standing = seen.environment.call("GET", "/taskprocessing").json()
    assert (standing["status"], standing["pausedFor"]) == ("started", None)


def import_is_known_as_undone(platform: Platform, seen: Carried) -> None:
    """By the last process; so that nobody undoes it again."""
    assert seen.environment.process(seen.undoes)["undoneBy"] == seen.last["id"]


def what_was_before_comes_back(platform: Platform, seen: Carried) -> None:
    """The import, undone, leaves what was there before it: ids and all."""
    for process_id in reversed(seen.process_ids):
        try:
            seen.environment.undo(process_id)
        except AssertionError as refused:
            if process_id == seen.last["id"] or "changed nothing" not in str(refused):
                raise
    assert seen.environment.records() == seen.before


def lease_while_running(platform: Platform, seen: Carried) -> None:
    """The process had the environment's lease at each look if, and only if, it was running."""
    for look in seen.looks:
        assert look.running == look.leased, seen.looks


def nothing_in_plaintext(platform: Platform, seen: Carried) -> None:
    """Every document is encrypted with KMS."""
    s3, bucket = platform.aws("s3"), platform.outputs["DataSetsBucketName"]
    ours = (*seen.process_ids, "items/")
    for key in seen.environment.objects():
        if any(one in key for one in ours):
            head = s3.head_object(Bucket=bucket, Key=f"{seen.environment.tenant}/{key}")
            assert head.get("ServerSideEncryption") == "aws:kms", key


def notice_told_with_one_id(platform: Platform, seen: Carried) -> None:
    """The endpoint was told of each end, once or more, always by the same id and words."""
    items = seen.environment.items()
    for process_id in seen.process_ids:
        assert items[f"NOTICE#{process_id}"]["state"]["S"] == "delivered"
        bodies = {body for message_id, body in seen.notices if message_id == f"msg_{process_id}"}
        assert len(bodies) == 1, bodies
    assert {one for one, _ in seen.notices} == {f"msg_{one}" for one in seen.process_ids}


def ends_stay(platform: Platform, seen: Carried) -> None:
    """What has ended stays as it is; an import only comes to be known as undone."""
    for end in seen.ends:
        now = seen.environment.process(end["id"])
        assert {**now, "undoneBy": None} == {**end, "undoneBy": None}


def one_payload_and_nothing_else(platform: Platform, seen: Carried) -> None:
    """Of each data set there is the payload that it names and one list of items."""
    items, objects = seen.environment.items(), seen.environment.objects()
    data_sets = [item for sort, item in items.items() if sort.startswith("SET#")]
    assert {one for one in objects if one.startswith("payloads/")} == {
        item["payload_key"]["S"] for item in data_sets
    }
    assert {one for one in objects if one.startswith("items/")} == {
        f"items/{item['data_set_id']['S']}" for item in data_sets
    }


def no_orphan_upload(platform: Platform, seen: Carried) -> None:
    """No upload is open."""
    assert seen.environment.open_uploads() == []


_OF_ALL: tuple[Invariant, ...] = (
    only_its_own_messages,
    lease_while_running,
    nothing_in_plaintext,
    notice_told_with_one_id,
)
OF_BUILDS = (payload_is_the_databases, data_set_says_what_lies_there, *_OF_ALL)
OF_IMPORTS = (
    target_is_as_wanted,
    counts_are_what_was_done,
    difference_is_what_was_done,
    background_processing_runs,
    *_OF_ALL,
    what_was_before_comes_back,
)
OF_UNDOINGS = (
    target_is_as_wanted,
    counts_add_up,
    import_is_known_as_undone,
    *_OF_ALL,
)
SETTLED: tuple[Invariant, ...] = (ends_stay, one_payload_and_nothing_else, no_orphan_upload)
