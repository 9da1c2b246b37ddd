"""A folder of Parquet files as a destination, moved from one generation to the next by one rename.

    DIR/employees.parquet             → current/employees.parquet
    DIR/current                       → .headrace-sync/generations/7
    DIR/.headrace-sync/generations/7  the tables at one version, and sync.json, the state
    DIR/.headrace-sync/lock           held while a sync works
    DIR/.headrace-sync/download/      documents on their way

A new generation is written whole: a table that did not change is a hard link to the same file. Then
`current` is renamed to point to it, and all tables and the state have moved at once. The generation
before stays until the next move, for those who still read in it.
"""

# ruff: noqa: S608  names are quoted as identifiers, and values as literals or bound

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from headrace_client.errors import DestinationError, DestinationInUse
from headrace_client.model import Compression, Content, FileFormat, TableMetadata
from headrace_client.sync import engine
from headrace_client.sync.destination import CHANGE, DELETED, Applied, Document
from headrace_client.sync.state import SyncState, demand_unchanged, gone
from headrace_client.workspace import (
    demand_safe_names,
    local_errors,
    locked,
    sync_directory,
    write_atomically,
)

_CURRENT = "current"
_STATE = "sync.json"
_SUFFIX = ".parquet"


@dataclass(frozen=True)
class ParquetFolder:
    """The folder `directory`, which is made where there is none."""

    directory: Path
    file_format = FileFormat.PARQUET
    compression = Compression.ZSTD

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.directory)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock file."""
        refusal = DestinationInUse(f"Another headrace sync works on {self.directory}.")
        with locked(self._own / "lock", refusal):
            yield

    def state(self) -> SyncState | None:
        """The state of the current generation. Finishes a move that was cut off."""
        if not (self.directory / _CURRENT).exists():
            return None
        with local_errors(self.directory):
            state = self._state()
            self._tidy(state)
        return state

    def demand_room(self, tables: Sequence[TableMetadata], state: SyncState | None) -> None:
        """DestinationError where the folder has such a file that is not the sync's."""
        names = [f"{table.name}{_SUFFIX}" for table in tables]
        demand_safe_names([*names, _CURRENT])
        for name in [*names, _CURRENT]:
            path = self.directory / name
            if path.is_symlink() or not path.exists():
                continue
            raise DestinationError(
                f"{path} stands there and no sync made it. Choose another folder."
            )

    def record(self, state: SyncState) -> None:
        """Write the state into the current generation."""
        if not (self.directory / _CURRENT).exists():
            with local_errors(self.directory):
                first = self._generation(0)
                shutil.rmtree(first, ignore_errors=True)
                first.mkdir(parents=True)
                write_atomically(first / _STATE, state.to_json())
                self._move_to(0)
            return
        write_atomically(self.directory / _CURRENT / _STATE, state.to_json())

    def workspace(self, state: SyncState) -> Path:
        """Inside the folder, so that documents need no copy."""
        return self._own / "download"

    def apply(
        self, before: SyncState, after: SyncState, documents: Sequence[Document]
    ) -> tuple[Applied, ...]:
        """Write the next generation, and move to it."""
        with local_errors(self.directory):
            demand_unchanged(self._state(), before)
            number = self._number() + 1
            fresh = self._generation(number)
            shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed
            fresh.mkdir(parents=True)
            applied = [self._write(fresh, document) for document in documents]
            for name in gone(before, after):
                applied.append(Applied(name, None, 0, 0, self._rows(name), 0))
            write_atomically(fresh / _STATE, after.to_json())
            sync_directory(fresh.parent)
            self._move_to(number)
            self._tidy(after)
        return tuple(applied)

    # -- generations -------------------------------------------------------------------------

    @property
    def _own(self) -> Path:
        return self.directory / ".headrace-sync"

    def _generation(self, number: int) -> Path:
        return self._own / "generations" / str(number)

    def _number(self) -> int:
        """The current generation's."""
        name = (self.directory / _CURRENT).readlink().name
        if not name.isdigit():
            raise DestinationError(
                f"{self.directory / _CURRENT} leads to none of a sync's folders."
            )
        return int(name)

    def _state(self) -> SyncState:
        try:
            held = json.loads((self._generation(self._number()) / _STATE).read_text("utf-8"))
        except ValueError:
            held = None
        return SyncState.from_json(held)

    def _move_to(self, number: int) -> None:
        """The one step by which the folder changes."""
        self._link(self._generation(number).relative_to(self.directory), _CURRENT)

    def _link(self, target: Path, name: str) -> None:
        """Let a link in the folder lead to `target`, from one moment to the next."""
        fresh = self._own / "link.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(self.directory / name)
        sync_directory(self.directory)

    def _tidy(self, state: SyncState) -> None:
        """What comes after a move, and may be done again: links, and old generations."""
        wanted = {f"{name}{_SUFFIX}": Path(_CURRENT) / f"{name}{_SUFFIX}" for name in state.schemas}
        for name, target in wanted.items():
            link = self.directory / name
            if not link.is_symlink() and link.exists():
                raise DestinationError(
                    f"{link} stands there and no sync made it. Move it away, and run again."
                )
            if not link.is_symlink() or link.readlink() != target:
                self._link(target, name)
        for link in self.directory.glob(f"*{_SUFFIX}"):
            ours = link.is_symlink() and link.readlink().parent == Path(_CURRENT)
            if ours and link.name not in wanted:
                link.unlink()
        number = self._number()
        for old in (self._own / "generations").iterdir():
            if old.name not in (str(number), str(number - 1)):
                shutil.rmtree(old)

    # -- tables ------------------------------------------------------------------------------

    def _write(self, fresh: Path, document: Document) -> Applied:
        """The table as it stands after the document, in the new generation."""
        name = document.table.name
        held = self.directory / _CURRENT / f"{name}{_SUFFIX}"
        path = fresh / f"{name}{_SUFFIX}"
        with engine.opened(":memory:", self._own / "spill") as connection:
            if document.content is Content.FULL:
                engine.demand_full(connection, document)
                _share(document.path, path)
                return Applied(name, Content.FULL, document.rows, 0, 0, document.rows)
            incoming, inserted, updated, deleted = engine.changes(connection, document)
            if document.rows == 0:
                _share(held.resolve(), path)
            else:
                fields = engine.columns([field.name for field in document.table.fields])
                connection.execute(
                    f"COPY (SELECT {fields} FROM {engine.parquet(held)} AS held "
                    f"WHERE NOT EXISTS (SELECT 1 FROM {incoming} AS incoming "
                    f"WHERE {engine.same_key(document, 'held', 'incoming')}) "
                    f"UNION ALL SELECT {fields} FROM {incoming} "
                    f"WHERE {CHANGE} <> {engine.text(DELETED)}) "
                    f"TO {engine.text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
                )
                _make_durable(path)
            rows = engine.number(connection, engine.parquet(path))
            return Applied(name, Content.CHANGES, inserted, updated, deleted, rows)

    def _rows(self, name: str) -> int:
        held = self.directory / _CURRENT / f"{name}{_SUFFIX}"
        with engine.opened(":memory:", self._own / "spill") as connection:
            return engine.number(connection, engine.parquet(held))


def _share(held: Path, path: Path) -> None:
    """The same file once more: as a link, or as a copy where the disk knows no links."""
    with suppress(OSError):
        os.link(held, path)
        return
    shutil.copyfile(held, path)
    _make_durable(path)


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
