"""Parts sent by the real client to a server that fails: each is there once, or nothing is."""

import hashlib
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from headrace.adapters.s3.files import S3Files
from headrace.adapters.s3.part_upload import S3PartUploads
from headrace.exports.slices import UploadedPart
from headrace.kernel.errors import FileUnavailable
from headrace.runtime import instance
from tests.builders import a_request
from tests.component.s3.faulty_storage import Fault, FaultyStorage, a_faulty_storage

MIB = 1024 * 1024
BUCKET, KEY = "files", "tenant/client/operation/job/1/t.csv"
DATA = random.Random(5).randbytes(22 * MIB)
"""Three parts."""


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStorage]:
    """A storage in the place of S3."""
    with a_faulty_storage() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        yield server


def a_workers_client() -> Any:
    """The client that the functions have, of this test only."""
    return instance.client.__wrapped__("s3")


def a_hasty_client() -> Any:
    """The same, but for its patience: it tries twice, half a second each."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 2},
        read_timeout=0.5,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client("s3", config=config)


def send(client: Any, **changes: Any) -> tuple[tuple[UploadedPart, ...], str | None, str]:
    """Uploads ``DATA``; the parts, the digest of all, and the upload's id."""
    files = S3Files(client, BUCKET, "key", timedelta(minutes=5))
    upload_id = files.open_upload(KEY, a_request(), "t.csv", None)
    uploader = S3PartUploads(client, BUCKET, **({"pauses_s": (0.01, 0.01)} | changes))
    chunks = (DATA[start : start + 700_000] for start in range(0, len(DATA), 700_000))
    parts, digest = uploader(KEY, upload_id, range(1, 1000), chunks, lambda: False)
    files.complete(KEY, upload_id, parts)
    return parts, digest, upload_id


@pytest.mark.parametrize(
    "faults",
    [
        [Fault.SLOW_DOWN],
        [Fault.INTERNAL],
        [Fault.RESET],
        [Fault.RESET_LATE],
        [Fault.SLOW, Fault.SLOW, Fault.SLOW],
        [Fault.RESET, Fault.SLOW_DOWN, Fault.INTERNAL, Fault.RESET_LATE],
    ],
    ids=" then ".join,
)
def test_a_document_is_whole_whatever_its_parts_went_through(
    storage: FaultyStorage, faults: list[Fault]
) -> None:
    storage.faults = list(faults)
    parts, digest, _ = send(a_workers_client())
    assert storage.faults == []
    assert storage.visible == DATA
    assert digest == hashlib.sha256(DATA).hexdigest()
    assert [part.number for part in parts] == sorted(storage.parts) == [1, 2, 3]
    assert [part.sha256 for part in parts] == [
        hashlib.sha256(storage.parts[part.number]).hexdigest() for part in parts
    ]
    again = sum(fault is not Fault.SLOW for fault in faults)
    assert storage.requests == 3 + again
    # What was taken before its connection broke is overwritten, not doubled.
    assert len(storage.taken) == 3 + faults.count(Fault.RESET_LATE)


def test_a_storage_that_says_nothing_is_asked_again(storage: FaultyStorage) -> None:
    storage.faults = [Fault.SILENCE]
    send(a_hasty_client())
    assert storage.visible == DATA
    assert storage.requests == 4


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.INTERNAL, Fault.RESET, Fault.SILENCE])
def test_nothing_is_visible_when_every_try_of_a_part_has_failed(
    storage: FaultyStorage, fault: Fault
) -> None:
    storage.faults = [fault] * 1000
    with pytest.raises(FileUnavailable):
        send(a_hasty_client(), in_flight=1)
    assert storage.visible is None
    assert storage.parts == {}
    # Three tries of ours, each of two of the client's, of the one part that was under way …
    assert storage.requests >= 6
    # … and no part after it was begun but the one that had been waiting.
    assert storage.requests <= 12
