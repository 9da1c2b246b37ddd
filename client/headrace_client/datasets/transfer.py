"""Payloads and differences between the storage and the disk, gone on with where they were cut."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from headrace_client.datasets import payload_file
from headrace_client.datasets.model import Upload
from headrace_client.errors import LocalFileError, NetworkError, VerificationError
from headrace_client.retrying import RetryPolicy
from headrace_client.storage import Interrupted, StaleLink, Storage
from headrace_client.workspace import local_errors, locked, sync_directory

_BLOCK = 1024 * 1024

Counted = Callable[[int, int], None]
"""Is told how many bytes there are by now, and how many there will be."""


def nothing_counted(done: int, total: int) -> None:
    """Does nothing."""


@dataclass(frozen=True)
class Link:
    """Where a document is, or what is in it, if it came in the answer; `suffix` of its name."""

    url: str
    suffix: str
    content: bytes | None = field(default=None, repr=False)


def received(
    storage: Storage,
    link: Callable[[], Link],
    place: Callable[[str], Path],
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    on_bytes: Counted,
) -> Path:
    """Puts a payload in its place, whole and verified, or leaves what was there.

    `place` says where, by the suffix. Raises VerificationError, NetworkError, LocalFileError.
    """
    first = link()
    file = place(first.suffix)
    partial = file.with_name(f".{file.name}.partial")
    refusal = LocalFileError(f"Another headrace command downloads {file}; run again when it ended.")
    with locked(partial, refusal):
        _write(partial, _blocks(storage, first, link, policy, sleep, on_bytes))
        try:
            payload_file.verify(partial, first.suffix)
        except VerificationError:
            with suppress(OSError):
                partial.unlink()
            raise
        with local_errors(file):
            partial.replace(file)
            sync_directory(file.parent)
    return file


def _write(partial: Path, blocks: Iterator[bytes | None]) -> None:
    with local_errors(partial), partial.open("wb") as written:
        for block in blocks:
            if block is None:
                written.seek(0)
                written.truncate()
            else:
                written.write(block)
        written.flush()
        os.fsync(written.fileno())


def received_lines(
    storage: Storage,
    link: Callable[[], Link],
    policy: RetryPolicy,
    sleep: Callable[[float], None],
) -> Iterator[bytes]:
    """The lines of a document, as they come."""
    begun = b""
    for block in _blocks(storage, link(), link, policy, sleep, nothing_counted):
        if block is None:
            # Another document by the same name: a process has one, so that it cannot be.
            raise VerificationError("The difference was written anew while it was read.")
        *lines, begun = (begun + block).split(b"\n")
        yield from (line for line in lines if line)
    if begun:
        yield begun


def sent(
    storage: Storage,
    prepare: Callable[[], Upload],
    file: Path,
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    on_bytes: Counted,
) -> str:
    """Uploads a file, from its beginning again where it was cut off; the upload's id.

    Raises NetworkError, LocalFileError.
    """
    tries = 0
    while True:
        upload, tries = prepare(), tries + 1
        try:
            with local_errors(file), file.open("rb") as opened:
                total = os.fstat(opened.fileno()).st_size
                storage.send(upload.url, upload.headers, _read(opened, total, on_bytes))
            return upload.upload_id
        except (Interrupted, StaleLink) as error:
            pause = policy.wait(tries, getattr(error, "retry_after", None))
            if pause is None:
                raise NetworkError(
                    f"{file.name} could not be uploaded ({tries} attempts): {error}"
                ) from error
            sleep(pause)


def _read(opened: BinaryIO, total: int, on_bytes: Counted) -> Iterator[bytes]:
    done = 0
    while block := opened.read(_BLOCK):
        yield block
        done += len(block)
        on_bytes(done, total)


def _blocks(
    storage: Storage,
    first: Link,
    link: Callable[[], Link],
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    on_bytes: Counted,
) -> Iterator[bytes | None]:
    """The bytes of a document; None: it is another one by now, and comes from its beginning."""
    if first.content is not None:
        on_bytes(len(first.content), len(first.content))
        yield first.content
        return
    now, done, total, etag, tries = first, 0, None, None, 0
    while True:
        before = done
        try:
            with storage.rest(now.url, done, etag) as stored:
                if total is not None and stored.size != total:
                    raise StaleLink(200, "the document is another one by now")
                total, etag = stored.size, stored.etag
                for block in stored.chunks:
                    done += len(block)
                    on_bytes(done, total)
                    yield block
            if done == total:
                return
            said: Exception = Interrupted("the connection ended before the document did")
        except (Interrupted, StaleLink) as error:
            said = error
        tries = 1 if done > before else tries + 1
        pause = policy.wait(tries, getattr(said, "retry_after", None))
        if pause is None:
            raise NetworkError(f"The download did not come to its end: {said}") from said
        sleep(pause)
        if isinstance(said, StaleLink):
            now = link()
            if done:
                done, total, etag = 0, None, None
                yield None
            if now.content is not None:
                yield now.content
                return
