"""Documents in S3, encrypted with KMS.

Keys: ``TENANT/CLIENT/OPERATION_ID/JOB_ID/ATTEMPT/FILE_NAME``. An attempt has a key of its own, so a
late writer of an older one can at most write what nobody looks at.

Rows that another engine unloads: ``-staging/TENANT/CLIENT/OPERATION_ID/JOB_ID/ATTEMPT/``, in it
``data/`` with the rows and ``results/`` with what the engine notes. No tenant's id begins with a
hyphen.
"""

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code
from headrace.exports.model import ExportRequest, Job, Operation
from headrace.exports.ports import DueOperation, OpenUpload, StagedFolder, Staging
from headrace.exports.slices import UploadedPart
from headrace.kernel.errors import Fenced, FileExpired, FileUnavailable

_SERVICE = "The storage"
_STAGING = "-staging/"
_GONE = frozenset({"NoSuchUpload", "NoSuchKey", "404", "NotFound"})


@dataclass(frozen=True)
class S3Files:
    """The ``Files`` port."""

    client: Any
    bucket: str
    default_key: str
    link_lifetime: timedelta

    def key(self, operation: Operation, job: Job, file_name: str) -> str:
        """Where this attempt of the job writes."""
        owner = f"{operation.tenant}/{operation.client_id}/{operation.operation_id}"
        return f"{owner}/{job.job_id}/{job.attempt}/{file_name}"

    @answer_of(_SERVICE)
    def open_upload(
        self, key: str, request: ExportRequest, file_name: str, kms_key: str | None
    ) -> str:
        """Begins a multipart upload, encrypted; returns its id. Raises FileUnavailable."""
        try:
            reply = self.client.create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ContentType=request.content_type,
                ContentDisposition=f'attachment; filename="{file_name}"',
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=kms_key or self.default_key,
                BucketKeyEnabled=True,
                ChecksumAlgorithm="SHA256",
            )
        except ClientError as error:
            if error_code(error).startswith("KMS."):
                raise FileUnavailable("The documents' key cannot be used now.") from error
            raise
        return str(reply["UploadId"])

    @answer_of(_SERVICE)
    def complete(self, key: str, upload_id: str, parts: tuple[UploadedPart, ...]) -> None:
        """Makes the document visible, if S3 holds exactly these parts. Raises Fenced."""
        try:
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [_completed(part) for part in parts]},
            )
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise
            if self._size(key) != sum(part.size for part in parts):
                raise Fenced("The upload is gone; another attempt owns the job.") from None

    @answer_of(_SERVICE)
    def discard(self, key: str, upload_id: str | None) -> None:
        """Aborts the upload and removes the document, whatever is there."""
        if upload_id is not None:
            self.abort(key, upload_id)
        self.client.delete_object(Bucket=self.bucket, Key=key)

    @answer_of(_SERVICE)
    def abort(self, key: str, upload_id: str) -> None:
        """Ends an upload; what it stored goes."""
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise

    def open_uploads(self, before: datetime) -> Iterator[OpenUpload]:
        """Uploads that began before this moment and are not completed."""
        pages = iter(
            self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket)
        )
        while True:
            with answer_of(_SERVICE):
                page = next(pages, None)
            if page is None:
                return
            for upload in page.get("Uploads", []):
                if upload["Initiated"] < before:
                    yield OpenUpload(upload["Key"], upload["UploadId"], _owner(upload["Key"]))

    def staging(self, operation: Operation, job: Job, kms_key: str | None) -> Staging:
        """Where this attempt of the job has its rows unloaded to."""
        owner = f"{operation.tenant}/{operation.client_id}/{operation.operation_id}"
        prefix = f"{_STAGING}{owner}/{job.job_id}/{job.attempt}/"
        return Staging(prefix, f"s3://{self.bucket}/{prefix}", kms_key or self.default_key)

    def staged_rows(self, prefix: str) -> str:
        """The URL of the folder of rows in the staging folder with this prefix."""
        return f"s3://{self.bucket}/{prefix}data/"

    @answer_of(_SERVICE)
    def discard_staged(self, prefix: str) -> None:
        """Removes all that was unloaded there."""
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True}
                )

    def staged_folders(self) -> Iterator[StagedFolder]:
        """All folders of unloaded rows."""
        pages = iter(
            self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=_STAGING
            )
        )
        seen: set[str] = set()
        while True:
            with answer_of(_SERVICE):
                page = next(pages, None)
            if page is None:
                return
            for item in page.get("Contents", []):
                prefix = "/".join(item["Key"].split("/")[:6]) + "/"
                owner = _owner(item["Key"])
                if owner is not None and prefix not in seen:
                    seen.add(prefix)
                    yield StagedFolder(prefix, owner)

    @answer_of(_SERVICE)
    def link(self, key: str) -> str:
        """A short-lived URL of the document. Raises FileExpired, FileUnavailable.

        A URL is only handed out for a document that can be read now: a missing object, or a
        disabled key, is found here and not by the caller at S3.
        """
        try:
            reply = self.client.get_object(Bucket=self.bucket, Key=key, Range="bytes=0-0")
            with suppress(AttributeError):
                reply["Body"].close()
        except ClientError as error:
            code = error_code(error)
            if code in _GONE:
                raise FileExpired("The file is no longer stored; start a new export.") from None
            if code != "InvalidRange":
                raise FileUnavailable(
                    "The file cannot be read now; try again later.", retry_after=60
                ) from error
        url = self.client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": key},
            ExpiresIn=int(self.link_lifetime.total_seconds()),
        )
        return str(url)

    def _size(self, key: str) -> int | None:
        try:
            return int(self.client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])
        except ClientError as error:
            if error_code(error) in _GONE:
                return None
            raise


def _owner(key: str) -> DueOperation | None:
    match key.removeprefix(_STAGING).split("/"):
        case [tenant, client_id, operation_id, _, _, *_]:
            return DueOperation(tenant, client_id, operation_id)
    return None


def _completed(part: UploadedPart) -> dict[str, Any]:

    digest = base64.b64encode(bytes.fromhex(part.sha256)).decode()
    return {"PartNumber": part.number, "ETag": part.etag, "ChecksumSHA256": digest}
