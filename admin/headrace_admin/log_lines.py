"""What the functions wrote into the deployment's log group."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_TOLD = ("task", "job_id", "range", "code", "delivery_id", "message_id", "state", "tries", "status")
"""What is repeated of a line: ids, numbers and codes. What else it may hold, as the words of an
error are, stays in the log."""
_ERROR = re.compile(r"[a-z_]{1,64}")
"""A stable code; an error of another form may quote what nobody asked for."""


@dataclass(frozen=True)
class LogLine:
    """A line that has to do with an id."""

    at: datetime
    level: str
    message: str
    told: Mapping[str, str]


@dataclass(frozen=True)
class LogLines:
    """The lines of a log group. ``logs``: the client of CloudWatch Logs."""

    logs: Any
    group: str

    def about(self, wanted: str, since: datetime, until: datetime) -> Iterator[LogLine]:
        """Those of the calls and tasks of this id, oldest first within a stream.

        The service is asked for lines in which the id stands; which of them are about it is
        decided here, by ``correlation_id``.
        """
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=self.group,
            filterPattern=f'"{wanted}"',
            startTime=int(since.timestamp() * 1000),
            endTime=int(until.timestamp() * 1000),
        )
        for page in pages:
            for event in page["events"]:
                line = _line(event["message"], event["timestamp"], wanted)
                if line is not None:
                    yield line


def _line(text: str, milliseconds: int, wanted: str) -> LogLine | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None  # a library's own words
    if not isinstance(record, dict) or record.get("correlation_id") != wanted:
        return None
    told = {name: str(record[name]) for name in _TOLD if record.get(name) is not None}
    error = record.get("exception_name") or record.get("error")
    if isinstance(error, str) and ("exception_name" in record or _ERROR.fullmatch(error)):
        told["error"] = error
    return LogLine(
        datetime.fromtimestamp(milliseconds / 1000, UTC),
        str(record.get("level", "")),
        str(record.get("message", "")),
        told,
    )
