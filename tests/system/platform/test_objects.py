"""The object store of the platform checks parts, keys and ranges as S3 does."""

import base64
import hashlib
import os
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.system.platform.conftest import Scratch

pytestmark = pytest.mark.system

FIRST, LAST = os.urandom(5 * 1024 * 1024), os.urandom(100)


def _sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Upload:
    """A multipart upload of two parts, encrypted with the stack's key."""

    def __init__(
        self, scratch: Scratch, key: str, parts: tuple[bytes, ...] = (FIRST, LAST)
    ) -> None:
        self.s3: Any = scratch.client("s3")
        self.place = {"Bucket": scratch.outputs["Bucket"], "Key": key}
        self.upload = self.s3.create_multipart_upload(
            **self.place,
            ChecksumAlgorithm="SHA256",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=scratch.outputs["Key"],
            ContentType="text/csv",
            ContentDisposition='attachment; filename="employees.csv"',
        )["UploadId"]
        self.parts = [self.put(number, data) for number, data in enumerate(parts, start=1)]

    def put(self, number: int, data: bytes, checksum: str | None = None) -> dict[str, object]:
        checksum = checksum or _sha256(data)
        put = self.s3.upload_part(
            **self.place,
            UploadId=self.upload,
            PartNumber=number,
            Body=data,
            ChecksumSHA256=checksum,
        )
        return {"PartNumber": number, "ETag": put["ETag"], "ChecksumSHA256": checksum}

    def complete(self, parts: list[dict[str, object]] | None = None) -> None:
        self.s3.complete_multipart_upload(
            **self.place, UploadId=self.upload, MultipartUpload={"Parts": parts or self.parts}
        )


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


def test_a_part_that_is_not_what_its_checksum_says_is_refused(scratch: Scratch) -> None:
    upload = Upload(scratch, "refused")
    with pytest.raises(ClientError) as error:
        upload.put(3, FIRST, checksum=_sha256(LAST))
    assert _code(error) == "BadDigest"
    first, last = upload.parts
    for wrong in (
        [first | {"ETag": last["ETag"]}, last],
        [first | {"ChecksumSHA256": last["ChecksumSHA256"]}, last],
        [first, last | {"PartNumber": 9}],
    ):
        with pytest.raises(ClientError) as error:
            upload.complete(wrong)
        assert _code(error) == "InvalidPart"
    uploads = upload.s3.list_multipart_uploads(Bucket=scratch.outputs["Bucket"])["Uploads"]
    assert upload.upload in [one["UploadId"] for one in uploads]
    upload.s3.abort_multipart_upload(**upload.place, UploadId=upload.upload)


def test_a_small_part_before_the_last_is_refused(scratch: Scratch) -> None:
    upload = Upload(scratch, "small", (LAST, FIRST))
    with pytest.raises(ClientError) as error:
        upload.complete()
    assert _code(error) == "EntityTooSmall"


def test_what_was_uploaded_in_parts_shows_its_encryption_and_how_to_be_saved(
    scratch: Scratch,
) -> None:
    upload = Upload(scratch, "whole")
    upload.complete()
    head = upload.s3.head_object(**upload.place)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (
        "aws:kms",
        scratch.outputs["Key"],
    )
    assert head["ContentDisposition"] == 'attachment; filename="employees.csv"'
    assert head["ContentLength"] == len(FIRST) + len(LAST)


def test_a_link_serves_ranges_and_refuses_those_past_the_end(scratch: Scratch) -> None:
    upload = Upload(scratch, "ranges")
    upload.complete()
    link = upload.s3.generate_presigned_url("get_object", Params=upload.place, ExpiresIn=60)
    assert link.startswith(scratch.endpoint)
    tail = httpx.get(link, headers={"Range": f"bytes={len(FIRST)}-"})
    assert (tail.status_code, tail.content) == (206, LAST)
    beyond = httpx.get(link, headers={"Range": f"bytes={len(FIRST) + len(LAST)}-"})
    assert beyond.status_code == 416


def test_a_disabled_key_opens_and_closes_nothing(scratch: Scratch) -> None:
    upload = Upload(scratch, "locked")
    upload.complete()
    keys = scratch.client("kms")
    keys.disable_key(KeyId=scratch.outputs["Key"])
    try:
        for attempt in (
            lambda: upload.s3.get_object(**upload.place),
            lambda: Upload(scratch, "never"),
        ):
            with pytest.raises(ClientError) as error:
                attempt()
            assert _code(error) == "KMS.DisabledException"
    finally:
        keys.enable_key(KeyId=scratch.outputs["Key"])
    assert upload.s3.get_object(**upload.place)["Body"].read() == FIRST + LAST
