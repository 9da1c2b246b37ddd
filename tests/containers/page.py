"""docs/sam-local.md: what a full run saw."""

import time
from collections.abc import Sequence
from pathlib import Path

from local.home import CHECKOUT
from tests.containers.running import Outcome

PAGE: Path = CHECKOUT / "docs" / "sam-local.md"
MARK = "## What the last run saw\n"


def written(
    functions: Sequence[Outcome], routes: Sequence[Outcome], seconds: float, before: str
) -> str:
    """The page's text with the tables of this run in place of those of the one before."""
    head, mark, _ = before.partition(MARK)
    if not mark:
        raise ValueError(f"{PAGE.name} has no heading {MARK.strip()!r}")
    lines = [
        head + mark,
        f"Written by `make sam-local` on {time.strftime('%Y-%m-%d')}: "
        f"{len(functions)} functions and {len(routes)} calls by HTTP, {seconds / 60:.0f} minutes, "
        "two containers at a time. The seconds are those of the whole call; most of them "
        "make and start a container.\n",
        "By HTTP (`sam local start-api`), in this order:\n",
        *_table("call", routes),
        "Each function with its event:\n",
        *_table("function", sorted(functions, key=lambda one: one.what)),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(of: str, outcomes: Sequence[Outcome]) -> list[str]:
    rows = [f"| `{one.what}` | {one.said} | {one.seconds:.1f} |" for one in outcomes]
    return [f"| {of} | reply | seconds |", "| --- | --- | --- |", *rows, ""]
