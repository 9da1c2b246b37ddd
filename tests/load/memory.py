"""The memory of the platform's parts over time, as the kernel tells it."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import report
from benchmarks.counting import memory_gb
from local.platform import process_of
from tests.system.deployed import Platform

_MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_GROWTH, _SLACK_MIB = 1.1, 6.0
_READERS = ("ExportRange", "ReadTemplateRows")
_READERS_SLACK_MIB = 64.0
"""What a reader holds is what the widest rows need that it has read: those may come late."""

_WARM_S = 3.0
"""Processor seconds that a part must have used in the first half of the run before anything is said
of its growth: a few hundred calls, or a few ranges of rows."""

EMULATOR = "the emulator, which keeps all tables, objects and logs in memory"


@dataclass(frozen=True)
class Sample:
    """A process, ``at`` seconds after the run began: MiB it holds, processor seconds it used."""

    at: float
    mib: float
    worked: float


@dataclass
class Memory:
    """Resident memory of each process, sampled."""

    platform: Platform
    processes: dict[tuple[str, int], list[Sample]] = field(
        default_factory=lambda: defaultdict(list)
    )
    begun: float = field(default_factory=time.monotonic)

    async def watch(self, every: float) -> None:
        """Samples until it is cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(every)

    def look(self) -> None:
        """Takes one sample of all processes."""
        at = time.monotonic() - self.begun
        for part, pid in self._running():
            with suppress(OSError, IndexError):
                resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / _MIB
                # After the name, which may hold blanks: state is the first, utime the twelfth.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                worked = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
                self.processes[part, pid].append(Sample(at, resident, worked))

    def _running(self) -> Iterator[tuple[str, int]]:
        emulator = process_of(self.platform.home)
        if emulator is not None:
            yield EMULATOR, emulator
        mark = f"{self.platform.home.temporary}/ministack-lambda-"
        names: Mapping[str, str] = {
            name: function for function, name in self.platform.functions.items()
        }
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                arguments = place.read_bytes().split(b"\0")
                if len(arguments) > 1 and arguments[1].startswith(mark.encode()):
                    script = arguments[1].decode().removeprefix(mark)
                    function = names.get(script.partition("/")[0].rpartition("-")[0])
                    if function is not None:
                        yield function, int(place.parent.name)

    def grown(self) -> list[str]:
        """What holds more in the second half of the run than any process of it did in the first, or
        more than the template gives it.

        By parts, since a process that starts late takes what its siblings took: code, connections,
        read catalogs. A part that had hardly worked by half-time is not judged.
        """
        found = []
        for part in self._parts():
            if part == EMULATOR:
                continue
            worked, first, second = self._halves(part)
            slack = _READERS_SLACK_MIB if part in _READERS else _SLACK_MIB
            if worked >= _WARM_S and second > first * _GROWTH + slack:
                found.append(f"{part} grew from {first:.0f} to {second:.0f} MiB")
            given = memory_gb(part) * 1024
            if max(first, second) > given:
                found.append(f"{part} had {max(first, second):.0f} MiB of {given:.0f}")
        return found

    def _parts(self) -> set[str]:
        return {part for part, _ in self.processes}

    def _halves(self, part: str) -> tuple[float, float, float]:
        """Processor seconds of the first half of the run, and the peaks of both halves."""
        every = [sample.at for samples in self.processes.values() for sample in samples]
        middle = (min(every) + max(every)) / 2
        worked, first, second = 0.0, 0.0, 0.0
        for (name, _), samples in self.processes.items():
            if name == part:
                before = [one for one in samples if one.at <= middle]
                worked += max((one.worked for one in before), default=0.0)
                first = max((first, *(one.mib for one in before)))
                second = max((second, *(one.mib for one in samples if one.at > middle)))
        return worked, first, second

    def table(self) -> str:
        """A row for each part: its processes, what they worked, and the peaks of the halves."""
        rows = []
        for part in self._parts():
            mine = [samples for (name, _), samples in self.processes.items() if name == part]
            _, first, second = self._halves(part)
            given = "–" if part == EMULATOR else f"{memory_gb(part) * 1024:.0f}"
            worked = sum(samples[-1].worked for samples in mine)
            figures = (f"{worked:.0f}", f"{first:.0f}", f"{second:.0f}", given)
            rows.append((max(first, second), [part, f"{len(mine)}", *figures]))
        head = ("part", "processes", "CPU s", "first half's peak MiB", "second's", "given")
        return report.table(head, [row for _, row in sorted(rows, reverse=True)])
