"""What the commands show of change logs."""

from collections.abc import Sequence

from rich.console import Console

from headrace.adapters.postgresql.capturing import CaptureStatus, Plan
from headrace.adapters.postgresql.change_log import NotCapturable
from headrace_admin.grid import Json, moment_text, print_grid, say, when


def capture_plan_json(plan: Plan, refused: Sequence[NotCapturable], *, dry_run: bool) -> Json:
    """What is done to a source, or would be."""
    return {
        "dryRun": dry_run,
        "steps": [
            {"purpose": step.purpose, "statements": list(step.statements)} for step in plan.steps
        ],
        "notCaptured": [{"table": one.name, "reason": one.reason} for one in refused],
    }


def print_capture_plan(out: Console, plan: Plan, *, dry_run: bool) -> None:
    """The same: as SQL that a person can run, or what was done."""
    for step in plan.steps:
        if dry_run:
            out.out(step.script, highlight=False)
        else:
            say(out, f"{step.purpose}: done")
    if not plan.steps:
        say(out, "-- nothing to do" if dry_run else "nothing to do")


def capture_status_json(status: CaptureStatus, refused: Sequence[NotCapturable]) -> Json:
    """How a source's change log stands."""
    holder = status.holder
    return {
        "installed": status.installed,
        "rows": status.rows,
        "sizeBytes": status.size_bytes,
        "partitions": status.partitions,
        "daysAhead": status.days_ahead,
        "oldestDay": status.oldest.isoformat() if status.oldest else None,
        "newestDay": status.newest.isoformat() if status.newest else None,
        "lagSeconds": round(status.lag_s, 3),
        "oldestTransaction": None
        if holder is None
        else {
            "process": holder.process,
            "user": holder.user,
            "application": holder.application,
            "state": holder.state,
            "ageSeconds": round(holder.age_s, 3),
        },
        "tables": [
            {
                "table": table.name,
                "capturedSince": moment_text(table.captured_since),
                "rows": table.rows,
                "trouble": table.trouble,
            }
            for table in status.tables
        ]
        + [
            {"table": one.name, "capturedSince": None, "rows": 0, "trouble": one.reason}
            for one in refused
        ],
    }


def print_capture_status(
    out: Console, status: CaptureStatus, refused: Sequence[NotCapturable]
) -> None:
    """The same, for people."""
    if not status.installed:
        say(out, "There is no change log in this source.")
    else:
        oldest = f"since {status.oldest}" if status.oldest else "empty"
        say(
            out,
            f"change log: {status.rows:,} rows, {status.size_bytes:,} bytes, {oldest}; "
            f"{status.partitions} partitions, {status.days_ahead} days ahead",
        )
        if status.holder is not None:
            one = status.holder
            say(
                out,
                f"oldest writing transaction: {one.age_s:.0f} s ({one.state}), process "
                f"{one.process}, {one.user} {one.application}".rstrip(),
            )
    print_grid(
        out,
        ("table", "captured since", "rows of the log", "trouble"),
        [
            (
                table.name,
                when(table.captured_since) if table.captured_since else "",
                f"{table.rows:,}",
                table.trouble or "",
            )
            for table in status.tables
        ]
        + [(one.name, "", "", one.reason) for one in refused],
    )
