"""A process that dies at a given step, from outside: at every write, rename, statement and call.

The steps of the client are counted before and after each call of what moves something: files,
folders, links, requests, statements, commits. At the chosen one `Died` is raised, and from then on
every further step raises it too, so that no handler of the client can tidy up after itself.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import duckdb
import httpx
import psycopg

from headrace_client.sync.duckdb_file import DuckdbFile
from headrace_client.sync.folder import ParquetFolder
from headrace_client.sync.postgresql import PostgresqlSchema

_FILES = ("replace", "rename", "link", "symlink", "unlink", "mkdir", "fsync", "pwrite")
_STATEMENTS = (
    (psycopg.Connection, "execute"),
    (psycopg.Connection, "commit"),
    (psycopg.Copy, "write"),
    (httpx.Client, "send"),
    (shutil, "rmtree"),
)


class Died(BaseException):
    """No handler of the client expects it, as none sees a kill."""


class Steps:
    """Counts the client's steps, and dies at the one with this number (None: never)."""

    def __init__(self, last: int | None, counting: bool) -> None:
        self.taken = 0
        self.counting = counting
        self._last = last
        self._lock = threading.Lock()

    def step(self) -> None:
        """One more. Steps of the fake service, which runs in threads beside, are none."""
        thread = threading.current_thread()
        if not self.counting:
            return
        if thread is not threading.main_thread() and not thread.name.startswith("headrace-"):
            return
        with self._lock:
            self.taken += 1
            if self._last is not None and self.taken >= self._last:
                raise Died

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, with a step before it and one after."""

        def stepping(*arguments: Any, **options: Any) -> Any:
            self.step()
            given = call(*arguments, **options)
            self.step()
            return given

        return stepping


class _Connection:
    """A connection of DuckDB whose statements are steps."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, steps: Steps) -> None:
        self._connection = connection
        for name in ("execute", "begin", "commit"):
            setattr(self, name, steps.around(getattr(connection, name)))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(self, *error: object) -> None:
        self._connection.close()


@contextmanager
def dying(last: int | None, *, applying: bool = False) -> Iterator[Steps]:
    """Within, the client dies at step `last`, which is told by `Died`. With `applying`, steps count
    from the moment on at which documents are applied."""
    steps = Steps(last, counting=not applying)
    connect = duckdb.connect

    def counted(apply: Callable[..., Any]) -> Callable[..., Any]:
        def applied(*arguments: Any) -> Any:
            steps.counting = True
            return apply(*arguments)

        return applied

    def connected(*arguments: Any, **options: Any) -> Any:
        return _Connection(connect(*arguments, **options), steps)

    with ExitStack() as stack:
        for name in _FILES:
            stack.enter_context(patch.object(os, name, steps.around(getattr(os, name))))
        for owner, name in _STATEMENTS:
            stack.enter_context(patch.object(owner, name, steps.around(getattr(owner, name))))
        stack.enter_context(patch.object(duckdb, "connect", connected))
        for kind in (ParquetFolder, DuckdbFile, PostgresqlSchema):
            stack.enter_context(patch.object(kind, "apply", counted(kind.apply)))
        yield steps
