"""What a part has measured so far, in a file: a run that was ended early is gone on with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.goals import Run
from benchmarks.values import Deviation


@dataclass
class Kept:
    """Turns by contestant, and what was wrong with the values of those that were proven."""

    file: Path
    runs: dict[str, list[Run]] = field(default_factory=dict)
    found: dict[str, tuple[Deviation, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path, *, anew: bool) -> "Kept":
        """What the file holds; ``anew``: nothing yet."""
        kept = cls(file)
        if anew or not file.exists():
            return kept
        document = json.loads(file.read_text(encoding="utf-8"))
        for name, turns in document["runs"].items():
            kept.runs[name] = [Run(**turn) for turn in turns]
        for name, wrong in document["found"].items():
            kept.found[name] = tuple(Deviation(**one) for one in wrong)
        return kept

    def add_run(self, name: str, run: Run) -> None:
        """Notes a turn."""
        self.runs.setdefault(name, []).append(run)
        self._save()

    def add_found(self, name: str, found: Sequence[Deviation]) -> None:
        """Notes what a contestant's values were."""
        self.found[name] = tuple(found)
        self._save()

    def _save(self) -> None:
        document = {
            "runs": {name: [asdict(run) for run in turns] for name, turns in self.runs.items()},
            "found": {name: [asdict(one) for one in wrong] for name, wrong in self.found.items()},
        }
        beside = self.file.with_suffix(".new")
        beside.write_text(json.dumps(document), encoding="utf-8")
        beside.replace(self.file)
