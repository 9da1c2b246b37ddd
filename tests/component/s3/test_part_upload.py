"""Parts in S3: exact, bounded, stopped, fenced, and sent again where that helps."""

import base64
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from headrace.adapters.s3.part_upload import S3PartUploads
from headrace.exports.slices import MIN_PART_BYTES, UploadedPart
from headrace.kernel.errors import Fenced, FileUnavailable, SourceChanged, Stopped
from headrace.runtime.instance import client

MIB = 1024 * 1024
BUCKET, KEY = "files", "tenant/client/operation/job/1/t.csv"


@dataclass
class Storage:
    """S3 with one upload begun; ``faults`` are raised, one a call, in place of taking a part."""

    client: Any
    upload_id: str
    faults: list[Exception] = field(default_factory=list)
    calls: int = 0
    under_way: int = 0
    most_under_way: int = 0
    hold: threading.Event | None = None
    lock: Any = field(default_factory=threading.Lock)

    def upload_part(self, **arguments: Any) -> Any:
        """As the client's, watched."""
        with self.lock:
            self.calls += 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            fault = self.faults.pop(0) if self.faults else None
        try:
            if self.hold is not None:
                self.hold.wait(30)
            if fault is not None:
                raise fault
            return self.client.upload_part(**arguments)
        finally:
            with self.lock:
                self.under_way -= 1

    def completed(self, parts: tuple[UploadedPart, ...]) -> bytes:
        """The document that the parts make."""
        self.client.complete_multipart_upload(
            Bucket=BUCKET,
            Key=KEY,
            UploadId=self.upload_id,
            MultipartUpload={
                "Parts": [
                    {
                        "PartNumber": part.number,
                        "ETag": part.etag,
                        "ChecksumSHA256": base64.b64encode(bytes.fromhex(part.sha256)).decode(),
                    }
                    for part in parts
                ]
            },
        )
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
        return body


@pytest.fixture
def storage() -> Iterator[Storage]:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=KEY, ChecksumAlgorithm="SHA256")
        yield Storage(client, upload["UploadId"])


def service_error(code: str, status: int) -> ClientError:
    reply: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(reply, "UploadPart")


def never() -> bool:
    return False


def uploads(storage: Storage, **changes: Any) -> S3PartUploads:
    return S3PartUploads(storage, BUCKET, **({"pauses_s": (0.0, 0.0)} | changes))


def send(
    uploader: S3PartUploads,
    storage: Storage,
    chunks: Iterator[bytes],
    *,
    first: int = 1,
    should_stop: Callable[[], bool] = never,
) -> tuple[tuple[UploadedPart, ...], str | None]:
    return uploader(KEY, storage.upload_id, range(first, first + 1000), chunks, should_stop)


def chunks_of(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield b""


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (0, [0]),
        (1, [1]),
        (8 * MIB, [8 * MIB]),
        (13 * MIB - 1, [13 * MIB - 1]),
        (13 * MIB, [8 * MIB, 5 * MIB]),
        (21 * MIB + 7, [8 * MIB, 8 * MIB, 5 * MIB + 7]),
        (20 * MIB, [8 * MIB, 12 * MIB]),
    ],
)
def test_parts_are_of_equal_size_and_none_is_too_small(
    storage: Storage, size: int, parts: list[int]
) -> None:
    data = random.Random(7).randbytes(size)
    sent, digest = send(uploads(storage), storage, chunks_of(data, 700_000), first=251)
    assert [part.size for part in sent] == parts
    assert [part.number for part in sent] == list(range(251, 251 + len(parts)))
    assert all(part.size >= MIN_PART_BYTES for part in sent[:-1])
    assert digest == hashlib.sha256(data).hexdigest()
    offset = 0
    for part in sent:
        assert part.sha256 == hashlib.sha256(data[offset : offset + part.size]).hexdigest()
        offset += part.size
    assert storage.completed(sent) == data


def test_a_part_is_signed_by_the_digest_that_s3_holds_it_against(storage: Storage) -> None:
    requests: list[Any] = []
    client.cache_clear()
    storage.client = client("s3")
    storage.client.meta.events.register(
        "before-send.s3.UploadPart", lambda request, **_: requests.append(request)
    )
    send(uploads(storage), storage, iter([b"rows"]))
    client.cache_clear()
    sent = {name.lower(): value for name, value in requests[0].headers.items()}
    digest = base64.b64encode(hashlib.sha256(b"rows").digest())
    assert sent["x-amz-checksum-sha256"] == digest
    assert sent["x-amz-content-sha256"] == b"UNSIGNED-PAYLOAD"
    signed = sent["authorization"].split(b"SignedHeaders=")[1].split(b",")[0].split(b";")
    assert {b"x-amz-checksum-sha256", b"x-amz-content-sha256"} <= set(signed)


def test_one_of_several_slices_has_the_digests_of_its_parts_only(storage: Storage) -> None:
    chunks = iter([b"x" * 14 * MIB])
    sent, digest = uploads(storage)(KEY, storage.upload_id, range(1, 9), chunks, never, whole=False)
    assert digest is None
    assert [part.sha256 for part in sent] == [
        hashlib.sha256(b"x" * size * MIB).hexdigest() for size in (8, 6)
    ]


