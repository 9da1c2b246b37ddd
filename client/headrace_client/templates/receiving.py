"""A walk into a file: page after page, gone on with after a kill, and seen only when it is whole.

Beside FILE, until it is there:

    .FILE.partial      the rows so far; locked while a command writes it
    .FILE.walk.json    what was asked, how many bytes and rows of .FILE.partial are good, and
                       where the next page is

The page is durable before the note of it is: what a kill leaves after the noted bytes is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from headrace_client.errors import FileExpired, LocalFileError
from headrace_client.events import Note
from headrace_client.templates.model import Piece, RowFormat, TemplateFile
from headrace_client.templates.writing import written
from headrace_client.workspace import local_errors, locked, sync_directory, write_atomically

_WALKS = 3
"""Walks that are begun, if each is over before its last page came."""


@dataclass(frozen=True)
class RowsArrived:
    """So many rows are in the file by now."""

    rows: int
    bytes: int


FileEvent = Note | RowsArrived


def unheard(event: FileEvent) -> None:
    """Does nothing."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of whom are to be in a file, and how. What differs is not gone on with."""

    service: str
    reader: str
    template_id: str
    format: RowFormat
    query: Mapping[str, str]
    one_page: bool = False


@dataclass(frozen=True)
class Standing:
    """How far a file is. `ended`: its last page is in it."""

    bytes: int = 0
    rows: int = 0
    following: Mapping[str, str] | None = None
    ended: bool = False


Pieces = Callable[[Mapping[str, str] | None], Iterator[Piece]]
"""The pages from the first, or from what is given, on."""


def received(
    wanted: Wanted,
    file: Path,
    pieces: Pieces,
    listener: Callable[[FileEvent], None] = unheard,
    *,
    new: bool = False,
) -> TemplateFile:
    """Puts all pages into a file, or leaves what was there. Raises LocalFileError, and as the
    pages do."""
    partial = file.with_name(f".{file.name}.partial")
    note = file.with_name(f".{file.name}.walk.json")
    refusal = LocalFileError(f"Another headrace command writes {file}; run again when it ended.")
    if file.is_dir():
        raise LocalFileError(f"{file} is a directory: name the file that is to be in it.")
    with locked(partial, refusal), local_errors(partial), partial.open("r+b") as opened:
        writer = _Writer(wanted, opened, note, listener)
        before = Standing() if new else writer.left()
        try:
            standing, resumed = writer.filled(before, pieces)
        except BaseException:
            if not note.exists():  # there is nothing to go on with
                partial.unlink()
            raise
        with local_errors(file):
            partial.replace(file)
            sync_directory(file.parent)
            note.unlink(missing_ok=True)
    return TemplateFile(
        wanted.template_id,
        file,
        wanted.format,
        standing.rows,
        standing.bytes,
        resumed,
        has_more=standing.following is not None,
    )


@dataclass(frozen=True)
class _Writer:
    wanted: Wanted
    opened: BinaryIO
    note: Path
    listener: Callable[[FileEvent], None]

    def left(self) -> Standing:
        """What an earlier run left that can be gone on with."""
        with local_errors(self.note):
            try:
                held = json.loads(self.note.read_text("utf-8"))
                wanted, standing = held["wanted"], Standing(**held["standing"])
            except FileNotFoundError:
                return Standing()
            except (ValueError, TypeError, KeyError):
                return Standing()  # of another version: nothing is lost but a resumption
        if wanted != asdict(self.wanted):
            self.listener(Note("What was begun here was of other rows; beginning anew."))
            return Standing()
        if os.fstat(self.opened.fileno()).st_size < standing.bytes:
            return Standing()
        self.listener(Note(f"Going on after {standing.rows:,} rows, which an earlier run wrote."))
        return standing

    def filled(self, before: Standing, pieces: Pieces) -> tuple[Standing, int]:
        """The file's end, and how many rows of it were there before."""
        for tried in range(1, _WALKS + 1):
            try:
                return self._walked(before, pieces), before.rows
            except FileExpired as over:
                if tried == _WALKS:
                    raise
                # Pages of two walks would be of two snapshots.
                self.listener(Note(f"{over.detail} Beginning anew."))
                before = Standing()
        raise AssertionError("unreachable: the last try returns or raises")

    def _walked(self, before: Standing, pieces: Pieces) -> Standing:
        standing = before
        if standing == Standing():  # before what an older note is of is written over
            with local_errors(self.note):
                self.note.unlink(missing_ok=True)
                sync_directory(self.note.parent)
        self.opened.seek(standing.bytes)
        self.opened.truncate()
        if not standing.ended:
            for piece in pieces(standing.following):
                standing = self._appended(standing, piece)
                if self.wanted.one_page:
                    break
        return standing

    def _appended(self, standing: Standing, piece: Piece) -> Standing:
        ended = piece.next is None or self.wanted.one_page
        content = written(
            self.wanted.format, piece, standing.rows, first=standing.bytes == 0, last=ended
        )
        self.opened.write(content)
        self.opened.flush()
        os.fsync(self.opened.fileno())
        grown = Standing(
            standing.bytes + len(content), standing.rows + piece.rows, piece.next, ended
        )
        write_atomically(self.note, {"wanted": asdict(self.wanted), "standing": asdict(grown)})
        self.listener(RowsArrived(grown.rows, grown.bytes))
        return grown
