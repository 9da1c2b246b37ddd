"""Downloading an operation's files: parallel, resumable, verified, and seen only when whole.

Three steps, each over all files: *examine* what an earlier run left, hashing every part on disk;
*fetch* the missing parts by ranges, hashing each as it arrives; *verify* a file, as it lies on
the disk, once its last part is there. Then all files are renamed into place together, so a
directory never shows tables of two operations as one set.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace_client.errors import (
    AccessDenied,
    HeadraceClientError,
    LocalFileError,
    NetworkError,
    VerificationError,
)
from headrace_client.events import (
    BytesArrived,
    DownloadPlanned,
    Event,
    FilesPublished,
    FileVerified,
    Listener,
    PartRejected,
    nobody,
)
from headrace_client.model import Manifest, ManifestFile, Part
from headrace_client.plan import STRETCH_BYTES, Stretch, stretches, verifiable_parts
from headrace_client.rows import row_counter
from headrace_client.storage import Interrupted, StaleLink
from headrace_client.workspace import Workspace, demand_safe_names, local_errors

if TYPE_CHECKING:
    from headrace_client.client import HeadraceClient

REDOWNLOADS = 3
_FRESH_LINKS = 3
_BLOCK = 1024 * 1024
_STRETCH_AT_LEAST = 4 * 1024 * 1024


@dataclass(frozen=True)
class DownloadedFile:
    """A verified file in its place. `sha256` is of the whole file, computed here from the disk;
    `reused` of its bytes were on disk before; `counted_rows` is None unless rows were counted."""

    table: str
    path: Path
    rows: int
    bytes: int
    sha256: str
    reused: int
    counted_rows: int | None = None


@dataclass(frozen=True)
class Download:
    """The files of one operation, all in place."""

    operation_id: str
    directory: Path
    manifest: Manifest
    files: tuple[DownloadedFile, ...]

    @property
    def rows(self) -> int:
        """Rows of all files, as the service counted them."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def download_operation(
    client: HeadraceClient,
    manifest: Manifest,
    directory: Path,
    *,
    parallel: int = 4,
    listener: Listener = nobody,
    verify_rows: bool = False,
) -> Download:
    """Download every file of `manifest` into `directory`, resuming what is there of it.

    Raises VerificationError (and leaves nothing new to be seen) when bytes stay wrong after
    three more tries, LocalFileError when the disk refuses, and the errors of the API.
    """
    workspace = Workspace(directory)
    with workspace.locked():
        downloader = Downloader(client, workspace, parallel, listener, verify_rows=verify_rows)
        return downloader.run(manifest)


