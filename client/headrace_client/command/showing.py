"""What the displays of a pull and of a process have in common."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

E_contra = TypeVar("E_contra", contravariant=True)

LINE_EVERY = 5.0


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


def print_line(document: Mapping[str, Any] | None) -> None:
    """A JSON object as a line on stderr, for programs that follow; None prints nothing."""
    if document is not None:
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201
