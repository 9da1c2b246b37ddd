"""What a benchmark says of its goals follows from its figures."""

import pytest

from benchmarks.goals import Goal, Result, Run


def result(wall: float, cpu: float = 1.0) -> Result:
    return Result.of([Run(wall, cpu, 0.0, 10.0, 100)])


def test_the_result_is_the_median_of_the_turns_and_their_highest_peak() -> None:
    turns = [Run(wall, 2 * wall, 0.5, 100 - wall, 7) for wall in (3.0, 1.0, 9.0)]
    assert Result.of(turns) == Result(3.0, 6.0, 0.5, 99.0, 7)


@pytest.mark.parametrize(("wall", "reached"), [(1.05, True), (1.051, False)])
def test_a_bound_is_reached_up_to_itself_and_not_beyond(wall: float, reached: bool) -> None:
    results = {"ours": result(wall), "theirs": result(1.0)}
    goal = Goal("ours", "theirs", 1.05)
    assert goal.ratio(results) == pytest.approx(wall)
    assert goal.is_reached(results) is reached


def test_as_fast_as_is_the_others_time_by_ours() -> None:
    results = {"ours": result(2.0, cpu=4.0), "theirs": result(20.0, cpu=4.0)}
    assert Goal("ours", "theirs", 10, faster=True).is_reached(results)
    assert not Goal("ours", "theirs", 10.1, faster=True).is_reached(results)
    assert not Goal("ours", "theirs", 2, figure="cpu", faster=True).is_reached(results)
