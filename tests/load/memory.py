"""The memory of the platform's parts over time, as the kernel tells it."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import report
from local.platform import process_of
from tests.system.deployed import Platform

_MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GROWTH, _SLACK_MIB = 1.15, 8.0
_LONG_ENOUGH = 9
"""Samples that a process must have before something is said of its growth."""

EMULATOR = "the emulator, which keeps all tables, objects and logs in memory"


@dataclass
class Memory:
    """Resident memory in MiB of each process, sampled."""

    platform: Platform
    processes: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    begun: float = field(default_factory=time.monotonic)

    async def watch(self, every: float) -> None:
        """Samples until it is cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(every)

    def look(self) -> None:
        """Takes one sample of all processes."""
        for part, pid in self._running():
            with suppress(OSError, IndexError):
                resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / _MIB
                self.processes[part, pid].append(resident)

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
        """The functions' processes that hold more in the last third than in the middle one.

        In the first third a process takes what it keeps: code, connections, read catalogs.
        """
        found = []
        for (part, pid), samples in self.processes.items():
            if part == EMULATOR or len(samples) < _LONG_ENOUGH:
                continue
            third = len(samples) // 3
            middle, last = median(samples[third:-third]), median(samples[-third:])
            if last > middle * _GROWTH + _SLACK_MIB:
                found.append(f"{part} ({pid}) grew from {middle:.0f} to {last:.0f} MiB")
        return found

    def table(self) -> str:
        """The largest process of each part: at its first sample, and by thirds of its life."""
        largest: dict[str, list[float]] = {}
        count: dict[str, int] = defaultdict(int)
        for (part, _), samples in self.processes.items():
            count[part] += 1
            if len(samples) >= 3 and max(samples) > max(largest.get(part, [0.0])):
                largest[part] = samples
        rows = []
        for part, samples in sorted(largest.items(), key=lambda item: -max(item[1])):
            third = len(samples) // 3
            thirds = (samples[:third], samples[third:-third], samples[-third:])
            figures = [*map(median, thirds), max(samples)]
            rows.append([part, f"{count[part]}", *(f"{figure:.0f}" for figure in figures)])
        head = ("part", "processes", "1st third MiB", "2nd", "3rd", "peak")
        return report.table(head, rows)
