"""What holds of exports whatever went wrong.

``AT_ONCE`` holds as soon as the operation has ended and its webhook was told, ``SETTLED`` when the
sweeper has been there as well.
"""

import hashlib
import json

from tests.chaos.exports import Travelled
from tests.chaos.journeys import Invariant
from tests.system.deployed import ACTIVE, Json, Platform


def rows_are_the_snapshots(platform: Platform, seen: Travelled) -> None:
    """The documents' rows are those of the snapshot, as multisets."""
    client = seen.export.client
    manifest = client.manifest(seen.operation_id)
    documents = {one["table"]: client.document(one["jobId"]) for one in manifest["files"]}
    seen.export.check(manifest, documents)


def manifest_is_right(platform: Platform, seen: Travelled) -> None:
    """One entry per job, whose size, parts and digests are those of its document."""
    client = seen.export.client
    manifest = client.manifest(seen.operation_id)
    assert manifest["syncVersion"] == seen.last["syncVersion"] is not None
    jobs = {job["jobId"]: job for job in seen.last["jobs"]}
    assert sorted(one["jobId"] for one in manifest["files"]) == sorted(jobs)
    for file in manifest["files"]:
        document = client.document(file["jobId"])
        assert (file["rows"], file["bytes"]) == (jobs[file["jobId"]]["rows"], len(document))
        at = 0
        for part in file["parts"]:
            assert part["offset"] == at
            own = document[at : at + part["bytes"]]
            assert hashlib.sha256(own).hexdigest() == part["sha256"]
            at += part["bytes"]
        assert at == len(document)
        if file["sha256"] is not None:
            assert file["sha256"] == hashlib.sha256(document).hexdigest()


def one_object_per_job(platform: Platform, seen: Travelled) -> None:
    """The storage holds one document for each job, and nothing else of the operation."""
    found = platform.objects(f"{seen.export.client.prefix}{seen.operation_id}/")
    owners = sorted(key.split("/")[3] for key in found)
    assert owners == sorted(job["jobId"] for job in seen.last["jobs"]), found


def ends_change_by_retry_only(platform: Platform, seen: Travelled) -> None:
    """Each attempt ends once, and what has succeeded stays as it is."""
    assert [end["attempt"] for _, end in seen.ends] == list(range(1, len(seen.ends) + 1))
    of = seen.export.path.rpartition("/")[2]
    now = seen.export.client.status(seen.operation_id, of)
    moving = {"deliveries", "quota"}
    assert {k: v for k, v in now.items() if k not in moving} == {
        k: v for k, v in seen.last.items() if k not in moving
    }


def lock_while_active(platform: Platform, seen: Travelled) -> None:
    """The client's lock was there at each look if, and only if, the operation was active."""
    for look in seen.looks:
        assert look.locked == (look.status in ACTIVE), seen.looks
    assert seen.export.client.is_free()


def quota_is_accepted_less_refunds(platform: Platform, seen: Travelled) -> None:
    """One operation was counted, or none if the system failed it."""
    item = seen.export.client.items()[f"operation#{seen.operation_id}"]
    refunded = item["refunded"]["BOOL"]
    assert refunded == any(end["status"] == "failed" for _, end in seen.ends)
    used = seen.export.client.quota()["used"] - seen.before["used"]
    assert used == (0 if refunded else 1)


def nothing_in_plaintext(platform: Platform, seen: Travelled) -> None:
    """Every object is encrypted with KMS."""
    s3, bucket = platform.aws("s3"), platform.outputs["FilesBucketName"]
    for key in platform.objects(f"{seen.export.client.prefix}{seen.operation_id}/"):
        head = s3.head_object(Bucket=bucket, Key=key)
        assert head.get("ServerSideEncryption") == "aws:kms", key


def version_advances_with_complete_files(platform: Platform, seen: Travelled) -> None:
    """The client's data stands at its version as soon as all documents are there, not before."""
    for look in seen.looks:
        assert look.baseline == (look.status == "succeeded"), seen.looks
    assert seen.offered == [None] * (len(seen.ends) - 1)
    items = seen.export.client.items()
    latest = {
        item["version"]["S"]
        for sort, item in items.items()
        if sort.startswith("baseline#")
        and sort.count("#") == 2
        and item.get("operation_id") == {"S": seen.operation_id}
    }
    assert latest == {seen.last["syncVersion"]}


def webhook_told_with_one_id(platform: Platform, seen: Travelled) -> None:
    """The webhook was told of each attempt's end, once or more, always by the same id."""
    own = [one for one in seen.messages if _operation(one) == seen.operation_id]
    assert len(seen.deliveries) == len(seen.ends)
    assert {one["state"] for one in seen.deliveries} == {"delivered"}
    assert {message_id for message_id, _ in own} == {one["id"] for one in seen.deliveries}
    bodies = {(message_id, body) for message_id, body in own}
    assert len(bodies) == len(seen.deliveries), "the same id with other words"


def no_orphan_upload(platform: Platform, seen: Travelled) -> None:
    """No upload of the operation is open."""
    assert platform.uploads(f"{seen.export.client.prefix}{seen.operation_id}/") == []


AT_ONCE: tuple[Invariant, ...] = (
    rows_are_the_snapshots,
    manifest_is_right,
    lock_while_active,
    quota_is_accepted_less_refunds,
    nothing_in_plaintext,
    version_advances_with_complete_files,
    webhook_told_with_one_id,
)
SETTLED: tuple[Invariant, ...] = (
    one_object_per_job,
    ends_change_by_retry_only,
    no_orphan_upload,
)


def _operation(message: tuple[str, bytes]) -> str:
    said: Json = json.loads(message[1])
    return str(said["data"]["operationId"])
