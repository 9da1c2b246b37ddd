"""Files that callers upload to S3 themselves, by a presigned PUT.

The size is part of what is signed, and so is the encryption: a body of another length, or one that
is to lie in the clear, does not fit the signature. Keys: ``TENANT/uploads/ID.SUFFIX``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code
from headrace.adapters.s3.data_sets import IMPORTED
from headrace.datasets.ports import Upload, Uploaded
from headrace.kernel.clock import Clock
from headrace.kernel.errors import FileUnavailable

_SERVICE = "The storage"
_SUFFIXES = ("zip", "xml")
_GONE = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True)
class S3Uploads:
    """The ``Uploads`` port. ``own_key``: the tenant's own KMS key, if it has one."""

    client: Any
    bucket: str
    default_key: str
    own_key: Callable[[str], str | None]
    clock: Clock

    def prepare(
        self, tenant: str, upload_id: str, suffix: str, size: int, until: datetime
    ) -> Upload:
        """See the port."""
        key = self.own_key(tenant) or self.default_key
        url = self.client.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self.bucket,
                "Key": f"{tenant}/{_key(upload_id, suffix)}",
                "ContentLength": size,
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": key,
                "Tagging": IMPORTED,
            },
            ExpiresIn=int((until - self.clock.now()).total_seconds()),
        )
        headers = {
            "Content-Length": str(size),
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": key,
            "x-amz-tagging": IMPORTED,
        }
        return Upload(upload_id, str(url), headers, until)

    def find(self, tenant: str, upload_id: str) -> Uploaded | None:
        """See the port."""
        for suffix in _SUFFIXES:
            key = _key(upload_id, suffix)
            if self._has(f"{tenant}/{key}"):
                return Uploaded(key, f"{upload_id}.{suffix}")
        return None

    @answer_of(_SERVICE)
    def _has(self, place: str) -> bool:
        try:
            self.client.head_object(Bucket=self.bucket, Key=place)
        except ClientError as error:
            if error_code(error) in _GONE:
                return False
            if error_code(error) in ("403", "AccessDenied") or error_code(error).startswith("KMS."):
                raise FileUnavailable("The file cannot be read now; try again later.") from error
            raise
        return True


def _key(upload_id: str, suffix: str) -> str:
    return f"uploads/{upload_id}.{suffix}"
