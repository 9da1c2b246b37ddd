"""Lists of accounts in S3, encrypted as the documents are.

Key: ``-accounts/TENANT/CLIENT/MARK``, gzip of a JSON array. The mark is the list's digest, so a
list that stands is right whoever wrote it, and one that is needed for longer is written again: the
bucket forgets it 30 days after that.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code
from headrace.exports.sources import mark_of
from headrace.kernel.errors import FileUnavailable, SyncVersionExpired

_REMEMBERED = 4


@dataclass(frozen=True)
class S3AccountLists:
    """The ``AccountLists`` port. It remembers the last few: they never change."""

    client: Any
    bucket: str
    default_key: str
    _lists: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @answer_of("The storage")
    def keep(
        self, tenant: str, client_id: str, accounts: Sequence[str], kms_key: str | None
    ) -> str:
        """See the port."""
        mark = mark_of(accounts)
        if accounts:
            text = json.dumps(list(accounts), separators=(",", ":")).encode()
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=_key(tenant, client_id, mark),
                    Body=gzip.compress(text, compresslevel=1, mtime=0),
                    ContentType="application/gzip",
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=kms_key or self.default_key,
                    BucketKeyEnabled=True,
                )
            except ClientError as error:
                if error_code(error).startswith("KMS."):
                    raise FileUnavailable("The documents' key cannot be used now.") from error
                raise
        return mark

    @answer_of("The storage")
    def of(self, tenant: str, client_id: str, mark: str) -> tuple[str, ...]:
        """See the port."""
        if mark == mark_of(()):
            return ()
        key = _key(tenant, client_id, mark)
        if key not in self._lists:
            try:
                body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) in ("NoSuchKey", "404"):
                    raise SyncVersionExpired(
                        "Whose rows there were at this version is not kept any more; start a full "
                        "export, and go on from its version."
                    ) from None
                if error_code(error).startswith(("KMS.", "AccessDenied")):
                    raise FileUnavailable("The documents' key cannot be used now.") from error
                raise
            if len(self._lists) >= _REMEMBERED:
                self._lists.clear()
            self._lists[key] = tuple(json.loads(gzip.decompress(body)))
        return self._lists[key]


def _key(tenant: str, client_id: str, mark: str) -> str:
    return f"-accounts/{tenant}/{client_id}/{mark}"