def test_two_workers_write_one_document(storage: Storage) -> None:
    one, other = random.Random(1).randbytes(14 * MIB), random.Random(2).randbytes(3 * MIB)
    late, _ = send(uploads(storage), storage, chunks_of(other, MIB), first=5001)
    early, _ = send(uploads(storage), storage, chunks_of(one, MIB), first=1)
    assert storage.completed(early + late) == one + other


def test_a_range_sent_again_overwrites_itself(storage: Storage) -> None:
    data = random.Random(3).randbytes(14 * MIB)
    first, _ = send(uploads(storage), storage, chunks_of(data, MIB))
    again, _ = send(uploads(storage), storage, chunks_of(data, 300_000))
    assert again == first
    assert storage.completed(first) == data


@pytest.mark.parametrize(
    "fault",
    [
        service_error("InternalError", 500),
        service_error("SlowDown", 503),
        service_error("BadDigest", 400),
        EndpointConnectionError(endpoint_url="https://s3"),
    ],
    ids=lambda fault: type(fault).__name__ + str(fault)[-30:-20],
)
def test_a_part_is_sent_again(storage: Storage, fault: Exception) -> None:
    data = random.Random(4).randbytes(14 * MIB)
    storage.faults = [fault, fault]
    sent, _ = send(uploads(storage, in_flight=1), storage, chunks_of(data, MIB))
    assert storage.calls == 4
    assert storage.completed(sent) == data


def test_a_storage_that_stays_away_is_unavailable(storage: Storage) -> None:
    storage.faults = [service_error("ServiceUnavailable", 503)] * 9
    with pytest.raises(FileUnavailable):
        send(uploads(storage), storage, chunks_of(b"x" * 14 * MIB, MIB))


@pytest.mark.abuse(104)
def test_a_disabled_key_is_unavailable(storage: Storage) -> None:
    storage.faults = [service_error("KMS.DisabledException", 400)] * 9
    with pytest.raises(FileUnavailable):
        send(uploads(storage), storage, iter([b"x"]))


def test_what_is_not_understood_is_not_hidden(storage: Storage) -> None:
    storage.faults = [service_error("AccessDenied", 403)]
    with pytest.raises(ClientError, match="AccessDenied"):
        send(uploads(storage), storage, iter([b"x"]))
    assert storage.calls == 1


@pytest.mark.abuse(93)
def test_a_worker_whose_upload_is_gone_is_fenced(storage: Storage) -> None:
    # moto answers an aborted upload with a crash; S3 and MiniStack with this.
    storage.faults = [service_error("NoSuchUpload", 404)] * 9
    given: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(1)
            yield b"x" * MIB

    with pytest.raises(Fenced):
        send(uploads(storage), storage, endless())
    assert len(given) < 100


def test_a_source_that_fails_fails_the_upload(storage: Storage) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 14 * MIB
        raise SourceChanged("it changed")

    with pytest.raises(SourceChanged):
        send(uploads(storage), storage, broken())


@pytest.mark.abuse(85)
def test_a_worker_stops_when_told_between_parts(storage: Storage) -> None:
    asked: list[int] = []

    def stop_at_third() -> bool:
        asked.append(1)
        return len(asked) == 3

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * MIB

    with pytest.raises(Stopped):
        send(uploads(storage), storage, endless(), should_stop=stop_at_third)
    assert storage.calls <= 3


def test_a_worker_stops_while_its_source_is_silent(storage: Storage) -> None:
    def silent() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)  # the pace of the source, not a wait of the test
            yield b""

    with pytest.raises(Stopped):
        send(uploads(storage, poll_s=0.05), storage, silent(), should_stop=lambda: True)
    assert storage.calls == 0


def test_a_worker_stops_while_the_storage_hangs(storage: Storage) -> None:
    storage.hold = threading.Event()
    began = time.monotonic()
    try:
        with pytest.raises(Stopped):
            send(
                uploads(storage, poll_s=0.05),
                storage,
                chunks_of(b"x" * 30 * MIB, MIB),
                should_stop=lambda: time.monotonic() - began > 0.3,
            )
        assert time.monotonic() - began < 10
    finally:
        storage.hold.set()


def test_no_more_than_a_few_parts_are_in_memory(storage: Storage) -> None:
    storage.hold = threading.Event()
    given = 0

    def counted() -> Iterator[bytes]:
        nonlocal given
        while given < 60:
            given += 1
            yield b"x" * MIB

    worker_ended: list[Any] = []
    worker = threading.Thread(
        target=lambda: worker_ended.append(send(uploads(storage), storage, counted()))
    )
    worker.start()
    deadline = time.monotonic() + 20
    while storage.under_way < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    # Two parts under way and a third made up: the source is asked for no more until one is taken.
    settled = -1
    while given != settled and time.monotonic() < deadline:
        settled = given
        time.sleep(0.2)
    assert given <= 3 * 8 + 5
    storage.hold.set()
    worker.join(60)
    assert storage.most_under_way == 2
    assert sum(part.size for part in worker_ended[0][0]) == 60 * MIB
