"""Logs of calls on the platform belong to their calls."""

import queue
import threading

from local.emulator.marked_logs import log_of


def lines_of(*said: str) -> "queue.Queue[str]":
    lines: queue.Queue[str] = queue.Queue()
    for line in said:
        lines.put(line)
    return lines


def test_the_log_of_a_call_ends_at_its_mark() -> None:
    lines = lines_of("one", "", "two", "\0first", "three", "\0second")
    assert log_of(lines, "first") == "one\n\ntwo"
    assert log_of(lines, "second") == "three"


def test_what_is_said_without_the_end_of_a_line_is_in_it() -> None:
    assert log_of(lines_of("one", "two\0first"), "first") == "one\ntwo"


def test_it_is_waited_for_who_reads_late() -> None:
    lines = lines_of()
    threading.Timer(0.2, lines.put, ["one\0first"]).start()
    assert log_of(lines, "first") == "one"


def test_a_log_that_was_given_up_does_not_end_the_next_one() -> None:
    lines = lines_of("one")
    assert log_of(lines, "first", patience=0.05) == "one"
    for line in ("late", "\0first", "two", "\0second"):
        lines.put(line)
    assert log_of(lines, "second") == "late\ntwo"
