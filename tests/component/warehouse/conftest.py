"""What the tests of sources share."""

from collections.abc import Iterator

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket in an S3 that the environment points to."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    place = {"LocationConstraint": "eu-west-1"}
    for name in ("lake", "other"):
        boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
    yield "lake"
    # The server's state is the process's: a bucket left behind would meet the next test.
    httpx.post(f"http://{host}:{port}/moto-api/reset")
    server.stop()
