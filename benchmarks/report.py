"""Tables in Markdown, as they are printed and as they stand in docs/benchmarks.md."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.goals import Goal, Result
from benchmarks.turn import STAGES
from benchmarks.values import Deviation
from local.home import CHECKOUT

PAGE = CHECKOUT / "docs" / "benchmarks.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def results_table(results: Mapping[str, Result]) -> str:
    """A row for each contestant."""
    return table(
        ("", "wall s", "client CPU s", "server CPU s", "peak MiB", "MB"),
        [
            [
                name,
                f"{result.wall:.2f}",
                f"{result.cpu:.2f}",
                f"{result.server:.2f}" if result.server >= 0.1 else "–",
                f"{result.peak:.0f}",
                f"{result.size / 1e6:.1f}",
            ]
            for name, result in results.items()
        ],
    )


def profile_table(titles: Sequence[str], results: Mapping[str, Result]) -> str:
    """A row for each title: the client's CPU seconds that each stage adds, and what all take."""
    rows = []
    for title in titles:
        ran = {stage: results.get(f"{title}: {stage}") for stage in STAGES}
        whole = ran[STAGES[-1]]
        if whole is None:
            continue
        cells, before = [], 0.0
        for stage in STAGES:
            result = ran[stage]
            cells.append("–" if result is None else f"{result.cpu - before:.2f}")
            before = before if result is None else result.cpu
        server = f"{whole.server:.2f}" if whole.server >= 0.1 else "–"
        rows.append([title, *cells, f"{whole.cpu:.2f}", server, f"{whole.wall:.2f}"])
    return table(("", *STAGES, "client CPU s", "server CPU s", "wall s"), rows)


def goals_table(goals: Sequence[Goal], results: Mapping[str, Result]) -> str:
    """A row for each goal whose both sides ran."""
    ran = [goal for goal in goals if {goal.ours, goal.other} <= results.keys()]
    return table(
        ("goal", "ratio", ""),
        [
            [
                str(goal),
                f"{goal.ratio(results):.2f}",
                "reached" if goal.is_reached(results) else "**not reached**",
            ]
            for goal in ran
        ],
    )


def values_list(found: Mapping[str, Sequence[Deviation]], *, rows: int) -> str:
    """What each contestant's values were, of so many rows."""
    wrong = [f"- {name}: {'; '.join(map(str, what))}" for name, what in found.items() if what]
    right = [name for name, what in found.items() if not what]
    lines = [f"Values, of {rows:,} rows, held against the server's own texts:", ""]
    if right:
        lines.append(f"- every value right: {', '.join(right)}")
    return "\n".join([*lines, *wrong])


def machine() -> str:
    """What the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.*)", text)
    return f"{os.cpu_count()} processors ({model.group(1) if model else 'unknown'}), shared"


def write(section: str, text: str, page: Path = PAGE) -> None:
    """Puts the text between the section's markers. Raises ValueError if the page has none."""
    begin, end = f"<!-- {section}: written by the run -->", f"<!-- {section}: end -->"
    whole = page.read_text(encoding="utf-8")
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no markers of {section}.")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
