"""Payloads, items, differences and undo sets of data sets in S3, encrypted with KMS.

They have a bucket of their own, as nothing in it goes by its age but files to be imported. Keys:
``TENANT/…``; the items of a data set are gzip of JSON lines at ``TENANT/items/DATA_SET_ID``.
"""

import base64
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code
from headrace.adapters.s3.part_upload import S3PartUploads
from headrace.datasets.model import DataSet, Item
from headrace.datasets.ports import OpenUpload
from headrace.kernel.errors import FileExpired, FileUnavailable

_SERVICE = "The storage"
_MOST_PARTS = 10_000
_READ_BYTES = 1024 * 1024
IMPORTED = "headrace=imported"
"""The tag of files that are there to be imported: by it the bucket removes them after a week."""
_GONE = frozenset({"NoSuchUpload", "NoSuchKey", "404", "NotFound"})


@dataclass(frozen=True)
class S3Payloads:
    """The ``Payloads`` port. ``own_key``: the tenant's own KMS key, if it has one."""

    client: Any
    bucket: str
    default_key: str
    link_seconds: int
    own_key: Callable[[str], str | None]

    def store(self, tenant: str, key: str, content_type: str, chunks: Iterable[bytes]) -> int:
        """See the port: a multipart upload, of which nothing is seen until it is complete."""
        place = {"Bucket": self.bucket, "Key": _place(tenant, key)}
        upload_id = self._opened(tenant, place, content_type)
        try:
            uploads = S3PartUploads(self.client, self.bucket)
            parts, _ = uploads(
                place["Key"],
                upload_id,
                range(1, _MOST_PARTS + 1),
                iter(chunks),
                lambda: False,
                whole=False,
            )
            completed = [
                {"PartNumber": one.number, "ETag": one.etag, "ChecksumSHA256": _base64(one.sha256)}
                for one in parts
            ]
            with answer_of(_SERVICE):
                self.client.complete_multipart_upload(
                    **place, UploadId=upload_id, MultipartUpload={"Parts": completed}
                )
        except BaseException:
            with suppress(ClientError):
                self.client.abort_multipart_upload(**place, UploadId=upload_id)
            raise
        return sum(one.size for one in parts)

    @answer_of(_SERVICE)
    def _opened(self, tenant: str, place: dict[str, str], content_type: str) -> str:
        try:
            reply = self.client.create_multipart_upload(
                **place,
                ContentType=content_type,
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=self.own_key(tenant) or self.default_key,
                BucketKeyEnabled=True,
                ChecksumAlgorithm="SHA256",
                **({"Tagging": IMPORTED} if f"{tenant}/imports/" in place["Key"] else {}),
            )
        except ClientError as error:
            if error_code(error).startswith("KMS."):
                raise FileUnavailable("The documents' key cannot be used now.") from error
            raise
        return str(reply["UploadId"])

    @contextmanager
    def open(self, tenant: str, key: str) -> Iterator[BinaryIO]:
        """See the port."""
        place = {"Bucket": self.bucket, "Key": _place(tenant, key)}
        with answer_of(_SERVICE), _readable():
            head = self.client.head_object(**place)
        raw = _Object(self.client, place, int(head["ContentLength"]), str(head["ETag"]))
        with io.BufferedReader(raw, _READ_BYTES) as file:
            yield cast(BinaryIO, file)

    def chunks(self, tenant: str, key: str) -> Iterator[bytes]:
        """From its beginning to its end. Raises FileUnavailable, FileExpired."""
        with answer_of(_SERVICE), _readable():
            reply = self.client.get_object(Bucket=self.bucket, Key=_place(tenant, key))
        with closing(reply["Body"]) as body:
            while True:
                with answer_of(_SERVICE):
                    chunk = body.read(_READ_BYTES)
                if not chunk:
                    return
                yield chunk

    def link(self, tenant: str, key: str, file_name: str) -> str:
        """See the port. It is looked at first, so that a link leads to what can be read."""
        place = {"Bucket": self.bucket, "Key": _place(tenant, key)}
        with answer_of(_SERVICE), _readable():
            self.client.get_object(**place, Range="bytes=0-0")["Body"].close()
        disposition = f'attachment; filename="{file_name}"'
        url = self.client.generate_presigned_url(
            "get_object",
            Params={**place, "ResponseContentDisposition": disposition},
            ExpiresIn=self.link_seconds,
        )
        return str(url)

    @answer_of(_SERVICE)
    def remove(self, tenant: str, key: str) -> None:
        """See the port."""
        self.client.delete_object(Bucket=self.bucket, Key=_place(tenant, key))

    def keys(self, tenant: str, prefix: str) -> Iterator[str]:
        """See the port."""
        for item in self._listed("list_objects_v2", "Contents", _place(tenant, prefix)):
            yield str(item["Key"]).removeprefix(_place(tenant, ""))

    def uploads(self, tenant: str, prefix: str) -> list[OpenUpload]:
        """See the port."""
        found = self._listed("list_multipart_uploads", "Uploads", _place(tenant, prefix))
        own = _place(tenant, "")
        return [OpenUpload(one["Key"].removeprefix(own), one["UploadId"]) for one in found]

    @answer_of(_SERVICE)
    def abort(self, tenant: str, uploads: Iterable[OpenUpload]) -> None:
        """See the port."""
        for one in uploads:
            place = {"Bucket": self.bucket, "Key": _place(tenant, one.key)}
            try:
                self.client.abort_multipart_upload(**place, UploadId=one.upload_id)
            except ClientError as error:
                if error_code(error) not in _GONE:
                    raise

    def _listed(self, operation: str, what: str, prefix: str) -> Iterator[Any]:
        pages = self.client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=prefix)
        pages = iter(pages)
        while True:
            with answer_of(_SERVICE):
                page = next(pages, None)
            if page is None:
                return
            yield from page.get(what, [])


