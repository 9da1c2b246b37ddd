"""The directory of a pull: what is kept between runs, and how files come into view.

    DIR/employees.csv            a finished file, only ever seen whole and verified
    DIR/manifest.json            written last: its presence says that the set is complete
    DIR/.headrace/lock           held while a pull works here
    DIR/.headrace/pull.json      what the last pull asked for, and which operation answers it
    DIR/.headrace/<operationId>/ the manifest, and NAME.partial for each file under way

Nothing in here is trusted after a crash: a `.partial` file is as long as the file will be, and
its parts are hashed again to learn which of them are there.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headrace_client.errors import (
    DirectoryInUse,
    HeadraceClientError,
    LocalFileError,
    ProtocolError,
    VerificationError,
)

STATE_DIRECTORY = ".headrace"
MANIFEST = "manifest.json"
_OPERATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_LONGEST_NAME = 255 - len(".partial")


@dataclass(frozen=True)
class Intent:
    """What a pull set out to do, written before anything is asked of the service.

    The idempotency key is saved before the start request goes out: a pull that is killed
    between the two starts no second operation when it is run again. `operation_id` is None
    until the service has answered.
    """

    client_id: str
    idempotency_key: str
    configuration_id: str | None
    file_format: str
    compression: str
    entity: str | None
    operation_id: str | None = None
    complete: bool = False
    since: str | None = None

    def of(self, operation_id: str) -> Intent:
        """The same intent, answered by this operation."""
        return replace(self, operation_id=operation_id)

    def completed(self) -> Intent:
        """The same intent, with every file in place."""
        return replace(self, complete=True)


class Workspace:
    """One directory that a pull fills. Use its methods inside `locked()`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._state = directory / STATE_DIRECTORY

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; DirectoryInUse when another process does."""
        refusal = DirectoryInUse(
            f"Another headrace pull works in {self.directory}. Wait for it, "
            "or pull into another directory with --out."
        )
        with locked(self._state / "lock", refusal):
            yield

    def intent(self) -> Intent | None:
        """The last pull's intent; None where there is none, or an unreadable one."""
        with local_errors(self._state):
            try:
                held = json.loads((self._state / "pull.json").read_text("utf-8"))
                return Intent(**held)
            except (FileNotFoundError, ValueError, TypeError):
                return None  # a leftover of another version: nothing is lost but a resumption

    def save(self, intent: Intent) -> None:
        """Keep the intent, durably."""
        write_atomically(self._state / "pull.json", asdict(intent))

    def forget_intent(self) -> None:
        """Drop the intent: the service refused it, so there is nothing to go on with."""
        with local_errors(self._state):
            (self._state / "pull.json").unlink(missing_ok=True)

    def open_operation(self, operation_id: str, manifest: Mapping[str, Any]) -> None:
        """Make room for this operation's files, and drop those of operations given up."""
        if not _OPERATION_ID.fullmatch(operation_id):
            raise ProtocolError("The service's operation id cannot be used as a file name.")
        with local_errors(self._state):
            for entry in self._state.iterdir():
                if entry.is_dir() and not entry.is_symlink() and entry.name != operation_id:
                    shutil.rmtree(entry)
            (self._state / operation_id).mkdir(exist_ok=True)
        write_atomically(self._state / operation_id / MANIFEST, manifest)

    def partial(self, operation_id: str, file_name: str) -> Path:
        """Where a file grows until it is verified."""
        return self._state / operation_id / f"{file_name}.partial"

    def final(self, file_name: str) -> Path:
        """Where the verified file will be seen."""
        return self.directory / file_name

    def publish(self, operation_id: str, names: list[str], manifest: Mapping[str, Any]) -> None:
        """Rename the verified files into place, then write the manifest beside them.

        Names without a `.partial` are in place already. An older manifest goes first, so that
        none ever stands beside files that it does not describe. Runs through from any point
        where it was interrupted.
        """
        with local_errors(self.directory):
            if [
                self.partial(operation_id, name)
                for name in names
                if self.partial(operation_id, name).exists()
            ]:
                (self.directory / MANIFEST).unlink(missing_ok=True)
            for name in names:
                partial = self.partial(operation_id, name)
                if partial.exists():
                    partial.replace(self.final(name))
            sync_directory(self.directory)
        write_atomically(self.directory / MANIFEST, manifest)

    def close_operation(self, operation_id: str) -> None:
        """Remove what was kept for resuming."""
        with local_errors(self._state):
            shutil.rmtree(self._state / operation_id, ignore_errors=True)

    def demand_space(self, wanted: int) -> None:
        """LocalFileError when the disk has less room than `wanted` bytes."""
        with local_errors(self.directory):
            free = shutil.disk_usage(self.directory).free
        if free < wanted:
            raise LocalFileError(
                f"{self.directory} needs {wanted:,} bytes more, and its disk has {free:,} free. "
                "Make room, and run the same command again."
            )


def demand_safe_names(names: list[str]) -> None:
    """VerificationError unless every name is a plain, visible, unique file name.

    The names come over the network, and a file name must not choose a directory.
    """
    seen: set[str] = set()
    for name in names:
        if (
            not name
            or name.startswith(".")
            or any(mark in name for mark in "/\\\0")
            or not name.isprintable()
            or len(os.fsencode(name)) > _LONGEST_NAME
            or name.casefold() == MANIFEST
        ):
            raise VerificationError(f"The manifest names a file {name[:300]!r}; refused.")
        if name.casefold() in seen:
            raise VerificationError(f"The manifest names two files {name!r}; refused.")
        seen.add(name.casefold())


def write_atomically(path: Path, document: object, mode: int = 0o666) -> None:
    """Write JSON so that a reader, or a crash, sees the old document or the new one, whole."""
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    fresh = path.with_name(f".{path.name}.new")
    with local_errors(path):
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_directory(path.parent)


@contextmanager
def locked(path: Path, refusal: HeadraceClientError) -> Iterator[None]:
    """Hold the lock file; raises `refusal` when another process does.

    The lock is the kernel's, so it ends with the process however that ends.
    """
    with local_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield
    finally:
        os.close(handle)


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into sentences about `path`."""
    try:
        yield
    except OSError as error:
        named = error.filename or path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = "the disk is full. Make room, and run the same command again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            said = "no permission to write there"
        elif error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise _in_the_way(Path(os.fsdecode(named)), error) from error
        else:
            said = error.strerror or str(error)
        raise LocalFileError(f"{named}: {said}.") from error


def _in_the_way(path: Path, error: OSError) -> LocalFileError:
    """Says what stands where something else is to be, and what to do."""
    for standing in (path, *path.parents):
        if standing.is_dir():
            if standing == path and error.errno == errno.EISDIR:
                return LocalFileError(
                    f"{standing} is a directory, and a file is to be there: move it away, or name "
                    "another place."
                )
            break
        if standing.exists() or standing.is_symlink():
            kind = "file" if standing.is_file() else "link" if standing.is_symlink() else "device"
            return LocalFileError(
                f"{standing} is a {kind}, and a directory is to be there: name another one, or "
                f"move the {kind} away."
            )
    return LocalFileError(f"{path}: something else stands there ({error.strerror}).")


def sync_directory(directory: Path) -> None:
    """Make what was created and renamed in it durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
