"""Medians, goals and whether they were reached: arithmetic only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Run:
    """One turn of a contestant: seconds of the clock, of its processors and of the server's, the
    peak in MiB, bytes of the document."""

    wall: float
    cpu: float
    server: float
    peak: float
    size: int


@dataclass(frozen=True)
class Result:
    """The medians of a contestant's turns; ``peak`` is the largest."""

    wall: float
    cpu: float
    server: float
    peak: float
    size: int

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Result":
        """Of at least one turn."""
        return cls(
            wall=median(run.wall for run in runs),
            cpu=median(run.cpu for run in runs),
            server=median(run.server for run in runs),
            peak=max(run.peak for run in runs),
            size=round(median(run.size for run in runs)),
        )


@dataclass(frozen=True)
class Goal:
    """``ours`` takes at most ``bound`` times what ``other`` does; with ``faster``, ``other``
    takes at least ``bound`` times what ``ours`` does. ``figure``: ``wall`` or ``cpu``."""

    ours: str
    other: str
    bound: float
    figure: str = "wall"
    faster: bool = False

    def ratio(self, results: Mapping[str, Result]) -> float:
        """The one divided by the other, as the goal has it. Raises KeyError if one did not run."""
        ours = float(getattr(results[self.ours], self.figure))
        other = float(getattr(results[self.other], self.figure))
        return other / ours if self.faster else ours / other

    def is_reached(self, results: Mapping[str, Result]) -> bool:
        """Is the ratio, unrounded, within the bound."""
        ratio = self.ratio(results)
        return ratio >= self.bound if self.faster else ratio <= self.bound

    def __str__(self) -> str:
        figure = "wall" if self.figure == "wall" else "client CPU"
        if self.faster:
            return f"{self.ours}: {self.bound:g} × as fast as {self.other} ({figure})"
        return f"{self.ours} ≤ {self.bound:g} × {self.other} ({figure})"