@dataclass(frozen=True)
class S3Items:
    """The ``Items`` port."""

    payloads: S3Payloads

    def write(self, data_set: DataSet, items: Iterable[Item]) -> int:
        """See the port."""
        counted = _Counted(items)
        self.payloads.store(data_set.tenant, _key(data_set), "application/gzip", _packed(counted))
        return counted.count

    def read(self, data_set: DataSet) -> Iterator[Item]:
        """See the port."""
        for line in _lines(self.payloads.chunks(data_set.tenant, _key(data_set))):
            table_id, record_id, uuid = json.loads(line)
            yield Item(table_id, record_id, uuid)

    def remove(self, data_set: DataSet) -> None:
        """See the port."""
        self.payloads.remove(data_set.tenant, _key(data_set))

    def uploads(self, data_set: DataSet) -> list[OpenUpload]:
        """See the port."""
        return self.payloads.uploads(data_set.tenant, _key(data_set))


class _Counted:
    def __init__(self, items: Iterable[Item]) -> None:
        self.count, self._items = 0, items

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.count += 1
            yield item


class _Object(io.RawIOBase):
    """An object as a file that can seek; each read is a request for a range of it."""

    def __init__(self, client: Any, place: dict[str, str], size: int, etag: str) -> None:
        super().__init__()
        self._client, self._place, self._size, self._etag = client, place, size, etag
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("there is nothing before the beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """In one request; the base class makes one for every 8 KiB."""
        return self._read(self._size)

    def _read(self, most: int) -> bytes:
        wanted = min(most, self._size - self._at)
        if wanted <= 0:
            return b""
        with answer_of(_SERVICE), _readable():
            reply = self._client.get_object(
                **self._place,
                Range=f"bytes={self._at}-{self._at + wanted - 1}",
                IfMatch=self._etag,
            )
            data: bytes = reply["Body"].read()
        self._at += len(data)
        return data


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) in _GONE or error_code(error) in ("PreconditionFailed", "412"):
            raise FileExpired("The file is no longer stored.") from None
        if error_code(error).startswith(("KMS.", "AccessDenied", "403")):
            raise FileUnavailable("The file cannot be read now; try again later.") from error
        raise


def _packed(items: Iterable[Item]) -> Iterator[bytes]:
    squeeze = zlib.compressobj(1, wbits=31)
    for item in items:
        line = json.dumps([item.table_id, item.record_id, item.uuid], separators=(",", ":"))
        if chunk := squeeze.compress(line.encode() + b"\n"):
            yield chunk
    yield squeeze.flush()


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpack, rest = zlib.decompressobj(wbits=31), b""
    for chunk in chunks:
        *whole, rest = (rest + unpack.decompress(chunk)).split(b"\n")
        yield from whole


def _place(tenant: str, key: str) -> str:
    return f"{tenant}/{key}"


def _key(data_set: DataSet) -> str:
    return f"items/{data_set.data_set_id}"


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
