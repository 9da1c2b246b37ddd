"""A COPY as a stream of bytes: DuckDB writes into a pipe, the caller reads the other end.

Nothing lies on a disk and memory stays flat: the engine waits while the pipe is full. The end of
the stream means that the COPY ended well; whatever ended it early is raised to the reader.
"""

import fcntl
import os
import select
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any, Self

import duckdb
from backports import zstd
from isal import isal_zlib

from headrace.adapters.warehouse.engine import Connection
from headrace.adapters.warehouse.engine_errors import cause, translated
from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import PartPosition
from headrace.exports.warehouses import RowStream

CHUNK = 1024 * 1024
"""Bytes read at once, and the pipe's size where the system grants it."""

_PATIENCE_S = 1.0

_RAW_LINES = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '', FORCE_QUOTE *"
"""Lines as they are: the values make them whole, and none has a line break.

To force quotes where there are none spares the engine the search of each line for what would need
them: a quarter of its work on NDJSON."""

_CODECS = {Compression.NONE: "snappy", Compression.GZIP: "gzip", Compression.ZSTD: "zstd"}


def copy_options(
    file_format: FileFormat, compression: Compression, *, header: bool, ordered: bool = False
) -> str:
    """The options of a COPY whose SELECT has ``values.select_list(…, file_format)``.

    ``ordered``: the rows' order is kept by the engine, which then cannot bound a row group by
    bytes.
    """
    match file_format:
        case FileFormat.CSV:
            return f"FORMAT csv, HEADER {str(header).lower()}"
        case FileFormat.PARQUET:
            # Row groups of the default size, 122,880 rows, cost 50 MB more memory, and of 65,536
            # still 20; wide rows are bounded by bytes as well.
            bounded = "" if ordered else ", ROW_GROUP_SIZE_BYTES '32MB'"
            return (
                f"FORMAT parquet, COMPRESSION {_CODECS[compression]}, ROW_GROUP_SIZE 49152{bounded}"
            )
        case _:
            return _RAW_LINES


class Pipe:
    """A pipe whose writing end has a path. A context manager."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.path = f"/proc/self/fd/{self.writing}"
        _enlarge(self.writing)

    def end(self) -> None:
        """Closes the writing end: the reader comes to the end of the bytes."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        os.close(self.reading)


class LastingPipe(Pipe):
    """A pipe for one COPY after another: ``renew`` makes a new one of the same path."""

    def __init__(self) -> None:
        super().__init__()
        self._nothing = os.open(os.devnull, os.O_WRONLY)

    def end(self) -> None:
        """Closes the writing end, but keeps its number: nobody else may come by it."""
        os.dup2(self._nothing, self.writing, inheritable=False)

    def renew(self) -> None:
        """A new pipe in place of one that was read to its end."""
        reading, writing = os.pipe()
        os.dup2(reading, self.reading, inheritable=False)
        os.dup2(writing, self.writing, inheritable=False)
        os.close(reading)
        os.close(writing)
        _enlarge(self.writing)

    def __exit__(self, *_: object) -> None:
        for descriptor in (self.writing, self.reading, self._nothing):
            os.close(descriptor)


def _enlarge(pipe: int) -> None:
    with suppress(OSError):  # a system that grants no more than it did
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK)


_NEITHER = bytes(byte for byte in range(256) if byte not in b'"\n')
"""Every byte of CSV that does not tell where rows end."""


class _CsvRows:
    """Counts the rows of CSV as it comes: the line breaks that are not within quotes.

    Of a chunk only its quotes and line breaks are looked at, and no two quotes that are neighbours
    then: a cell without line breaks, or a quote within one. What is left is little; to look at
    every quote would cost as much as to write the rows.
    """

    def __init__(self, *, header: bool) -> None:
        self._lines, self._quoted = -1 if header else 0, False

    def __call__(self, chunk: bytes) -> int:
        """Rows so far, with those that end in this chunk."""
        # Between quotes every second piece is quoted.
        pieces = chunk.translate(None, _NEITHER).replace(b'""', b"").split(b'"')
        self._lines += sum(map(len, pieces[self._quoted :: 2]))
        self._quoted ^= len(pieces) % 2 == 0
        return max(self._lines, 0)


class _Lines:
    """Counts rows that are a line each."""

    def __init__(self) -> None:
        self._lines = 0

    def __call__(self, chunk: bytes) -> int:
        """Rows so far, with those that end in this chunk."""
        self._lines += chunk.count(b"\n")
        return self._lines


def row_counter(file_format: FileFormat, *, header: bool) -> Callable[[bytes], int] | None:
    """What counts rows chunk by chunk, of a COPY with ``copy_options``; None of Parquet."""
    if file_format is FileFormat.PARQUET:
        return None
    return _CsvRows(header=header) if file_format is FileFormat.CSV else _Lines()


