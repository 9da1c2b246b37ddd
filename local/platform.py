"""The process of the emulated AWS: start it, find it, stop it."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from local.home import CHECKOUT, Home, LocalFailure, choose_port

REGION = "eu-west-1"
API_ID = "headrace"
STAGE = "local"
_PATIENCE_S = 60.0
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PYTHON = CHECKOUT / ".tools" / "platform" / "bin" / "python"


class PlatformFailed(LocalFailure):
    """The platform did not start or stop; the message says where to look."""


def endpoint(port: int) -> str:
    """The address that stands in for every AWS service."""
    return f"http://127.0.0.1:{port}"


def tls_endpoint(port: int) -> str:
    """The address of the API for callers with client certificates."""
    return f"https://localhost:{port}"


def without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment less what would send our tools to somebody's real AWS account."""
    unwanted = ("AWS_", "BOTO_", "SAM_CLI_", "LOCALSTACK_")
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(unwanted) and name not in ("PYTHONPATH", "PYTHONHOME")
    }


def aws_environment(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """The environment in which boto3 and SAM talk to this platform and to nothing else."""
    return {
        **without_aws(environ),
        "AWS_ENDPOINT_URL": endpoint(port),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # the emulator takes any
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",  # nobody limits our rate
    }


def process_of(home: Home) -> int | None:
    """The process id of this home's platform, or None when none runs.

    The platform holds a lock on its pid file while it lives, so neither a crash nor a reused
    process id can deceive.
    """
    try:
        file = os.open(home.platform_lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(file, 32, 0) or b"0") or None
    else:
        return None
    finally:
        os.close(file)


def running_port(home: Home) -> int | None:
    """The port of this home's platform if it runs and answers."""
    port, pid = home.recall("port"), process_of(home)
    if pid is None or not isinstance(port, int) or not _serves(pid, port):
        return None
    return port


def _serves(pid: int, port: int) -> bool:
    """Whether this process is ready on the port, and not another home's platform."""
    return answers(port) and listens(pid, port)


def listens(pid: int, port: int) -> bool:
    """Whether it is this process that listens on the port of the loopback interface.

    By /proc/net/tcp (proc_net_tcp(5) in the kernel's documentation): the local address is in
    hexadecimal, state 0A is LISTEN, and the tenth column is the socket's inode.
    """
    address = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}:{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    wanted = {f"socket:[{line[9]}]" for line in lines if line[1] == address and line[3] == "0A"}
    with contextlib.suppress(OSError):  # it has ended
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # it was closed while we looked
                if str(descriptor.readlink()) in wanted:
                    return True
    return False


def answers(port: int, timeout: float = 2.0) -> bool:
    """Whether the platform is ready."""
    try:
        with urllib.request.urlopen(f"{endpoint(port)}/_ministack/ready", timeout=timeout) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def emulator_digest() -> str:
    """A digest of what the emulator is made of: the pinned packages and our patches."""
    digest = hashlib.sha256((CHECKOUT / "requirements" / "platform.txt").read_bytes())
    for path in sorted((CHECKOUT / "local" / "emulator").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_outdated(home: Home) -> bool:
    """Whether the running platform was started from an older emulator than the checkout's."""
    return bool(home.recall("emulator") != emulator_digest())


def start(home: Home, environ: Mapping[str, str]) -> int:
    """Start the platform and wait until it is ready; the port it listens on.

    One that is there already and does not answer is ended first: its start, or its end, was
    interrupted. Raises PlatformFailed, with the end of its log, when it does not come up.
    """
    stop(home)
    shutil.rmtree(home.temporary, ignore_errors=True)
    home.prepare()
    if home.platform_log.exists():
        home.platform_log.replace(home.platform_log.with_suffix(".log.1"))
    digest = emulator_digest()
    for _ in range(3):  # somebody may take the port between our look and the platform's start
        port = choose_port(home.recall("port"))
        home.remember("port", port)
        tls_port = choose_port(home.recall("tls-port"))
        home.remember("tls-port", tls_port)
        with home.platform_log.open("a") as log:
            process = subprocess.Popen(
                [PYTHON, "-m", "local.emulator"],
                cwd=CHECKOUT,
                env=_environment(home, environ, port, tls_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while process.poll() is None and time.monotonic() < deadline:
                if _serves(process.pid, port):
                    home.remember("emulator", digest)
                    home.remember("place", str(home.root))
                    return port
                time.sleep(0.05)
        except BaseException:
            _end(process)
            raise
        if process.poll() is None:
            _end(process)
            break
        said = tail(home.platform_log)
        if "already running" in said:  # one whose start was killed had not got as far as its lock
            stop(home)
        elif "already in use" not in said:
            break
        home.forget("port")
        home.forget("tls-port")
    raise PlatformFailed(
        f"the platform did not start; the end of {home.platform_log}:\n{tail(home.platform_log)}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what did not come up, and wait until it is gone."""
    process.kill()
    process.wait()


def _environment(
    home: Home, environ: Mapping[str, str], port: int, tls_port: int
) -> dict[str, str]:
    # AWS_ENDPOINT_URL must not be here: the functions would inherit it instead of their own.
    kept = without_aws(environ)
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled code of the functions is kept
    return {
        **kept,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home.objects),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # no function of ours runs in a container
        "LAMBDA_WARM_TTL_SECONDS": "600",
        "AUTH": "true",  # roles may do what their policies say, and no more
        "TMPDIR": str(home.temporary),
        "HEADRACE_PLATFORM_LOCK": str(home.platform_lock),
        "HEADRACE_EXTRACTED": str(home.extracted),
        "HEADRACE_TLS_FOLDER": str(home.tls),
        "HEADRACE_TLS_PORT": str(tls_port),
        "HEADRACE_TLS_STAGE": f"/_aws/execute-api/{API_ID}/{STAGE}",
        "HEADRACE_WORKERS": _workers(environ),
        "LOG_LEVEL": _log_level(environ),
    }


def demand_settings(environ: Mapping[str, str]) -> None:
    """Raises PlatformFailed if the platform would not start, or not work, with these variables."""
    _workers(environ)
    _log_level(environ)


def _workers(environ: Mapping[str, str]) -> str:
    named = environ.get("HEADRACE_WORKERS") or "4"
    if not re.fullmatch("[1-9][0-9]{0,2}", named):
        raise PlatformFailed(f'HEADRACE_WORKERS is "{named}"; it is a number from 1 to 999')
    return named


def _log_level(environ: Mapping[str, str]) -> str:
    named = environ.get("HEADRACE_PLATFORM_LOG_LEVEL") or "INFO"
    if named.upper() not in _LOG_LEVELS:
        raise PlatformFailed(
            f'HEADRACE_PLATFORM_LOG_LEVEL is "{named}"; there are {", ".join(_LOG_LEVELS)}'
        )
    return named.upper()


def stop(home: Home, patience: float = _PATIENCE_S) -> str | None:
    """Stop the platform, which saves its state; how it ended, or None if there was none to stop.

    Killed is one that has not stopped after so many seconds of patience, and one that runs while
    its home was moved: it would save its state where that was.
    """
    pid = process_of(home)
    if pid is None:
        kill_leftovers(home)
        return None
    ended = "stopped, state saved"
    if was_moved(home):
        ended = "killed, since its folder was moved: what was not saved yet is lost"
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while process_of(home) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process_of(home) is not None:
            ended = f"killed after {patience:.0f} s: what was not saved yet is lost"
    # Its group is its own (a new session), so what is left in it are the functions' processes.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    while process_of(home) is not None:
        time.sleep(0.01)
    kill_leftovers(home)
    return ended


def was_moved(home: Home) -> bool:
    """Whether the home was another folder when its platform was started last."""
    return home.recall("place") not in (None, str(home.root))


def after_interruption(home: Home) -> str:
    """What to know when a command was interrupted that starts the platform and works with it."""
    if process_of(home) is None:
        return "Interrupted. The same command begins again."
    return (
        f"Interrupted. The platform goes on running: {home.make('down')} stops it, and the same "
        "command goes on from here."
    )


def save(home: Home) -> None:
    """Have the platform save its state now: should it be killed, this is what the next has."""
    pid = process_of(home)
    if pid is not None:
        os.kill(pid, signal.SIGUSR1)


def kill_leftovers(home: Home) -> None:
    """End functions' processes that outlived a platform that was killed.

    They are known by the script that they run, which lies in this home. Where there is no /proc
    they end by themselves as soon as they find their pipe closed.
    """
    mark = str(home.temporary).encode() + b"/"
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            arguments = command_line.read_bytes().split(b"\0")
            if len(arguments) > 1 and arguments[1].startswith(mark):
                os.kill(int(command_line.parent.name), signal.SIGKILL)


def tail(path: Path, lines: int = 40) -> str:
    """The last lines of a text file."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
