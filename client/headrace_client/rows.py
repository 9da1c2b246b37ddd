"""Counting the rows of a downloaded file, to hold them against the manifest."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from headrace_client.errors import SetupError, VerificationError

_COUNTABLE = ("csv", "ndjson")
_Unpacking = tuple[Callable[..., Any], type[Exception] | tuple[type[Exception], ...]]


def row_counter(file_format: str, compression: str) -> Callable[[Path], int] | None:
    """What counts the rows of such files; None for formats that are not counted.

    A CSV file's header is no row, and a quoted line break ends none. Raises SetupError at once
    where zstd support is wanted and not installed. The counter raises VerificationError for a
    file that cannot be read as what it is said to be.
    """
    if file_format not in _COUNTABLE:
        return None
    unpacking = None if compression == "none" else _unpacking(compression)

    def count(path: Path) -> int:
        try:
            with _plain(path, unpacking) as stream:
                if file_format == "ndjson":
                    return sum(1 for line in stream if line.strip())
                text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
                csv.field_size_limit(2**31 - 1)
                return max(0, sum(1 for _ in csv.reader(text, strict=True)) - 1)
        except (EOFError, UnicodeDecodeError, csv.Error) as error:
            name = path.name.removesuffix(".partial")
            raise VerificationError(f"{name} cannot be read as {file_format}: {error}.") from error

    return count


@contextmanager
def _plain(path: Path, unpacking: _Unpacking | None) -> Iterator[IO[bytes]]:
    """The file as it was before compression; what cannot be unpacked is a VerificationError."""
    with path.open("rb") as stored:
        if unpacking is None:
            yield stored
            return
        opened, broken = unpacking
        try:
            with opened(stored, "rb") as stream:
                yield stream
        except broken as error:
            name = path.name.removesuffix(".partial")
            raise VerificationError(f"{name} cannot be unpacked: {error}.") from error


def _unpacking(compression: str) -> _Unpacking:
    """How to open such a file, and what it raises for one that is damaged."""
    if compression == "gzip":
        return gzip.open, (gzip.BadGzipFile, zlib.error)
    try:
        # since Python 3.14
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        try:
            from backports import zstd  # noqa: PLC0415
        except ImportError:
            raise SetupError(
                "Counting the rows of zstd files needs: pip install 'headrace-client[zstd]'."
            ) from None
    return zstd.open, zstd.ZstdError
