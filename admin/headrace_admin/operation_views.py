"""What the commands show of operations, schedules and what was done."""

from collections.abc import Sequence

from rich.console import Console

from headrace.audit.model import Action, Day, Event, Failing
from headrace.catalog import document
from headrace.exports.model import Job, Operation
from headrace.exports.schedules import Schedule, ScheduledRun
from headrace.exports.scheduling import ScheduleStanding
from headrace.exports.webhooks import Delivery
from headrace.kernel.clock import rfc3339
from headrace.kernel.view import as_json
from headrace_admin.grid import Json, moment_text, print_grid, say, when


def operation_json(operation: Operation) -> Json:
    """An operation, as an operator sees it."""
    return {
        "operationId": operation.operation_id,
        "tenant": operation.tenant,
        "clientId": operation.client_id,
        "kind": operation.kind,
        "status": str(operation.status),
        "percent": operation.percent,
        "attempt": operation.attempt,
        "configurationId": operation.request.configuration_id,
        "fileFormat": str(operation.request.file_format),
        "compression": str(operation.request.compression),
        "catalogVersion": operation.catalog_version,
        "schedule": operation.occasion.schedule if operation.occasion else None,
        "syncVersion": operation.sync_version,
        "quotaDay": operation.quota_day,
        "refunded": operation.refunded,
        "createdAt": rfc3339(operation.created_at),
        "startedAt": moment_text(operation.started_at),
        "endedAt": moment_text(operation.ended_at),
        "expiresAt": moment_text(operation.expires_at),
        "error": _failure(operation),
        "jobs": [_job_json(job) for job in operation.jobs],
        "deliveries": [_delivery_json(delivery) for delivery in operation.deliveries],
    }


def _delivery_json(delivery: Delivery) -> Json:
    return {
        "id": delivery.delivery_id,
        "endpoint": delivery.endpoint,
        "state": str(delivery.state),
        "tries": delivery.tries,
        "lastTryAt": moment_text(delivery.last_try_at),
        "lastStatus": delivery.last.status,
        "lastError": delivery.last.error,
        "nextTryAt": moment_text(delivery.next_try_at),
    }


def _job_json(job: Job) -> Json:
    return {
        "jobId": job.job_id,
        "table": job.table,
        "status": str(job.status),
        "percent": job.percent,
        "attempt": job.attempt,
        "slices": len(job.slices),
        "slicesDone": len(job.slices_done),
        "rows": job.rows,
        "bytes": job.size,
        "sha256": job.sha256,
        "key": job.key,
        "error": _failure(job),
    }


def print_operations(out: Console, operations: Sequence[Operation]) -> None:
    """Operations, newest first."""
    print_grid(
        out,
        ("operation", "tenant", "client", "configuration", "status", "created", "took"),
        [
            (
                operation.operation_id,
                operation.tenant,
                operation.client_id,
                operation.request.configuration_id,
                str(operation.status),
                when(operation.created_at),
                _duration(operation),
            )
            for operation in operations
        ],
    )


_APART = ("jobs", "deliveries", "error")


def print_operation(out: Console, operation: Operation) -> None:
    """One operation with its jobs."""
    facts = operation_json(operation)
    shown = [(k, str(v)) for k, v in facts.items() if k not in _APART and v is not None]
    print_grid(out, None, shown)
    if operation.failure:
        say(out, f"failed: {operation.failure.code}: {operation.failure.detail}")
    print_grid(
        out,
        ("job", "table", "status", "attempt", "rows", "bytes", "slices", "error"),
        [
            (
                job.job_id[-4:],
                job.table,
                str(job.status),
                str(job.attempt),
                "" if job.rows is None else f"{job.rows:,}",
                "" if job.size is None else f"{job.size:,}",
                f"{len(job.slices_done)}/{len(job.slices)}",
                f"{job.failure.code}: {job.failure.detail}" if job.failure else "",
            )
            for job in operation.jobs
        ],
    )
    print_grid(
        out,
        ("webhook", "state", "tries", "last try", "answered", "next try"),
        [
            (
                delivery.endpoint,
                str(delivery.state),
                str(delivery.tries),
                when(delivery.last_try_at) if delivery.last_try_at else "",
                str(delivery.last.status or delivery.last.error or ""),
                when(delivery.next_try_at) if delivery.next_try_at else "",
            )
            for delivery in operation.deliveries
        ],
    )


