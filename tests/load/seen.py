"""What a crowd of clients saw: seconds and codes by endpoint, and what was wrong."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from benchmarks import report


def percentile(sample: Sequence[float], share: float) -> float:
    """The least value that so many of a hundred do not exceed; of at least one value."""
    return sorted(sample)[max(0, ceil(share / 100 * len(sample)) - 1)]


@dataclass
class Seen:
    """Calls and errands of one run."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of every answered call, by endpoint."""
    codes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Status codes by endpoint; that of a problem has its code behind it."""
    whole: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of whole errands, by name."""
    wrong: list[str] = field(default_factory=list)
    """What no client should see."""

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(map(len, self.seconds.values()))

    def answered(self, endpoint: str, seconds: float, code: int, problem: str) -> None:
        """Notes a call."""
        self.seconds[endpoint].append(seconds)
        self.codes[endpoint][f"{code} {problem}".strip()] += 1

    def endpoints(self) -> str:
        """A table of all endpoints: how many calls, how long they took, what they answered."""
        rows = [
            [
                f"`{endpoint}`",
                f"{len(sample):,}",
                *(f"{percentile(sample, share):.2f}" for share in (50, 95, 99)),
                ", ".join(
                    f"{count:,} × {code}" for code, count in self.codes[endpoint].most_common()
                ),
            ]
            for endpoint, sample in sorted(self.seconds.items())
        ]
        return report.table(("endpoint", "calls", "p50 s", "p95 s", "p99 s", "answers"), rows)

    def errands(self) -> str:
        """A table of all errands, from the first call to the last."""
        rows = [
            [
                name,
                f"{len(sample):,}",
                *(f"{percentile(sample, share):.1f}" for share in (50, 95)),
                f"{max(sample):.1f}",
            ]
            for name, sample in sorted(self.whole.items())
        ]
        return report.table(("errand", "times", "p50 s", "p95 s", "longest s"), rows)
