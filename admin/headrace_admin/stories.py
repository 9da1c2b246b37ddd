"""What happened to an operation or a process, in order, from all places that know of it.

The tables say what is, the audit trail who asked for what, the log what the workers did. Ids,
codes and numbers only: of what was carried, nothing is in a story.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from headrace.audit.model import MOST_DAYS, Event, Span
from headrace.audit.usecases import ReadTrail
from headrace.datasets.model import Process
from headrace.exports.model import Operation
from headrace.kernel.deliveries import Tried
from headrace_admin.deployment import Deployment

_AFTERWARDS = timedelta(days=2)
"""How long after the end there may be something to tell: webhooks are tried for a day, files lie
for a day unless the deployment says otherwise."""


@dataclass(frozen=True, order=True)
class Moment:
    """One thing that happened. ``place``: where that is known from."""

    at: datetime
    place: str
    what: str
    told: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Story:
    """Of an operation or a process, oldest first."""

    about: str
    tenant: str
    client_id: str | None
    kind: str
    status: str
    moments: tuple[Moment, ...]


def of_operation(deployment: Deployment, operation: Operation, now: datetime) -> Story:
    """An export's. Raises DeploymentNotFound, Unavailable."""
    moments = [
        *_of_tables(operation),
        *_elsewhere(
            deployment, operation.operation_id, operation.created_at, operation.ended_at, now
        ),
    ]
    return Story(
        operation.operation_id,
        operation.tenant,
        operation.client_id,
        str(operation.kind),
        str(operation.status),
        tuple(sorted(moments)),
    )


def of_process(deployment: Deployment, process: Process, now: datetime) -> Story:
    """A data set process's. Raises DeploymentNotFound, Unavailable."""
    about = {"definition": process.definition, "data_set": process.data_set}
    moments = [Moment(process.started_at, "tables", f"{process.kind} started", about)]
    if process.ended_at is not None:
        moments.append(
            Moment(
                process.ended_at, "tables", f"{process.kind} ended", {"result": _result(process)}
            )
        )
    notice = deployment.notices().find(process.tenant, process.process_id)
    if notice is not None:
        moments += _of_message(notice, notice.message_id)
    moments += _elsewhere(deployment, process.process_id, process.started_at, process.ended_at, now)
    return Story(
        process.process_id,
        process.tenant,
        None,
        str(process.kind),
        f"ended: {_result(process)}" if process.has_ended else "running",
        tuple(sorted(moments)),
    )


def of_message(story: Story, message_id: str) -> Story:
    """The part of a story that is about a message of it."""
    ids = ("delivery_id", "message_id")
    moments = (one for one in story.moments if message_id in {one.told.get(name) for name in ids})
    return Story(message_id, story.tenant, story.client_id, "message", story.status, tuple(moments))


def _result(process: Process) -> str:
    return str(process.result or "")


def _of_tables(operation: Operation) -> Iterator[Moment]:
    request = operation.request
    what = {"configuration": request.configuration_id, "format": str(request.file_format)}
    yield Moment(operation.created_at, "tables", "operation accepted", what)
    attempt = {"attempt": str(operation.attempt)}
    if operation.started_at is not None:
        yield Moment(operation.started_at, "tables", "operation running", attempt)
    for job in operation.jobs:
        about = {"job_id": job.job_id, "table": job.table, "attempt": str(job.attempt)}
        if job.started_at is not None:
            yield Moment(job.started_at, "tables", "job running", about)
        if job.ended_at is not None:
            counted = {"rows": job.rows, "bytes": job.size}
            numbers = {name: str(value) for name, value in counted.items() if value is not None}
            code = {"code": job.failure.code} if job.failure else {}
            yield Moment(job.ended_at, "tables", f"job {job.status}", {**about, **numbers, **code})
    if operation.ended_at is not None:
        code = {"code": operation.failure.code} if operation.failure else {}
        refund = {"refunded": "yes"} if operation.refunded else {}
        yield Moment(
            operation.ended_at,
            "tables",
            f"operation {operation.status}",
            {**attempt, **code, **refund},
        )
    for delivery in operation.deliveries:
        yield from _of_message(delivery, delivery.delivery_id)


def _of_message(message: Tried, message_id: str) -> Iterator[Moment]:
    if message.last_try_at is not None:
        told = {"delivery_id": message_id, "tries": str(message.tries)}
        answer = message.last.status or message.last.error
        answered = {} if answer is None else {"answered": str(answer)}
        yield Moment(
            message.last_try_at, "tables", f"webhook {message.state}", {**told, **answered}
        )


def _elsewhere(
    deployment: Deployment, about: str, begun: datetime, ended: datetime | None, now: datetime
) -> Iterator[Moment]:
    until = now if ended is None else min(now, ended + _AFTERWARDS)
    last = min(until.date(), begun.date() + timedelta(days=MOST_DAYS - 1))
    for event in ReadTrail(deployment.audit_trail())(Span(begun.date(), last)):
        if about in event.concerns.values() or any(
            value.startswith(f"{about}-") for value in event.concerns.values()
        ):
            yield Moment(event.at, "trail", str(event.action), _of_event(event))
    for line in deployment.log_lines().about(about, begun, until):
        level = {} if line.level == "INFO" else {"level": line.level}
        yield Moment(line.at, "log", line.message, {**level, **line.told})


def _of_event(event: Event) -> Mapping[str, str]:
    job = next((value for name, value in event.concerns.items() if name == "jobId"), None)
    told = {"by": event.service, "correlation_id": event.correlation_id}
    return told if job is None else {**told, "job_id": job}
