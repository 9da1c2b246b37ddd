"""Many runs, several at once, and the tables that tell how they went."""

import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from local.home import CHECKOUT
from tests.chaos.faults import Fault
from tests.chaos.journeys import Journey
from tests.chaos.points import Point
from tests.chaos.runs import Case, Chaos, Run

NOTHING_FOLLOWS = frozenset({("after the webhook", Fault.ERROR), ("after the notice", Fault.ERROR)})
"""Where no request follows that the fault could meet."""
PAGE: Path = CHECKOUT / "docs" / "reliability.md"
BEGIN, END = "<!-- {}: written by make chaos -->\n", "<!-- end of {} -->\n"
"""What stands around a journey's part of the page."""


def cases(seeds: int, points: Sequence[Point]) -> list[Case]:
    """Every fault at every point, with so many seeds."""
    return [
        Case(point, fault, seed)
        for seed in range(1, seeds + 1)
        for point in points
        for fault in Fault
        if (point.name, fault) not in NOTHING_FOLLOWS
    ]


@dataclass
class Campaign:
    """Runs of several journeys; each lane has a client of its own, so that none waits."""

    chaos: Chaos
    say: Callable[[str], None] = print
    runs: list[Run] = field(default_factory=list)
    _left: list[tuple[str, Case]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(
        self, lanes: Iterable[Sequence[Journey]], todo: Sequence[tuple[str, Case]]
    ) -> list[Run]:
        """All of ``todo`` (a journey's name, and what goes wrong in it), each by a lane that has
        the journey and is free."""
        self._left = list(todo)
        total = len(todo)
        lanes = list(lanes)
        with ThreadPoolExecutor(len(lanes)) as pool:
            for done in [pool.submit(self._drive, lane, total) for lane in lanes]:
                done.result()
        self.chaos.settle(self.runs)
        return self.runs

    def _drive(self, lane: Sequence[Journey], total: int) -> None:
        own = {journey.name: journey for journey in lane}
        while True:
            with self._lock:
                chosen = next((one for one in self._left if one[0] in own), None)
                if chosen is None:
                    return
                self._left.remove(chosen)
            name, case = chosen
            run = self.chaos.run(own[name], case)
            with self._lock:
                self.runs.append(run)
                how = "; ".join(run.broken) or "holds"
                number = f"{len(self.runs)}/{total}"
                self.say(f"{number:>8} {name}: {case}: {run.seconds:.1f} s: {how[:2000]}")


def report(runs: Sequence[Run], command: str, day: str) -> str:
    """How the runs of one journey went, in Markdown: how many there were, a table, what broke."""
    seconds = sorted(run.seconds for run in runs)
    broken = [run for run in runs if run.broken]
    lines = [
        f"`{command}` on {day}, on a busy machine with two cores: {len(runs)} runs, of which "
        f"{len(runs) - len(broken)} kept all invariants. A run took "
        f"{statistics.median(seconds):.0f} s in the middle and {seconds[-1]:.0f} s at most, with "
        "its checks.",
        "",
        *_table(runs),
    ]
    for run in broken:
        lines += ["", f"- {run.case}: {'; '.join(run.broken)[:600]}"]
    return "\n".join([*lines, ""])


def report_of_pairs(pairs: Sequence[tuple[str, Case, Case]], command: str, day: str) -> str:
    """Which pairs of faults, by journey, kept all invariants, in Markdown."""
    return "\n".join(
        [
            f"`{command}` on {day}: {len(pairs)} pairs were drawn, and with each all invariants "
            "were kept.",
            "",
            "| journey | one fault | and another |",
            "| --- | --- | --- |",
            *sorted(f"| {name} | {first} | {second} |" for name, first, second in pairs),
            "",
        ]
    )


def _table(runs: Sequence[Run]) -> list[str]:
    held, all_of = Counter[tuple[str, Fault]](), Counter[tuple[str, Fault]]()
    for run in runs:
        cell = run.case.point.name, run.case.fault
        all_of[cell] += 1
        held[cell] += not run.broken
    lines = [f"| point | {' | '.join(Fault)} |", "| --- |" + " --- |" * len(Fault)]
    for point in dict.fromkeys(run.case.point.name for run in sorted(runs, key=_order)):
        cells = (
            f"{held[point, fault]}/{all_of[point, fault]}" if all_of[point, fault] else "–"
            for fault in Fault
        )
        lines.append(f"| {point} | {' | '.join(cells)} |")
    return lines


def _order(run: Run) -> int:
    return run.journey.points.index(run.case.point)


def write(part: str, text: str) -> None:
    """Puts the text where the page tells of a journey, or of the pairs."""
    begin, end = BEGIN.format(part), END.format(part)
    before, _, rest = PAGE.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{PAGE} has no place for {part}"
    PAGE.write_text(f"{before}{begin}{text}{end}{after}")
