"""Lines of the log, as a story repeats them."""

import json
from datetime import UTC, datetime
from typing import Any

from headrace_admin.log_lines import LogLines

ABOUT = "01m83447gqypjemp7314mhx90v"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Logs:
    """A log group that has these lines."""

    def __init__(self, *lines: object) -> None:
        at = int(NOON.timestamp() * 1000)
        self.events = [
            {"message": one if isinstance(one, str) else json.dumps(one), "timestamp": at}
            for one in lines
        ]

    def get_paginator(self, name: str) -> "Logs":
        assert name == "filter_log_events"
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"events": self.events}]


def told(*lines: object) -> list[tuple[str, dict[str, str]]]:
    found = LogLines(Logs(*lines), "headrace").about(ABOUT, NOON, NOON)
    return [(line.message, dict(line.told)) for line in found]


def line(**fields: object) -> dict[str, object]:
    return {"correlation_id": ABOUT, "level": "INFO", "message": "done", **fields}


def test_ids_codes_and_numbers_of_a_line_are_repeated() -> None:
    assert told(line(task="export_range", job_id="j1", range=0)) == [
        ("done", {"task": "export_range", "job_id": "j1", "range": "0"})
    ]


def test_what_else_a_line_holds_stays_in_the_log() -> None:
    failed = line(
        exception_name="DatabaseError",
        exception='Traceback: value "Ada Lovelace" is too long',
        row={"name": "Ada Lovelace"},
    )
    assert told(failed) == [("done", {"error": "DatabaseError"})]
    assert told(line(error="no Ada Lovelace here")) == [("done", {})]
    assert told(line(error="timed_out")) == [("done", {"error": "timed_out"})]


def test_lines_that_only_mention_the_id_are_of_other_stories() -> None:
    assert told(line(correlation_id="another", message=f"about {ABOUT}")) == []
    assert told(f"START RequestId: {ABOUT}", "[1, 2]") == []
