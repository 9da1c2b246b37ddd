"""What all tables that commands print have in common."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from headrace.kernel.clock import rfc3339

type Json = dict[str, Any]


def moment_text(moment: datetime | None) -> str | None:
    """A moment in JSON, RFC 3339 in UTC."""
    return None if moment is None else rfc3339(moment)


def when(moment: datetime) -> str:
    """A moment in a table."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def print_grid(
    out: Console, headings: tuple[str, ...] | None, rows: Sequence[tuple[str, ...]]
) -> None:
    """Columns side by side. Nothing is cut short: ids are there to be copied."""
    lines = [*([headings] if headings else []), *rows]
    if not rows:
        if headings is not None:
            say(out, "none")
        return
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        padded = (
            value + " " * (width - cell_len(value))
            for value, width in zip(line, widths, strict=True)
        )
        say(out, "  ".join(padded).rstrip(), style="bold" if line is headings else "")
    say(out, "")


def say(out: Console, text: str, style: str = "") -> None:
    """Prints a line as it is."""
    # Names come from files and databases: none of them is markup.
    out.print(Text(text, style), soft_wrap=True)