class Downloader:
    """The download within a workspace that the caller holds locked."""

    def __init__(
        self,
        client: HeadraceClient,
        workspace: Workspace,
        parallel: int,
        listener: Listener,
        *,
        verify_rows: bool = False,
    ) -> None:
        self._verify_rows = verify_rows
        self._count: Callable[[Path], int] | None = None
        self._client = client
        self._workspace = workspace
        self._parallel = max(1, parallel)
        self._listener = listener
        self._telling = threading.Lock()
        self._stop = threading.Event()

    def run(self, manifest: Manifest) -> Download:
        """Download, verify, publish."""
        if self._verify_rows:
            self._count = row_counter(manifest.file_format, manifest.compression)
        demand_safe_names([file.file_name for file in manifest.files])
        for file in manifest.files:
            if self._workspace.final(file.file_name).is_dir():
                raise LocalFileError(f"{self._workspace.final(file.file_name)} is a directory.")
        self._workspace.open_operation(manifest.operation_id, manifest.raw)
        targets = [
            _Target(
                file,
                verifiable_parts(file),
                self._workspace.partial(manifest.operation_id, file.file_name),
                self._workspace.final(file.file_name),
                _Link(self._client, file.job_id),
            )
            for file in manifest.files
        ]
        self._work([lambda target=target: self._examine(target) for target in targets])  # type: ignore[misc]
        missing = sum(target.file.bytes - target.held_bytes for target in targets)
        self._tell(
            DownloadPlanned(
                manifest.files, {target.file.file_name: target.held_bytes for target in targets}
            )
        )
        self._workspace.demand_space(missing)
        self._work(list(self._fetches(targets, missing)))
        names = [file.file_name for file in manifest.files]
        self._workspace.publish(manifest.operation_id, names, manifest.raw)
        self._workspace.close_operation(manifest.operation_id)
        self._tell(FilesPublished(str(self._workspace.directory)))
        return Download(
            manifest.operation_id,
            self._workspace.directory,
            manifest,
            tuple(target.downloaded() for target in targets),
        )

    def _fetches(self, targets: Sequence[_Target], missing: int) -> Iterator[Callable[[], None]]:
        share = missing // (self._parallel * 2)
        target_bytes = min(STRETCH_BYTES, max(_STRETCH_AT_LEAST, share))
        for target in targets:
            planned = stretches(target.parts, target.held, target_bytes)
            target.outstanding = len(planned)
            if not planned:
                yield lambda target=target: self._verify(target)  # type: ignore[misc]
            for stretch in planned:
                yield lambda target=target, stretch=stretch: self._fetch(target, stretch)  # type: ignore[misc]

    # -- examine -----------------------------------------------------------------------------

    def _examine(self, target: _Target) -> None:
        """Learn which parts are on disk already, by hashing them."""
        if not target.partial.exists() and _size(target.final) == target.file.bytes:
            # in place already: published before a crash, or unchanged since an earlier pull
            with _opened(target.final, os.O_RDONLY) as handle:
                held = self._matching(handle, target)
            if len(held) == len(target.parts):
                target.held, target.in_place = held, True
                return
        with _opened(target.partial, os.O_RDWR | os.O_CREAT) as handle:
            if os.fstat(handle).st_size > target.file.bytes:
                os.ftruncate(handle, target.file.bytes)
            target.held = self._matching(handle, target)

    def _matching(self, handle: int, target: _Target) -> frozenset[int]:
        size = os.fstat(handle).st_size
        return frozenset(
            part.offset
            for part in target.parts
            if part.offset + part.bytes <= size
            and self._digest_of(handle, part.offset, part.offset + part.bytes) == part.sha256
        )

    def _digests(self, handle: int, parts: Sequence[Part]) -> tuple[list[str], str]:
        """The digest of each of neighbouring parts, and of all together, from the disk."""
        whole = hashlib.sha256()
        digests = []
        for part in parts:
            single = hashlib.sha256()
            for block in self._blocks(handle, part.offset, part.offset + part.bytes):
                single.update(block)
                whole.update(block)
            digests.append(single.hexdigest())
        return digests, whole.hexdigest()

    def _digest_of(self, handle: int, start: int, end: int) -> str:
        digest = hashlib.sha256()
        for block in self._blocks(handle, start, end):
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self, handle: int, start: int, end: int) -> Iterator[bytes]:
        """The bytes on disk; fewer where the file is shorter, which the digest then tells."""
        while start < end:
            self._go_on()
            block = os.pread(handle, min(_BLOCK, end - start), start)
            if not block:
                return
            start += len(block)
            yield block

    # -- fetch -------------------------------------------------------------------------------

    def _fetch(self, target: _Target, stretch: Stretch) -> None:
        """Fetch one stretch, however often the line breaks, as long as bytes still come."""
        with _opened(target.partial, os.O_RDWR | os.O_CREAT) as handle:
            receiver = _Receiver(handle, stretch.parts, lambda count: self._arrived(target, count))
            rejected: Counter[int] = Counter()
            failures = stale = 0
            while not receiver.done:
                self._go_on()
                before = receiver.position
                url = target.link.url()
                try:
                    with self._client.storage.read(url, before, stretch.end) as chunks:
                        for chunk in chunks:
                            self._go_on()
                            receiver.take(chunk)
                    if receiver.position == before:
                        raise Interrupted("the storage sent nothing")
                except _WrongPart as wrong:
                    rejected[wrong.part.number] += 1
                    self._reject(target, wrong.part, rejected[wrong.part.number])
                    target.link.drop(url)  # another URL passes by caches that hold wrong bytes
                    failures = stale = 0
                except StaleLink as refused:
                    stale += 1
                    if stale > _FRESH_LINKS:
                        raise AccessDenied(
                            403,
                            "storage_refuses",
                            f"The storage refuses fresh links to {target.file.file_name}: "
                            f"{refused}.",
                        ) from None
                    target.link.drop(url)
                    if stale > 1:
                        self._pause(self._client.policy.wait(1) or 0.0)
                except Interrupted as cut:
                    if receiver.done:
                        break
                    if receiver.position > before:
                        failures = stale = 0
                    failures += 1
                    pause = self._client.policy.wait(failures, cut.retry_after)
                    if pause is None:
                        raise NetworkError(
                            f"The download of {target.file.file_name} broke off "
                            f"{failures} times: {cut}."
                        ) from cut
                    self._pause(pause)
        with target.lock:
            target.outstanding -= 1
            last = target.outstanding == 0
        if last:
            self._verify(target)

    def _reject(self, target: _Target, part: Part, attempt: int) -> None:
        self._tell(BytesArrived(target.file, -part.bytes))
        self._tell(PartRejected(target.file, part.number, attempt))
        if attempt > REDOWNLOADS:
            raise VerificationError(
                f"Part {part.number} of {target.file.file_name} has the wrong SHA-256 after "
                f"{attempt} downloads. No file was put in place."
            )

    def _arrived(self, target: _Target, count: int) -> None:
        self._tell(BytesArrived(target.file, count))

    # -- verify ------------------------------------------------------------------------------

    def _verify(self, target: _Target) -> None:
        """Hash the file as it lies on the disk, and make it durable."""
        path = target.final if target.in_place else target.partial
        flags = os.O_RDONLY if target.in_place else os.O_RDWR
        with _opened(path, flags) as handle:
            if not target.in_place:
                os.fsync(handle)
            right = os.fstat(handle).st_size == target.file.bytes
            if target.file.sha256 is None:
                digests, whole = self._digests(handle, target.parts)
                right = right and digests == [part.sha256 for part in target.parts]
            else:
                whole = self._digest_of(handle, 0, target.file.bytes)
                if whole != target.file.sha256:
                    self._explain(handle, target, whole)
        if not right:
            raise self._damaged(target)
        if self._count is not None:
            target.counted_rows = self._count(path)
            if target.counted_rows != target.file.rows:
                raise VerificationError(
                    f"{target.file.file_name} has {target.counted_rows:,} rows, its manifest says "
                    f"{target.file.rows:,}. No file was put in place."
                )
        target.sha256 = whole
        self._tell(FileVerified(target.file, whole))

    def _explain(self, handle: int, target: _Target, whole: str) -> None:
        """Say whether the disk or the manifest is to blame for a wrong digest of the whole."""
        if len(self._matching(handle, target)) < len(target.parts):
            raise self._damaged(target)
        raise VerificationError(
            f"{target.file.file_name} has the SHA-256 {whole}, its manifest says "
            f"{target.file.sha256}. No file was put in place."
        )

    def _damaged(self, target: _Target) -> VerificationError:
        return VerificationError(
            f"{target.file.file_name} on disk is not what was written to it. "
            "Run the same command again; only the damaged parts are fetched."
        )

    # -- threads -----------------------------------------------------------------------------

    def _work(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run the tasks on up to `parallel` threads; the first error stops all and is raised.

        The threads are daemons and never waited for long: what they leave half done is
        examined by the next run, so an interrupted command may end at once.
        """
        queue = deque(tasks)
        errors: deque[BaseException] = deque()
        finished = threading.Semaphore(0)

        def labour() -> None:
            try:
                while not self._stop.is_set():
                    try:
                        task = queue.popleft()
                    except IndexError:
                        break
                    task()
            except _Stopped:
                pass
            except BaseException as error:  # raised again by the caller's thread
                errors.append(error)
                self._stop.set()
            finally:
                finished.release()

        crew = [
            threading.Thread(target=labour, name=f"headrace-download-{number}", daemon=True)
            for number in range(min(self._parallel, len(tasks)))
        ]
        try:
            for worker in crew:
                worker.start()
            for _ in crew:
                while not finished.acquire(timeout=1.0):
                    pass  # a timeout lets signals in
        except BaseException:
            self._stop.set()
            deadline = time.monotonic() + 2.0
            for worker in crew:
                worker.join(max(0.0, deadline - time.monotonic()))
            raise
        if errors:
            raise _most_telling(errors)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _tell(self, event: Event) -> None:
        with self._telling:
            self._listener(event)


class _Stopped(Exception):
    """Another thread failed, or the user interrupted."""


class _WrongPart(Exception):
    def __init__(self, part: Part) -> None:
        super().__init__(part.number)
        self.part = part


@dataclass
class _Target:
    """One file under way."""

    file: ManifestFile
    parts: tuple[Part, ...]
    partial: Path
    final: Path
    link: _Link
    held: frozenset[int] = frozenset()
    in_place: bool = False
    outstanding: int = 0
    sha256: str = ""
    counted_rows: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def held_bytes(self) -> int:
        return sum(part.bytes for part in self.parts if part.offset in self.held)

    def downloaded(self) -> DownloadedFile:
        return DownloadedFile(
            self.file.table,
            self.final,
            self.file.rows,
            self.file.bytes,
            self.sha256,
            self.held_bytes,
            self.counted_rows,
        )


class _Link:
    """The presigned URL of one file, asked for when needed and shared by threads."""

    def __init__(self, client: HeadraceClient, job_id: str) -> None:
        self._client = client
        self._job_id = job_id
        self._lock = threading.Lock()
        self._url: str | None = None

    def url(self) -> str:
        with self._lock:
            if self._url is None:
                self._url = self._client.job_url(self._job_id)
            return self._url

    def drop(self, url: str) -> None:
        """Forget `url`; one that another thread fetched since then stays."""
        with self._lock:
            if self._url == url:
                self._url = None


class _Receiver:
    """Writes arriving bytes to their place and checks each part as it fills."""

    def __init__(
        self, handle: int, parts: tuple[Part, ...], arrived: Callable[[int], None]
    ) -> None:
        self._handle = handle
        self._left = deque(parts)
        self._arrived = arrived
        self._hash = hashlib.sha256()
        self.position = parts[0].offset

    @property
    def done(self) -> bool:
        return not self._left

    def take(self, chunk: bytes) -> None:
        """The next bytes. Raises _WrongPart, and stands at that part's beginning again."""
        view = memoryview(chunk)
        while view and self._left:
            part = self._left[0]
            piece = view[: part.offset + part.bytes - self.position]
            _write_all(self._handle, piece, self.position)
            self._hash.update(piece)
            self.position += len(piece)
            view = view[len(piece) :]
            self._arrived(len(piece))
            if self.position == part.offset + part.bytes:
                digest, self._hash = self._hash.hexdigest(), hashlib.sha256()
                if digest != part.sha256:
                    self.position = part.offset
                    raise _WrongPart(part)
                self._left.popleft()


def _write_all(handle: int, piece: memoryview, position: int) -> None:
    while piece:
        written = os.pwrite(handle, piece, position)
        piece, position = piece[written:], position + written


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A file descriptor on `path`, following no symlink; errors of the disk become sentences."""
    with local_errors(path):
        handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            yield handle
        finally:
            os.close(handle)


def _size(path: Path) -> int | None:
    """The size of a regular file that is no symlink; None where there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    return path.stat().st_size


def _most_telling(errors: Sequence[BaseException]) -> BaseException:
    """Of several threads' errors, one of ours before any other."""
    for error in errors:
        if isinstance(error, HeadraceClientError):
            return error
    return errors[0]
