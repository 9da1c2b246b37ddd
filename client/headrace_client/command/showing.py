"""What the displays of a pull, of a process and of a template's rows have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table

from headrace_client.command.outcome import Common
from headrace_client.errors import printable

E_contra = TypeVar("E_contra", contravariant=True)

LINE_EVERY = 5.0
_NUMBERS = frozenset(
    {"rows", "bytes", "percent", "items", "inserted", "updated", "deleted", "rows now"}
)


class Display(Protocol[E_contra]):
    """Shows events; is entered before the first and left after the last."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __call__(self, event: E_contra, /) -> None: ...


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def __call__(self, event: Any, /) -> None:
        return None


class LiveProgress:
    """On a terminal, a display that is drawn anew as long as it is entered."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._progress = Progress(*columns, console=console)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def _say(self, text: str) -> None:
        self._progress.console.print(printable(text), markup=False)


def fitting[E](
    common: Common,
    console: Console,
    as_json: Callable[[], Display[E]],
    lines: Callable[[Console], Display[E]],
    live: Callable[[Console], Display[E]],
) -> Display[E]:
    """The display that fits the options and the terminal."""
    if common.quiet:
        return Silence()
    if common.json:
        return as_json()
    return live(console) if console.is_terminal else lines(console)


class Throttle:
    """Lets something through at once, then at most once in a while."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._next = float("-inf")

    def passes(self) -> bool:
        now = self._monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def table_of(*columns: str) -> Table:
    """A table for people; what is counted stands to the right."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in _NUMBERS else "left", overflow="fold")
    return made


def counted(number: int, name: str) -> str:
    """So many of a thing: `1 file`, `2 files`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"
