"""What happens during a pull, told to whoever listens: a progress bar, a log, a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headrace_client.model import ManifestFile, Operation


@dataclass(frozen=True)
class Note:
    """A sentence for the user."""

    text: str


@dataclass(frozen=True)
class OperationChosen:
    """The operation is known. `how` is `started`, `resumed` (left unfinished by an earlier run),
    `joined` (another pull of this client started it) or `given`."""

    operation: Operation
    how: str


@dataclass(frozen=True)
class OperationSeen:
    """A look at the operation while it is awaited."""

    operation: Operation


@dataclass(frozen=True)
class DownloadPlanned:
    """All files are known. `held`: per file name, the bytes on disk that were verified and stay."""

    files: tuple[ManifestFile, ...]
    held: Mapping[str, int]


@dataclass(frozen=True)
class BytesArrived:
    """Bytes were written. Negative: a part turned out wrong and is fetched again."""

    file: ManifestFile
    bytes: int


@dataclass(frozen=True)
class PartRejected:
    """A part's digest was wrong, for the `attempt`-th time."""

    file: ManifestFile
    part: int
    attempt: int


@dataclass(frozen=True)
class FileVerified:
    """A file is whole on disk and verified; `sha256` is that of the whole file."""

    file: ManifestFile
    sha256: str


@dataclass(frozen=True)
class FilesPublished:
    """All files stand under their names."""

    directory: str


Event = (
    Note
    | OperationChosen
    | OperationSeen
    | DownloadPlanned
    | BytesArrived
    | PartRejected
    | FileVerified
    | FilesPublished
)

Listener = Callable[[Event], None]
"""Called for each event, one at a time, though perhaps from different threads."""


def nobody(event: Event) -> None:
    """The listener that does not listen."""
