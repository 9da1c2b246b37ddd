"""The commands that show what was done: ``headrace-admin audit`` and ``… statistics``."""

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, TextIO

from cyclopts import App, Parameter

from headrace.audit.model import Span
from headrace.audit.usecases import ReadStatistics, ReadTrail
from headrace.audit.views import StatisticsView
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest
from headrace.kernel.view import as_json
from headrace_admin.operation_views import event_json, failing_json, print_statistics
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

audit = App(name="audit")

First = Annotated[str | None, Parameter(name="--from", show_default=False)]
Last = Annotated[str | None, Parameter(name="--to", show_default=False)]
ServiceFilter = Annotated[str | None, Parameter(name="--service", show_default=False)]


@audit.command
def export(
    *,
    first: First = None,
    last: Last = None,
    service: ServiceFilter = None,
    to_file: Annotated[Path | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """Write the events of the trail as lines of JSON, oldest first.

    Parameters
    ----------
    first
        The first day, UTC, as 2026-11-26; 30 days back if not named.
    last
        The last day, UTC; today if not named.
    service
        Events of this service (client) only.
    to_file
        The file, which must not be there; stdout if not named.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        span = _span(first, last)
        trail = ReadTrail(target.deployment().audit_trail())
        if to_file is None:
            _write(trail, span, service, sys.stdout)
            return Exit.OK
        try:
            file = to_file.open("x", encoding="utf-8")
        except FileExistsError:
            raise InvalidRequest(f"{to_file} is there already; name another file.") from None
        with file:
            count = _write(trail, span, service, file)
        printer.result(
            {"file": str(to_file), "events": count},
            lambda out: out.print(f"{count:,} events written to {to_file}."),
        )
        return Exit.OK

    return finished(printer, work)


@audit.command
def statistics(
    service: str, *, first: First = None, last: Last = None, target: Target = AWS
) -> int:
    """Show what a service (client) did per day, and what came to nothing.

    Parameters
    ----------
    service
        The client's id.
    first
        The first day, UTC, as 2026-11-26; 30 days back if not named.
    last
        The last day, UTC; today if not named.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        reader = ReadStatistics(target.deployment().statistics(), SystemClock())
        days = reader.days(service, _span(first, last))
        failings, _ = reader.failings(service, 20, None)
        printer.result(
            {
                **as_json(StatisticsView.of(service, days)),
                "newestErrors": [failing_json(failing) for failing in failings],
            },
            lambda out: print_statistics(out, days, failings),
        )
        return Exit.OK

    return finished(printer, work)


def _day(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{option} takes a day as 2026-12-01, and not {text}.") from None


def _span(first: str | None, last: str | None) -> Span:
    try:
        return Span.of(
            _day("--from", first),
            _day("--to", last),
            datetime.now(UTC).date(),
        )
    except ValueError as error:
        raise InvalidRequest(f"The days cannot be read: {error}.") from None


def _write(trail: ReadTrail, span: Span, service: str | None, file: TextIO) -> int:
    count = 0
    for event in trail(span, service):
        file.write(json.dumps(event_json(event), ensure_ascii=False) + "\n")
        count += 1
    return count
