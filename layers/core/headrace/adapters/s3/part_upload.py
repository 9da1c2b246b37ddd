"""Sends a stream as parts of a multipart upload in S3 that other workers may write to as well."""

import base64
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headrace.adapters.answers import error_code, gave_no_answer
from headrace.exports.slices import MIN_PART_BYTES, UploadedPart
from headrace.kernel.errors import Fenced, FileUnavailable, RangeTooLarge, Stopped

_log = logging.getLogger(__name__)

_TRANSIENT = frozenset({"BadDigest", "RequestTimeout"})


@dataclass(frozen=True)
class S3PartUploads:
    """The ``PartUploads`` port.

    Parts carry their SHA-256, checked by S3 (the upload must have been opened with that
    algorithm). They have ``part_bytes`` each in the first half of the numbers, twice that in the
    next quarter and four times in the last, so a stream of unforeseen size fits with little
    memory for all others; the last part takes what remains, and is never smaller than S3 allows
    unless it is the only one. ``in_flight`` parts are sent at once while the next is gathered:
    memory is about ``(in_flight + 2) * part_bytes`` at first.
    """

    client: Any
    bucket: str
    part_bytes: int = 8 * 1024 * 1024
    in_flight: int = 2
    poll_s: float = 2.0
    """At least this often ``should_stop`` is asked."""
    pauses_s: tuple[float, ...] = (0.5, 2.0)
    """Between the tries of a part, beyond those that the client makes by itself."""

    def __call__(
        self,
        key: str,
        upload_id: str,
        numbers: range,
        chunks: Iterator[bytes],
        should_stop: Callable[[], bool],
        *,
        whole: bool = True,
    ) -> tuple[tuple[UploadedPart, ...], str | None]:
        """The parts in order, and if ``whole`` the SHA-256 (hex) of all the bytes.

        An empty stream makes one empty part: a document needs one. Raises Stopped, Fenced,
        FileUnavailable, RangeTooLarge, and whatever the iteration of ``chunks`` raises.
        """
        digest = hashlib.sha256() if whole else None
        watch = _Watch(should_stop, self.poll_s)
        pool = ThreadPoolExecutor(self.in_flight, thread_name_prefix="part")
        sent: list[Future[UploadedPart]] = []
        try:
            sizes = part_sizes(self.part_bytes, len(numbers))
            for body in _parts(self._hashed(chunks, digest, watch), sizes):
                watch.look()
                self._make_room(sent, watch)
                number = numbers[len(sent)]
                sent.append(pool.submit(self._send, key, upload_id, number, body))
            self._finish(sent, watch)
        except BaseException:
            # What is under way ends by itself, in an upload that nobody will complete with it.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        parts = tuple(part.result() for part in sent)
        return parts, None if digest is None else digest.hexdigest()

    @staticmethod
    def _hashed(chunks: Iterator[bytes], digest: Any, watch: "_Watch") -> Iterator[bytes]:
        for chunk in chunks:
            watch.look_now_and_then()
            if digest is not None:
                digest.update(chunk)
            yield chunk

    def _make_room(self, sent: list[Future[UploadedPart]], watch: "_Watch") -> None:
        """Waits till fewer than ``in_flight`` parts are under way. Raises what one of them did."""
        while True:
            for part in sent:
                if part.done():
                    part.result()
            under_way = [part for part in sent if not part.done()]
            if len(under_way) < self.in_flight:
                return
            wait(under_way, timeout=self.poll_s, return_when=FIRST_COMPLETED)
            watch.look_now_and_then()

    def _finish(self, sent: list[Future[UploadedPart]], watch: "_Watch") -> None:
        while under_way := [part for part in sent if not part.done()]:
            wait(under_way, timeout=self.poll_s, return_when=FIRST_COMPLETED)
            watch.look_now_and_then()

    def _send(self, key: str, upload_id: str, number: int, body: bytes) -> UploadedPart:
        digest = hashlib.sha256(body)
        for pause in (*self.pauses_s, None):
            try:
                reply = self.client.upload_part(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=body,
                    ContentLength=len(body),
                    ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                )
            except (ClientError, BotoCoreError) as error:
                failure = _meaning(error)
                if pause is None or not isinstance(failure, FileUnavailable):
                    raise failure from error
                _log.warning("part %d is sent again after %s", number, type(error).__name__)
                time.sleep(pause)
            else:
                return UploadedPart(number, len(body), digest.hexdigest(), str(reply["ETag"]))
        raise AssertionError("the last try either returns or raises")


class _Watch:
    """Asks whether to stop, now or if it was not asked for a while."""

    def __init__(self, should_stop: Callable[[], bool], every_s: float) -> None:
        self._should_stop, self._every_s = should_stop, every_s
        self._asked = time.monotonic()

    def look(self) -> None:
        """Raises Stopped if told to."""
        self._asked = time.monotonic()
        if self._should_stop():
            raise Stopped("The worker was told to stop.")

    def look_now_and_then(self) -> None:
        """The same, if the last look is long enough ago."""
        if time.monotonic() - self._asked >= self._every_s:
            self.look()


def part_sizes(part_bytes: int, count: int) -> Iterator[int]:
    """The sizes of up to ``count`` parts, larger towards the end."""
    for index in range(count):
        yield part_bytes * (1 if 2 * index < count else 2 if 4 * index < 3 * count else 4)


def _parts(chunks: Iterator[bytes], sizes: Iterator[int]) -> Iterator[bytes]:
    """The bytes cut to parts; of two or more, the last too is at least what S3 asks for.

    Raises RangeTooLarge when the sizes come to their end before the bytes do.
    """
    gathered: deque[bytes | memoryview] = deque()
    held = 0
    size = next(sizes)
    for chunk in chunks:
        gathered.append(chunk)
        held += len(chunk)
        while held >= size + MIN_PART_BYTES:
            yield b"".join(_taken(gathered, size))
            held -= size
            if (following := next(sizes, None)) is None:
                raise RangeTooLarge(
                    "A part of the table is larger than planned for; allow larger ranges, or "
                    "export the table by smaller configurations."
                )
            size = following
    yield b"".join(gathered)


def _taken(pieces: deque[bytes | memoryview], size: int) -> list[bytes | memoryview]:
    """The first ``size`` bytes, as pieces that are no copies; ``pieces`` keeps the rest."""
    taken: list[bytes | memoryview] = []
    while size:
        piece = pieces.popleft()
        if len(piece) > size:
            view = memoryview(piece)
            pieces.appendleft(view[size:])
            piece = view[:size]
        taken.append(piece)
        size -= len(piece)
    return taken


def _meaning(error: ClientError | BotoCoreError) -> Exception:
    """What a failed part means: the upload is gone, it may work again, or as it is."""
    if isinstance(error, BotoCoreError):
        return FileUnavailable("The storage does not answer.")
    code = error_code(error)
    if code in ("NoSuchUpload", "NoSuchKey", "404"):
        return Fenced("The upload is gone; another attempt owns the job.")
    if code in _TRANSIENT or gave_no_answer(error) or code.startswith("KMS."):
        return FileUnavailable("The storage does not take the file now.")
    return error
