"""Where the local platform keeps its things: one folder, so that two platforms never meet."""

import fcntl
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

_NOT_FOR_POSTGRESQL = re.compile(r"""[\s,"'$&;()<>|*?`\\\[]""")
"""A shell gets its folder as it is, and what the shell leaves is read as a list of folders."""

CHECKOUT = Path(__file__).resolve().parent.parent


class LocalFailure(Exception):
    """A command of the local platform failed; the message is for whoever ran it."""


@dataclass(frozen=True)
class Home:
    """The folder of one local platform (``.local``, or what ``HEADRACE_HOME`` names)."""

    root: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Home":
        """The home that the environment names; relative paths count from where one stands."""
        named = environ.get("HEADRACE_HOME", "")
        return cls(Path(named).resolve() if named else CHECKOUT / ".local")

    @property
    def outputs(self) -> Path:
        """headrace.json: what a client needs to know of this platform."""
        return self.root / "headrace.json"

    @property
    def state(self) -> Path:
        """The emulated services' state, written when the platform stops."""
        return self.root / "state"

    @property
    def objects(self) -> Path:
        """The buckets' objects."""
        return self.root / "s3"

    @property
    def warehouse(self) -> Path:
        """The sample warehouse."""
        return self.root / "warehouse"

    @property
    def roster(self) -> Path:
        """The sample's operational database."""
        return self.root / "roster"

    @property
    def tls(self) -> Path:
        """The TLS front's truststore and server certificate."""
        return self.root / "tls"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the platform and of the functions' processes; emptied at every start."""
        return self.root / "tmp"

    @property
    def extracted(self) -> Path:
        """Code and layers of the functions, unpacked once for each content."""
        return self.root / "lambda"

    @property
    def built_template(self) -> Path:
        """The template that `sam build` leaves, beside what it built."""
        return self.root / ".aws-sam" / "build" / "template.yaml"

    @property
    def platform_log(self) -> Path:
        """What the emulator says."""
        return self.root / "platform.log"

    @property
    def deploy_log(self) -> Path:
        """What the last build and deployment said."""
        return self.root / "deploy.log"

    @property
    def platform_lock(self) -> Path:
        """Held by the running platform, and holds its process id."""
        return self.root / "platform.pid"

    @property
    def beside(self) -> "Home":
        """The home of the second platform of `make demo-datasets`: a folder beside this one."""
        return Home(self.root.with_name(f"{self.root.name}-production"))

    @property
    def is_made(self) -> bool:
        """Whether a command has ever worked here."""
        return self._command_lock.exists()

    @property
    def _command_lock(self) -> Path:
        return self.root / "command.lock"

    def empty(self) -> None:
        """Forget everything; the folder stays, for whoever waits to be alone here."""
        for entry in self.root.iterdir():
            if entry != self._command_lock:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def make(self, target: str) -> str:
        """The command that has `make` do something with this home."""
        named = (
            "" if self.root == CHECKOUT / ".local" else f"HEADRACE_HOME={quote(str(self.root))} "
        )
        return f"{named}make {target}"

    def demand_usable(self) -> None:
        """Raises LocalFailure where the sample's database could not work."""
        if _NOT_FOR_POSTGRESQL.search(str(self.root)):
            raise LocalFailure(
                f"The platform cannot work in {str(self.root)!r}: PostgreSQL does not start in a "
                "folder whose path has spaces, commas or signs of a shell. Name a folder "
                "without them, and keep naming it: export HEADRACE_HOME=/tmp/headrace"
            )

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.root, self.state, self.objects, self.temporary, self.extracted):
            folder.mkdir(parents=True, exist_ok=True)

    def recall(self, name: str) -> Any:
        """What was remembered under this name, or None; a damaged file counts as forgotten."""
        try:
            return json.loads((self.root / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value under this name, whole or not at all."""
        write_whole(self.root / f"{name}.json", json.dumps(value, indent=2) + "\n")

    def forget(self, name: str) -> None:
        """Keep nothing under this name."""
        (self.root / f"{name}.json").unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one command changes a home at a time; the second waits, and says so."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            said = error.strerror or str(error)
            raise LocalFailure(f"The platform's folder cannot be {self.root}: {said}") from error
        with self._command_lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting: another command is at work on {self.root}", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def write_whole(path: Path, text: str) -> None:
    """Write a file that only its owner reads, so that nobody ever sees half of it."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_port(remembered: int | None) -> int:
    """The port of last time if nobody took it, else any free one."""
    if remembered is not None and is_free(remembered):
        return remembered
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
