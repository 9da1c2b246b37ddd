"""A benchmark that was ended early is gone on with."""

from pathlib import Path

from benchmarks.goals import Run
from benchmarks.kept import Kept
from benchmarks.values import Deviation

RUN = Run(wall=1.5, cpu=0.5, server=0.25, peak=100.0, size=7)
WRONG = Deviation("salary", "another value", 3)


def test_turns_and_what_was_proven_are_found_again(tmp_path: Path) -> None:
    kept = Kept.of(tmp_path / "part.json", anew=False)
    kept.add_found("theirs", (WRONG,))
    kept.add_found("ours", ())
    kept.add_run("ours", RUN)
    kept.add_run("ours", RUN)
    again = Kept.of(tmp_path / "part.json", anew=False)
    assert again.runs == {"ours": [RUN, RUN]}
    assert again.found == {"theirs": (WRONG,), "ours": ()}


def test_a_run_that_begins_anew_counts_nothing_of_before(tmp_path: Path) -> None:
    Kept.of(tmp_path / "part.json", anew=False).add_run("ours", RUN)
    assert Kept.of(tmp_path / "part.json", anew=True).runs == {}
