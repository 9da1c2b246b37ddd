"""How the pages of a walk become one document."""

from __future__ import annotations

from headrace_client.templates.model import Piece, RowFormat


def written(
    row_format: RowFormat, piece: Piece, rows_before: int, *, first: bool, last: bool
) -> bytes:
    """A page as it stands in the document of all. Values stay as they came, to the byte."""
    if row_format is RowFormat.NDJSON:
        return piece.lines
    if row_format is RowFormat.CSV:
        return piece.header + piece.lines if first else piece.lines
    begun = b"[\n" if first else b""
    between = b",\n" if rows_before and piece.rows else b""
    rows = piece.lines.removesuffix(b"\n").replace(b"\n", b",\n")
    end = (b"\n]\n" if rows_before or piece.rows else b"]\n") if last else b""
    return begun + between + rows + end
