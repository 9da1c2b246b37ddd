"""Rows of walks over templates in S3, encrypted with the tenant's key.

Key: ``TENANT/WALK/NUMBER``, gzip of NDJSON; of a source that keeps no versions
``TENANT/WALK/SERIES-NUMBER``, so that a worker that was replaced writes into no page. The bucket
forgets them after two days.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from headrace.adapters.answers import answer_of, error_code
from headrace.kernel.errors import FileExpired, FileUnavailable
from headrace.templates.model import Walk

_SERVICE = "The storage"


@dataclass(frozen=True)
class S3Chunks:
    """The ``Chunks`` port. ``own_key``: the tenant's own KMS key, if it has one."""

    client: Any
    bucket: str
    default_key: str
    own_key: Callable[[str], str | None]
    in_flight: int = 4
    """Requests at once: so many compressed chunks are held in memory as well."""

    def write(self, walk: Walk, chunks: Iterable[tuple[int, bytes]]) -> Iterator[int]:
        """See the port."""
        key = self.own_key(walk.reader.tenant) or self.default_key

        sent = (
            (number, partial(self._put, _key(walk, number), _packed(lines), key))
            for number, lines in chunks
        )
        for number, _ in self._at_once(sent):
            yield number

    def read(self, walk: Walk, numbers: Iterable[int]) -> Iterator[Sequence[bytes]]:
        """See the port."""
        wanted = ((number, partial(self._get, _key(walk, number))) for number in numbers)
        for _, lines in self._at_once(wanted):
            yield lines

    def _at_once[T](self, tasks: Iterator[tuple[int, Callable[[], T]]]) -> Iterator[tuple[int, T]]:
        """Each task's number and result in their order, ``in_flight`` of them at a time."""
        under_way: deque[tuple[int, Future[T]]] = deque()
        with ThreadPoolExecutor(self.in_flight, thread_name_prefix="chunk") as pool:
            try:
                for number, task in tasks:
                    under_way.append((number, pool.submit(task)))
                    while under_way and (
                        len(under_way) >= self.in_flight or under_way[0][1].done()
                    ):
                        done, future = under_way.popleft()
                        yield done, future.result()
                while under_way:
                    done, future = under_way.popleft()
                    yield done, future.result()
            finally:
                for _, future in under_way:
                    future.cancel()

    def _put(self, place: str, body: bytes, key: str) -> None:
        with answer_of(_SERVICE):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=place,
                    Body=body,
                    ContentType="application/gzip",
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=key,
                    BucketKeyEnabled=True,
                )
            except ClientError as error:
                if error_code(error).startswith("KMS."):
                    raise FileUnavailable("The rows' key cannot be used now.") from error
                raise

    def _get(self, place: str) -> Sequence[bytes]:
        with answer_of(_SERVICE):
            try:
                body = self.client.get_object(Bucket=self.bucket, Key=place)["Body"].read()
            except ClientError as error:
                code = error_code(error)
                if code in ("NoSuchKey", "404"):
                    raise FileExpired("These rows are not stored any more; begin anew.") from None
                if code.startswith(("KMS.", "AccessDenied", "403")):
                    raise FileUnavailable(
                        "The rows cannot be read now; try again later.", retry_after=60
                    ) from error
                raise
        return zlib.decompress(body, wbits=31).split(b"\n")[:-1]


def _packed(lines: bytes) -> bytes:
    # Only workers write; what the API reads needs no more than Python's own library.
    from isal import isal_zlib  # noqa: PLC0415

    return isal_zlib.compress(lines, 1, wbits=31)


def _key(walk: Walk, number: int) -> str:
    series = f"{walk.series}-" if walk.series else ""
    return f"{walk.reader.tenant}/{walk.walk_id}/{series}{number:06d}"
