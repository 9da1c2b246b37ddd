"""Functions on the platform fail, end and queue as they do on AWS."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system.platform.conftest import Scratch

pytestmark = pytest.mark.system


def test_an_error_has_the_name_of_its_class_and_says_where(scratch: Scratch) -> None:
    kind, error = scratch.invoke("Task", do="raise", why="thanks")
    assert kind == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("Refused", "no, thanks")
    assert "handler" in error["stackTrace"][-1]


def test_an_error_does_not_end_the_process(scratch: Scratch) -> None:
    _, before = scratch.invoke("Task")
    scratch.invoke("Task", do="raise", why="")
    _, after = scratch.invoke("Task")
    assert after["pid"] == before["pid"]


@pytest.mark.parametrize("how", ["die", "exit"])
def test_a_process_that_dies_is_an_error_and_not_a_silence(scratch: Scratch, how: str) -> None:
    kind, error = scratch.invoke("Task", do=how)
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert scratch.invoke("Task")[0] is None


def test_a_function_that_cannot_be_imported_says_so(scratch: Scratch) -> None:
    kind, error = scratch.invoke("Broken")
    assert (kind, error["errorType"]) == ("Unhandled", "Runtime.InitError")
    assert "nothing_of_this_name" in error["errorMessage"]


def test_a_time_out_kills_so_that_nothing_is_written_late(scratch: Scratch, tmp_path: Path) -> None:
    late = tmp_path / "late"
    begun = time.monotonic()
    kind, error = scratch.invoke("Task", do="write late", seconds=3, path=str(late))
    assert (kind, error["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "2.00 seconds" in error["errorMessage"]
    time.sleep(max(0.0, begun + 3.5 - time.monotonic()))  # past when it would have been written
    assert not late.exists()


def test_each_process_has_a_temporary_folder_of_its_own(scratch: Scratch) -> None:
    with ThreadPoolExecutor(2) as pool:
        replies = list(
            pool.map(lambda _: scratch.invoke("Task", do="sleep", seconds=0.5)[1], range(2))
        )
    assert len({reply["pid"] for reply in replies}) == 2
    assert len({reply["temporary"] for reply in replies}) == 2


def test_more_calls_than_processes_wait_and_none_is_refused(scratch: Scratch) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(
            pool.map(lambda _: scratch.invoke("Task", do="sleep", seconds=0.1), range(20))
        )
    assert {kind for kind, _ in replies} == {None}
    most = int(os.environ.get("HEADRACE_WORKERS", "4"))
    assert 1 < len({reply["pid"] for _, reply in replies}) <= most
