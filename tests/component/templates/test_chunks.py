"""Rows of walks in storage: in order, encrypted with the tenant's key, a few at a time."""

import gzip
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from headrace.adapters.s3.template_chunks import S3Chunks
from headrace.kernel.errors import FileExpired
from headrace.templates.model import Reader
from tests.builders import a_walk
from tests.world import REGION

BUCKET = "templates"
STACK = "arn:aws:kms:eu-west-1:123456789012:key/stack"
SOUTH = "arn:aws:kms:eu-west-1:123456789012:key/south"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        location = {"LocationConstraint": REGION}
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield client


@pytest.fixture
def chunks(s3: Any) -> S3Chunks:
    return S3Chunks(s3, BUCKET, STACK, {"south": SOUTH}.get)


def lines(number: int) -> bytes:
    return b"".join(b'{"n":%d,"name":"Zo\xc3\xab"}\n' % (number * 10 + n) for n in range(10))


def test_chunks_come_back_in_the_order_asked_for(chunks: S3Chunks) -> None:
    walk = a_walk()
    assert list(chunks.write(walk, ((n, lines(n)) for n in range(20)))) == list(range(20))
    assert list(chunks.read(walk, [7, 8, 3])) == [lines(n).splitlines() for n in (7, 8, 3)]
    assert list(chunks.read(walk, [])) == []


def test_to_write_one_again_changes_nothing(chunks: S3Chunks) -> None:
    for _ in range(2):
        assert list(chunks.write(a_walk(), [(0, lines(0))])) == [0]
    assert list(chunks.read(a_walk(), [0])) == [lines(0).splitlines()]


def test_they_are_encrypted_with_the_tenants_key_else_with_the_stacks(
    s3: Any, chunks: S3Chunks
) -> None:
    for tenant, key in (("north", STACK), ("south", SOUTH)):
        walk = a_walk(reader=Reader(tenant, "partner"))
        list(chunks.write(walk, [(3, lines(3))]))
        kept = s3.get_object(Bucket=BUCKET, Key=f"{tenant}/{walk.walk_id}/000003")
        assert (kept["ServerSideEncryption"], kept["SSEKMSKeyId"]) == ("aws:kms", key)
        assert gzip.decompress(kept["Body"].read()) == lines(3)


def test_of_another_walk_nothing_is_read(chunks: S3Chunks) -> None:
    list(chunks.write(a_walk(), [(0, lines(0))]))
    for other in (a_walk("another"), a_walk(reader=Reader("south", "partner"))):
        with pytest.raises(FileExpired):
            list(chunks.read(other, [0]))


def test_a_number_is_told_only_when_its_chunk_is_there_and_few_are_under_way(
    s3: Any, chunks: S3Chunks
) -> None:
    watched = _Watched(s3)
    taken: list[int] = []

    def given() -> Iterator[tuple[int, bytes]]:
        for number in range(30):
            taken.append(number)
            yield number, lines(number)

    for number in replace(chunks, client=watched, in_flight=3).write(a_walk(), given()):
        assert f"north/{a_walk().walk_id}/{number:06d}" in watched.written
        assert len(taken) - number <= 4
    assert watched.most <= 3
    assert len(watched.written) == 30


def test_what_breaks_the_rows_off_is_raised(chunks: S3Chunks) -> None:
    def broken() -> Iterator[tuple[int, bytes]]:
        yield 0, lines(0)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        list(chunks.write(a_walk(), broken()))


class _Watched:
    """The storage, counting how many writes are under way at once."""

    def __init__(self, client: Any) -> None:
        self._client, self._lock = client, threading.Lock()
        self.now = self.most = 0
        self.written: set[str] = set()

    def put_object(self, **request: Any) -> Any:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        reply = self._client.put_object(**request)
        with self._lock:
            self.now -= 1
            self.written.add(request["Key"])
        return reply
