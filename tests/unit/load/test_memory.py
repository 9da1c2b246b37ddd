"""When a run of `make load` says that a part's memory grew."""

from collections.abc import Sequence
from typing import cast

from tests.load.memory import EMULATOR, Memory, Sample
from tests.system.deployed import Platform


def a_run(part: str, *processes: Sequence[tuple[float, float, float]]) -> Memory:
    """A run of 100 s; of each process: when, MiB, processor seconds until then."""
    memory = Memory(cast(Platform, None))
    for pid, samples in enumerate(processes):
        memory.processes[part, pid] = [Sample(*sample) for sample in samples]
    memory.processes[EMULATOR, 0] = [Sample(0, 200, 1), Sample(100, 900, 90)]
    return memory


def test_a_part_that_holds_what_it_held_has_not_grown() -> None:
    steady = a_run("Authorize", [(0, 20, 0), (10, 60, 2), (40, 64, 9), (60, 64, 12), (100, 66, 20)])
    assert steady.grown() == []


def test_a_part_that_takes_more_and_more_has_grown() -> None:
    leaking = a_run("Authorize", [(0, 60, 1), (40, 70, 9), (60, 90, 12), (100, 120, 20)])
    assert leaking.grown() == ["Authorize grew from 70 to 120 MiB"]


def test_a_process_that_starts_late_and_takes_what_its_siblings_hold_is_no_growth() -> None:
    early, late = [(0, 20, 0), (40, 64, 9), (60, 64, 9)], [(70, 20, 0), (100, 66, 5)]
    assert a_run("Authorize", early, late).grown() == []


def test_a_part_that_had_hardly_worked_by_half_time_is_not_judged() -> None:
    assert a_run("Authorize", [(30, 25, 0.4), (100, 64, 5)]).grown() == []


def test_a_reader_may_come_to_wider_rows_late_but_not_hold_ever_more() -> None:
    assert a_run("ExportRange", [(0, 60, 1), (40, 144, 9), (100, 195, 20)]).grown() == []
    leaking = a_run("ExportRange", [(0, 60, 1), (40, 144, 9), (100, 260, 20)])
    assert leaking.grown() == ["ExportRange grew from 144 to 260 MiB"]


def test_a_part_above_what_the_template_gives_it_is_told() -> None:
    assert a_run("Authorize", [(80, 600, 1)]).grown() == ["Authorize had 600 MiB of 512"]