class CopyStream:
    """The bytes of ``COPY (select) TO pipe (options)``, then ``rows``. A context manager.

    ``rows_so_far`` is what ``counter`` makes of the bytes that came; without it None.

    ``connection`` must be allowed to write to the pipe's path; it serves nothing else until this
    is left, which stops the COPY if it still runs. ``stop`` ends what the engine waits for where
    an interrupt does not reach it: another server's answer.
    """

    def __init__(
        self,
        pipe: Pipe,
        connection: Connection,
        select: str,
        parameters: list[object],
        options: str,
        stop: Callable[[], None] | None = None,
        counter: Callable[[bytes], int] | None = None,
    ) -> None:
        self._count, self.rows_so_far = counter, None if counter is None else 0
        self._pipe, self._connection, self._parameters = pipe, connection, parameters
        self._stop = stop
        self._statement = f"COPY ({select}) TO '{pipe.path}' ({options}, USE_TMP_FILE false)"
        self._copied: int | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._copy, name="copy", daemon=True)

    def _copy(self) -> None:
        try:
            row = self._connection.execute(self._statement, self._parameters).fetchone()
            self._copied = int(row[0]) if row else 0
        except BaseException as error:  # raised again in the reading thread
            self._error = error
        finally:
            # The engine had a descriptor of its own, closed by now.
            self._pipe.end()

    def __iter__(self) -> Iterator[bytes]:
        """The bytes; an empty chunk says that a second went by without any.

        Raises what ended the COPY early.
        """
        # Full chunks only: where they end must not depend on when they were read, or a range
        # compressed twice would not be the same bytes.
        room = memoryview(bytearray(CHUNK))
        filled = 0
        while True:
            ready, _, _ = select.select([self._pipe.reading], [], [], _PATIENCE_S)
            if not ready:
                yield b""
                continue
            came = os.readv(self._pipe.reading, [room[filled:]])
            filled += came
            if filled == CHUNK or (filled and not came):
                chunk = bytes(room[:filled])
                if self._count is not None:
                    self.rows_so_far = self._count(chunk)
                yield chunk
                filled = 0
            if not came:
                break
        self._thread.join()
        if isinstance(self._error, duckdb.Error):
            raise translated(self._error) from cause(self._error)
        if self._error is not None:
            raise self._error

    @property
    def rows(self) -> int:
        """Rows copied. Raises ValueError before the end."""
        if self._copied is None:
            raise ValueError("The rows are known at the end of the stream.")
        return self._copied

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The reading end stays open till the engine is done: to open a pipe that nobody reads
        # would block it for good. An interrupt before the query has begun is lost: so again.
        os.set_blocking(self._pipe.reading, False)
        if self._stop is not None and self._thread.is_alive():
            self._stop()
        while self._thread.is_alive():
            self._connection.interrupt()
            with suppress(BlockingIOError):
                os.read(self._pipe.reading, CHUNK)
            self._thread.join(0.01)


class Rows:
    """The stream of what a COPY wrote, encoded: iterate once, then ask for ``rows``.

    ``copy``: a ``CopyStream``, or a server's own COPY.
    """

    def __init__(self, chunks: Iterator[bytes], copy: RowStream) -> None:
        self._chunks, self._copy = chunks, copy

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    @property
    def rows_so_far(self) -> int | None:
        """How many rows have come; None of Parquet."""
        return self._copy.rows_so_far

    @property
    def rows(self) -> int:
        """How many rows there were; ValueError before the end."""
        return self._copy.rows


def run(
    connection: Connection, statement: str, parameters: list[object]
) -> Generator[bytes, None, Any]:
    """Runs a statement and returns its first row; an empty chunk says that a second went by.

    Whoever stops iterating must close this, which stops the statement. Raises what ended it early.
    """
    errors: list[BaseException] = []
    rows: list[Any] = []

    def work() -> None:
        try:
            rows.append(connection.execute(statement, parameters).fetchone())
        except BaseException as error:  # raised again in the iterating thread
            errors.append(error)

    thread = threading.Thread(target=work, name="statement", daemon=True)
    thread.start()
    try:
        thread.join(_PATIENCE_S)
        while thread.is_alive():
            yield b""
            thread.join(_PATIENCE_S)
    finally:
        while thread.is_alive():
            connection.interrupt()
            thread.join(0.01)
    for error in errors:
        if isinstance(error, duckdb.Error):
            raise translated(error) from cause(error)
        raise error
    return rows[0]


def framed(
    chunks: Iterator[bytes], file_format: FileFormat, position: PartPosition
) -> Iterator[bytes]:
    """Lines of JSON objects, each ending ``},``, as that part of an array. Others as they are."""
    if file_format is not FileFormat.JSON:
        yield from chunks
        return
    if position.first:
        yield b"["
    held = b"\n" if position.first else b""
    # Every line but the document's last keeps its comma: the end is held back till it is known.
    for chunk in chunks:
        whole = held + chunk
        yield whole[:-2]
        held = whole[-2:]
    if not position.last:
        yield held
    elif held == b",\n":
        yield b"\n]\n"
    else:  # no row at all
        yield b"]\n"


_BLOCK_BYTES = 256 * 1024


def _in_blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of one size, the last of what is left; empty ones in between."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) < _BLOCK_BYTES:
            yield b""
        while len(gathered) >= _BLOCK_BYTES:
            yield bytes(memoryview(gathered)[:_BLOCK_BYTES])
            del gathered[:_BLOCK_BYTES]
    yield bytes(gathered)


def compressed(chunks: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """The chunks as one gzip member or one zstd frame, the same bytes every time.

    Two workers of one range may write the same parts, and what one of them recorded must hold of
    what the other wrote. What isal makes depends on how its input is cut, so it is cut to blocks
    of one size, however it came through the pipe. An empty chunk goes on as one: whoever reads
    can see to other things meanwhile.
    """
    match compression:
        case Compression.NONE:
            yield from chunks
            return
        case Compression.GZIP:
            # zlib's own level 1 takes five times as long, level 6 twelve times.
            gzip = isal_zlib.compressobj(level=1, wbits=31)
            compress: Callable[[bytes], bytes] = gzip.compress
            finish: Callable[[], bytes] = gzip.flush
        case Compression.ZSTD:
            frame = zstd.ZstdCompressor(
                options={
                    zstd.CompressionParameter.compression_level: 1,
                    zstd.CompressionParameter.checksum_flag: 1,
                }
            )
            compress, finish = frame.compress, frame.flush
    for block in _in_blocks(chunks):
        yield compress(block)
    if out := finish():
        yield out
