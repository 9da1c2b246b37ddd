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


def count_rows(path: Path, file_format: str, compression: str) -> int | None:
    """The rows of a CSV (its header is none) or NDJSON file; None for other formats.

    A quoted line break in CSV does not end a row. Raises VerificationError for a file that
    cannot be read as what it is said to be, SetupError where zstd support is not installed.
    """
    if file_format not in _COUNTABLE:
        return None
    try:
        with _plain(path, compression) as stream:
            if file_format == "ndjson":
                return sum(1 for line in stream if line.strip())
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
            csv.field_size_limit(2**31 - 1)
            return max(0, sum(1 for _ in csv.reader(text, strict=True)) - 1)
    except (EOFError, UnicodeDecodeError, csv.Error) as error:
        raise VerificationError(f"{path.name} cannot be read as {file_format}: {error}.") from error


@contextmanager
def _plain(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """The file as it was before compression; what cannot be unpacked is a VerificationError."""
    with path.open("rb") as stored:
        if compression == "none":
            yield stored
            return
        opened, broken = _unpacking(compression)
        try:
            with opened(stored, "rb") as stream:
                yield stream
        except broken as error:
            raise VerificationError(f"{path.name} is not {compression}: {error}.") from error


def _unpacking(compression: str) -> tuple[Callable[..., Any], type[Exception] | tuple[Any, ...]]:
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
