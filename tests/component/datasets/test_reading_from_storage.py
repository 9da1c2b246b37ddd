"""Payloads are read where they lie: in pieces, and no more often than twice."""

import io
import uuid
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from headrace.adapters.payload.by_format import PayloadReaderByFormat
from headrace.adapters.s3.data_sets import S3Payloads
from headrace.datasets.definitions import OutputFormat
from headrace.kernel.errors import PayloadRefused
from tests.component.datasets.payloads import Records, a_rate, records_of, some_logic, zipped
from tests.component.datasets.products import DEFINITION, LOGIC, RATES

MIB = 1024 * 1024


@pytest.fixture
def storage() -> Iterator[S3Payloads]:
    """An empty bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="sets")
        key = boto3.client("kms", region_name="us-east-1").create_key()["KeyMetadata"]["KeyId"]
        yield S3Payloads(client, "sets", key, 60, lambda tenant: None)


@pytest.mark.parametrize("output", [OutputFormat.ZIP, OutputFormat.XML])
def test_a_payload_is_read_in_pieces_twice_and_each_table_alone(
    storage: S3Payloads, output: OutputFormat
) -> None:
    count = 20_000
    records: Records = {
        LOGIC: [some_logic(n, uuid.uuid4().hex) for n in range(count)],
        RATES: [a_rate(count + n, uuid.uuid4().hex) for n in range(count)],
    }
    content = zipped(records, output=output)
    assert len(content) > MIB
    storage.store("north", "set", "application/octet-stream", iter((content,)))
    sizes: list[int] = []

    def note(parsed: dict[str, object], **_: object) -> None:
        sizes.append(int(str(parsed["ContentLength"])))

    storage.client.meta.events.register("after-call.s3.GetObject", note)
    with (
        storage.open("north", "set") as file,
        PayloadReaderByFormat().read(file, DEFINITION) as payload,
    ):
        read = {table: records_of(payload.lines(table)) for table in (LOGIC, RATES)}

    assert read == records
    assert max(sizes) <= MIB
    # Twice all of it, and a piece now and then for the beginning, the end and the manifest.
    assert sum(sizes) <= 2 * len(content) + 6 * MIB


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"items": []}', b"\x1f\x8b\x08"])
def test_a_file_that_is_neither_is_not_called_bad_xml(content: bytes) -> None:
    with pytest.raises(PayloadRefused, match="neither a ZIP archive nor an XML document"):
        PayloadReaderByFormat().read(io.BytesIO(content), DEFINITION)
