"""Lines out of chunks of bytes, and who is told of them."""

from collections.abc import Iterable, Iterator

from headrace.adapters.payload.limits import Limits
from headrace.kernel.errors import PayloadRefused

SAID_EVERY = 1000
"""After so many records that were checked somebody is told."""


def in_silence(records: int) -> None:
    """Tells nobody how many records were read."""


def lines_of(chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Each line with its line feed, and no more of them in memory than a chunk's.

    Raises PayloadRefused: a line is too long, or the last one has no end.
    """
    pieces: list[bytes] = []
    length = 0
    for chunk in chunks:
        first, found, rest = chunk.partition(b"\n")
        pieces.append(first)
        length += len(first)
        limits.check_line(length)
        if not found:
            continue
        if len(rest) > limits.line:
            limits.check_line(max(map(len, rest.split(b"\n"))))
        yield b"".join(pieces) + b"\n"
        lines = rest.split(b"\n")
        pieces = [lines.pop()]
        length = len(pieces[0])
        for line in lines:
            yield line + b"\n"
    if length:
        raise PayloadRefused("A document of the payload ends within a record.")
