"""Payloads and items in storage: streamed both ways, whole or not at all, encrypted."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from headrace.adapters.s3.data_sets import S3Items, S3Payloads
from headrace.datasets.model import Item
from headrace.kernel.errors import FileExpired
from tests.builders import a_data_set
from tests.world import REGION

BUCKET = "payloads"
MIB = 1024 * 1024


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name=REGION, config=Config(signature_version="s3v4"))
        location = {"LocationConstraint": REGION}
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield client


@pytest.fixture
def payloads(s3: Any) -> S3Payloads:
    own = {"south": "arn:aws:kms:eu-west-1:123456789012:key/south"}
    return S3Payloads(s3, BUCKET, "arn:aws:kms:eu-west-1:123456789012:key/stack", 300, own.get)


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_what_is_stored_is_read_again_from_any_place(payloads: S3Payloads) -> None:
    text = b"".join(b"%07d\n" % n for n in range(3 * MIB))
    chunks = (text[start : start + 100_001] for start in range(0, len(text), 100_001))
    assert payloads.store("north", "a/b.zip", "application/zip", chunks) == len(text)
    with payloads.open("north", "a/b.zip") as file:
        assert file.seek(-8, io.SEEK_END) == len(text) - 8
        assert file.read() == text[-8:]
        assert file.read() == b""
        file.seek(8_000_000)
        assert file.readline() == text[8_000_000:8_000_008]
        assert file.tell() == 8_000_008
        file.seek(0)
        assert file.read() == text
    assert b"".join(payloads.chunks("north", "a/b.zip")) == text


def test_all_of_it_is_read_in_one_request(s3: Any, payloads: S3Payloads) -> None:
    payloads.store("north", "a.zip", "application/zip", [b"x" * MIB])
    asked: list[str] = []
    s3.meta.events.register(
        "before-call.s3.GetObject", lambda params, **_: asked.append(params["headers"]["Range"])
    )
    with payloads.open("north", "a.zip") as file:
        assert len(file.read()) == MIB
    assert asked == [f"bytes=0-{MIB - 1}"]


def test_a_stream_that_breaks_leaves_nothing(s3: Any, payloads: S3Payloads) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 20 * MIB
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        payloads.store("north", "a.zip", "application/zip", broken())
    assert keys(s3) == []
    assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_what_stands_is_kept_when_its_successor_breaks(payloads: S3Payloads) -> None:
    payloads.store("north", "a.zip", "application/zip", [b"first"])

    def broken() -> Iterator[bytes]:
        yield b"second"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        payloads.store("north", "a.zip", "application/zip", broken())
    assert b"".join(payloads.chunks("north", "a.zip")) == b"first"


@pytest.mark.parametrize(("tenant", "key"), [("north", "stack"), ("south", "south")])
def test_documents_are_encrypted_with_the_tenants_key_or_the_stacks(
    s3: Any, payloads: S3Payloads, tenant: str, key: str
) -> None:
    payloads.store(tenant, "a.zip", "application/zip", [b"text"])
    head = s3.head_object(Bucket=BUCKET, Key=f"{tenant}/a.zip")
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"].endswith(f"/{key}")
    assert head["ContentType"] == "application/zip"


def test_a_tenant_has_nothing_of_anothers(payloads: S3Payloads) -> None:
    payloads.store("north", "a.zip", "application/zip", [b"text"])
    with pytest.raises(FileExpired), payloads.open("south", "a.zip"):
        pass
    with pytest.raises(FileExpired):
        payloads.link("south", "a.zip", "a.zip")
    with pytest.raises(FileExpired):
        next(payloads.chunks("south", "a.zip"))


def test_a_link_names_the_file_and_what_is_removed_has_none(payloads: S3Payloads) -> None:
    payloads.store("north", "a.zip", "application/zip", [b"text"])
    link = payloads.link("north", "a.zip", "PROVIDERS_all.zip")
    assert "north/a.zip" in link and "PROVIDERS_all.zip" in link and "X-Amz-Expires=300" in link
    payloads.remove("north", "a.zip")
    payloads.remove("north", "a.zip")
    with pytest.raises(FileExpired):
        payloads.link("north", "a.zip", "PROVIDERS_all.zip")


def test_what_is_replaced_while_it_is_read_is_not_read_on(payloads: S3Payloads) -> None:
    payloads.store("north", "a.zip", "application/zip", [b"x" * 3 * MIB])
    with payloads.open("north", "a.zip") as file:
        assert file.read(10) == b"x" * 10
        payloads.store("north", "a.zip", "application/zip", [b"y" * 3 * MIB])
        with pytest.raises(FileExpired):
            file.read()


@pytest.mark.parametrize("count", [0, 1, 100_000])
def test_items_are_read_as_they_were_written(payloads: S3Payloads, count: int) -> None:
    items, data_set = S3Items(payloads), a_data_set(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    written = [Item(3, 2**40 + n, f"{n:032x}") for n in range(count)]
    assert items.write(data_set, iter(written)) == count
    assert list(items.read(data_set)) == written
