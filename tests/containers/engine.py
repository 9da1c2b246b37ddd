"""A Docker engine: the one that runs here, or one of our own for as long as it is needed.

Our own is Debian's ``docker.io``: the machine's, if it is installed, else its packages unpacked
into ``.tools/docker``, so that nothing is installed on anybody's machine. It touches neither the
firewall nor routing, so its containers reach this machine and nothing beyond.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from local.home import CHECKOUT
from local.platform import tail

TOOL = CHECKOUT / ".tools" / "docker"
PACKAGES = ("docker.io", "containerd", "runc")
_LABEL = "sam.cli.container.type=lambda"
_BRIDGE = "docker0"


class NoDocker(Exception):
    """There is no Docker and none can be had; the message says what was tried."""


class EngineFailed(Exception):
    """A command of Docker's failed; the message has what it said."""


@dataclass(frozen=True)
class Engine:
    """A running engine, by the address of its API."""

    address: str
    """What DOCKER_HOST has to be, ``unix:///…`` as a rule."""
    is_ours: bool
    client: Path
    """The program ``docker``."""

    @property
    def environment(self) -> dict[str, str]:
        """How SAM and others find it."""
        return {"DOCKER_HOST": self.address}

    def has_image(self, name: str) -> bool:
        """Whether it knows an image of this name."""
        return self._run(["image", "inspect", name], fine=(0, 1)).returncode == 0

    def import_image(self, archive: Path, name: str, settings: Sequence[str]) -> None:
        """Makes an image of a file system in an archive. Raises EngineFailed."""
        changes = [argument for setting in settings for argument in ("--change", setting)]
        self._run(["import", *changes, str(archive), name])

    def pull(self, name: str) -> None:
        """Fetches an image from its registry. Raises EngineFailed."""
        self._run(["pull", name])

    def said(self, arguments: Sequence[str]) -> str:
        """What a command of the client's writes. Raises EngineFailed."""
        return self._run(arguments).stdout

    def remove_containers(self) -> None:
        """Removes what SAM began and, killed, could not end."""
        left = self.said(["ps", "--all", "--quiet", "--filter", f"label={_LABEL}"]).split()
        if left:
            self._run(["rm", "--force", *left])

    def remove_images(self, repository: str) -> None:
        """Removes all images of a repository."""
        self.remove_containers()
        name = "{{.Repository}}:{{.Tag}}"
        known = self.said(["image", "ls", "--format", name, repository]).split()
        named = [one for one in known if not one.endswith(":<none>")]
        if named:
            self._run(["image", "rm", "--force", *named])
        if self.is_ours:
            self._run(["image", "prune", "--force"])

    def _run(
        self, arguments: Sequence[str], fine: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.client, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in fine:
            raise EngineFailed(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")
        return done


@contextmanager
def engine(environ: Mapping[str, str]) -> Iterator[Engine]:
    """The engine that runs here; else one of our own, stopped afterwards. Raises NoDocker."""
    found = _running(environ)
    if found is not None:
        yield found
        return
    with _one_at_a_time(), _own() as own:
        yield own


def _running(environ: Mapping[str, str]) -> Engine | None:
    """The engine that `docker` would use, if one answers: Docker Desktop has it by a context."""
    client = shutil.which("docker")
    if client is None:
        return None
    asked = subprocess.run(
        [client, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    address = environ.get("DOCKER_HOST") or asked.stdout.strip() or "unix:///var/run/docker.sock"
    one = Engine(address, is_ours=False, client=Path(client))
    try:
        one.said(["version", "--format", "{{.Server.Version}}"])
    except EngineFailed:
        return None
    return one


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Engines of ours share the bridge's network, so that a second one waits for the first."""
    with (Path(gettempdir()) / "headrace-docker.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting: another Docker engine of ours runs on this machine", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _own() -> Iterator[Engine]:
    """An engine of our own until the block ends. Raises NoDocker."""
    if os.geteuid() != 0:
        raise NoDocker("no Docker engine answers, and only root may start one of its own")
    programs = _programs()
    folder = TOOL / "engine"
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / "dockerd.log"
    address = f"unix://{folder / 'docker.sock'}"
    _end_left_behind(folder / "dockerd.pid")
    had_bridge = (Path("/sys/class/net") / _BRIDGE).exists()
    path = f"{programs}{os.pathsep}{programs.parent / 'sbin'}{os.pathsep}{os.environ['PATH']}"
    daemon = shutil.which("dockerd", path=path)
    client = shutil.which("docker", path=path)
    assert daemon
    assert client
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [
                daemon,
                *("--data-root", folder / "data"),
                *("--exec-root", folder / "exec"),
                *("--pidfile", folder / "dockerd.pid"),
                *("--host", address),
                "--iptables=false",
                "--ip-masq=false",
                "--ip-forward=false",
            ],
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        own = Engine(address, is_ours=True, client=Path(client))
        _wait(own, process, log_file)
        own.remove_containers()
        yield own
        own.remove_containers()
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if not had_bridge:
            _remove_bridge(_BRIDGE)


def _end_left_behind(pid_file: Path) -> None:
    """Ends an engine of ours whose run was killed; the process is known by its pid file's name."""
    try:
        pid = int(pid_file.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if str(pid_file).encode() not in arguments:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise NoDocker(f"an engine that an earlier run left behind does not end: {pid}")
        time.sleep(0.1)


def _wait(own: Engine, process: subprocess.Popen[bytes], log_file: Path) -> None:
    """Until it answers. Raises NoDocker, with the end of its log, when it does not."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(EngineFailed):
            own.said(["version", "--format", "{{.Server.Version}}"])
            return
        time.sleep(0.1)
    raise NoDocker(f"dockerd did not start; the end of {log_file}:\n{tail(log_file, 15)}")


def _programs() -> Path:
    """The folder of Docker's programs: the machine's, or Debian's packages unpacked by us."""
    installed = shutil.which("dockerd")
    if installed is not None:
        return Path(installed).parent
    unpacked = TOOL / "root" / "usr" / "bin"
    if not (TOOL / ".installed").exists():
        _unpack(TOOL / "root")
        (TOOL / ".installed").touch()
    return unpacked


def _unpack(root: Path) -> None:
    """Fetches the packages by apt and unpacks them. Raises NoDocker."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NoDocker("there is no dockerd, and no apt-get to get one with")
    packages = TOOL / "packages"
    shutil.rmtree(TOOL, ignore_errors=True)
    packages.mkdir(parents=True)
    # A fresh container has no lists of what there is.
    for command in (["download", *PACKAGES], ["update"], ["download", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], cwd=packages, capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and command[0] == "download":
            break
    else:
        raise NoDocker(f"there is no dockerd, and apt-get has none: {done.stderr.strip()}")
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
    shutil.rmtree(packages)


def _remove_bridge(name: str) -> None:
    """Removes the bridge that the engine leaves behind (netdevice(7); ``SIOCBRDELBR``)."""
    if not (Path("/sys/class/net") / name).exists():
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as any_socket:
        down = name.encode().ljust(16, b"\0") + (0).to_bytes(2, "little") + bytes(22)
        fcntl.ioctl(any_socket, 0x8914, down)  # SIOCSIFFLAGS
        fcntl.ioctl(any_socket, 0x89A1, name.encode() + b"\0")