def schedule_json(standing: ScheduleStanding) -> Json:
    """A schedule with its last run."""
    schedule = standing.schedule
    return {
        **document.schedule_to_json(schedule),
        "nextRun": moment_text(standing.next_due),
        "lastRun": scheduled_run_json(schedule, standing.runs[0]) if standing.runs else None,
    }


def scheduled_run_json(schedule: Schedule, run: ScheduledRun) -> Json:
    """A run of a schedule."""
    reason = run.reason
    return {
        "schedule": schedule.name,
        "tenant": schedule.tenant,
        "clientId": schedule.client_id,
        "dueAt": rfc3339(run.due),
        "state": str(run.state),
        "operationId": run.operation_id,
        "kind": run.kind,
        "tries": run.tries,
        "reason": None if reason is None else {"code": reason.code, "detail": reason.detail},
    }


def print_schedules(out: Console, standings: Sequence[ScheduleStanding]) -> None:
    """Schedules, a line each."""
    print_grid(
        out,
        ("schedule", "tenant", "client", "configuration", "kind", "when", "next run", "last run"),
        [
            (
                one.schedule.name,
                one.schedule.tenant,
                one.schedule.client_id,
                one.schedule.configuration_id,
                str(one.schedule.kind),
                f"{one.schedule.cron} {one.schedule.time_zone}",
                when(one.next_due) if one.next_due else "disabled",
                f"{one.runs[0].state} {when(one.runs[0].due)}" if one.runs else "",
            )
            for one in standings
        ],
    )


def print_scheduled_runs(out: Console, runs: Sequence[tuple[Schedule, ScheduledRun]]) -> None:
    """Runs, the latest first."""
    print_grid(
        out,
        ("due", "schedule", "tenant", "client", "state", "operation", "why"),
        [
            (
                when(run.due),
                schedule.name,
                schedule.tenant,
                schedule.client_id,
                str(run.state),
                run.operation_id or "",
                f"{run.reason.code}: {run.reason.detail}" if run.reason else "",
            )
            for schedule, run in runs
        ],
    )


def _failure(failed: Operation | Job) -> Json | None:
    if failed.failure is None:
        return None
    return {"code": failed.failure.code, "detail": failed.failure.detail}


def _duration(operation: Operation) -> str:
    if operation.ended_at is None:
        return ""
    return f"{(operation.ended_at - operation.created_at).total_seconds():.1f} s"


def event_json(event: Event) -> Json:
    """An event of the trail; what it has not is left out."""
    found = as_json(event)
    return {name: value for name, value in found.items() if value not in (None, {})}


def failing_json(failing: Failing) -> Json:
    """What came to nothing."""
    return {name: value for name, value in as_json(failing).items() if value is not None}


def print_statistics(out: Console, days: Sequence[Day], failings: Sequence[Failing]) -> None:
    """What a service did, for people: the days on which it did something, the newest last."""
    busy = [day for day in days if day.counts]
    actions = [action for action in Action if any(action in day.counts for day in busy)]
    if busy:
        print_grid(
            out,
            ("day", *(str(action) for action in actions)),
            [
                (day.day.isoformat(), *(f"{day.counts.get(action, 0):,}" for action in actions))
                for day in busy
            ],
        )
    else:
        say(out, "nothing was done on these days")
    if failings:
        say(out, "")
        print_grid(
            out,
            ("at", "what", "status", "code", "correlation id"),
            [
                (when(one.at), one.what, str(one.status), one.code, one.correlation_id)
                for one in failings
            ],
        )
