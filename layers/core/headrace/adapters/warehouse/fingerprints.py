"""Versions of what has none: a fingerprint of its files."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.kernel.errors import SourceChanged


def size_and_time(file: Path) -> tuple[int, int]:
    """Its bytes, and when it was changed (ns)."""
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


def fingerprint(files: Mapping[str, tuple[int, int]]) -> str:
    """Names, sizes and times of change; a file rewritten in place has another time."""
    digest = hashlib.sha256()
    for name in sorted(files):
        size, changed = files[name]
        digest.update(f"{name}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()[:32]


def check_unchanged(now_is: Callable[[], str], version: str | None) -> Callable[[], None]:
    """A check against ``version``, or without one against what is there at the first call."""
    expected = [version]

    def check() -> None:
        now = now_is()
        if expected[0] is None:
            expected[0] = now
        if now != expected[0]:
            raise SourceChanged("The files of the source have changed since the version was taken.")

    return check
