"""Which bytes of a file to ask for: pure planning over the manifest's parts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from headrace_client.errors import VerificationError
from headrace_client.model import ManifestFile, Part

STRETCH_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Stretch:
    """Neighbouring parts of one file that one ranged request fetches, in order."""

    parts: tuple[Part, ...]

    @property
    def offset(self) -> int:
        """The first byte's position in the file."""
        return self.parts[0].offset

    @property
    def end(self) -> int:
        """The position after the last byte."""
        return self.parts[-1].offset + self.parts[-1].bytes


def verifiable_parts(file: ManifestFile) -> tuple[Part, ...]:
    """The file's parts in order, once they are known to cover it exactly.

    A file that comes without parts but with a digest of the whole is one part. Empty parts are
    left out. Raises VerificationError when parts overlap, leave gaps, or do not add up to the
    file: such a manifest proves nothing.
    """
    parts = tuple(sorted((part for part in file.parts if part.bytes), key=lambda part: part.offset))
    if not parts and file.bytes and file.sha256:
        parts = (Part(1, 0, file.bytes, file.sha256),)
    position = 0
    for part in parts:
        if part.offset != position:
            raise VerificationError(
                f"The manifest's parts of {file.file_name!r} do not cover it: part {part.number} "
                f"begins at {part.offset} instead of {position}."
            )
        position += part.bytes
    if position != file.bytes:
        raise VerificationError(
            f"The manifest's parts of {file.file_name!r} add up to {position} bytes, "
            f"not to the file's {file.bytes}."
        )
    return parts


def stretches(
    parts: tuple[Part, ...], held: Collection[int], target: int = STRETCH_BYTES
) -> tuple[Stretch, ...]:
    """Group the parts that are missing into stretches of at most `target` bytes.

    `parts` as `verifiable_parts` gives them; `held` are the offsets of those that need no
    fetching. A part is never divided (its digest covers it whole), so one that is larger than
    `target` is a stretch by itself. Small neighbours share a request, because a request costs
    more than a few megabytes do.
    """
    planned: list[Stretch] = []
    gathered: list[Part] = []

    def close() -> None:
        if gathered:
            planned.append(Stretch(tuple(gathered)))
            gathered.clear()

    for part in parts:
        if part.offset in held:
            close()
            continue
        if gathered and part.offset + part.bytes - gathered[0].offset > target:
            close()
        gathered.append(part)
    close()
    return tuple(planned)
