"""Running a contestant in a process of its own, and what the kernel says of it and the server."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.home import LocalFailure

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_EVERY_S = 0.05


class ContestantFailed(LocalFailure):
    """A contestant ended with an error; the message is the end of what it said."""


@dataclass(frozen=True)
class Ended:
    """A process that ended well: seconds of the clock and of processors, its peak in MiB, and
    what it printed."""

    wall: float
    cpu: float
    peak: float
    printed: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Runs the command to its end. Raises ContestantFailed."""
    with tempfile.TemporaryFile("w+") as errors:
        before = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**os.environ, "TZ": "UTC", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        peaks = [0.0]
        watch = threading.Thread(target=_watch, args=(process.pid, peaks))
        watch.start()
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.join()
        if process.returncode:
            errors.seek(0)
            raise ContestantFailed(f"{command[0]}: {errors.read()[-2000:]}")
        return Ended(wall, usage.ru_utime + usage.ru_stime, peaks[0], printed)


def _watch(pid: int, peaks: list[float]) -> None:
    """Notes the process's peak while it lives.

    Not ru_maxrss: that starts at what the process had which started this one.
    """
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            peaks[0] = int(status.split("VmHWM:")[1].split()[0]) / 1024
        except (OSError, IndexError):
            return
        time.sleep(_EVERY_S)


def processor_seconds(server: int) -> float:
    """What a server that forks has used: its children that ended, and those that live."""
    used = sum(_fields(server)[11:15])
    for task in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(int(task.parent.name))
        except (OSError, IndexError):
            continue
        if fields[1] == server:
            used += fields[11] + fields[12]
    return used * _TICK_S


def _fields(pid: int) -> list[int]:
    """The numbers of ``/proc/PID/stat`` from the state on, which counts as 0."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return [0, *map(int, text.rpartition(")")[2].split()[1:40])]
