"""Tasks of a workflow: an event in, an outcome as data out.

What no longer counts (``Fenced``, ``Stopped``) is the outcome ``void``: nothing failed, and
nothing is to be done again. Whatever else is raised, the workflow tries again, and fails the
job or the operation in the end.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.exports.extraction import Attempt
from headrace.exports.model import Failure
from headrace.kernel.errors import Fenced, NotFound, Stopped
from headrace.runtime import metrics
from headrace.runtime.observability import logger

type Event = Mapping[str, Any]
type Answer = Mapping[str, Any] | None
type TimeLeft = Callable[[], float]
"""Seconds until Lambda ends the invocation."""

_SENTENCES = {
    "source_unavailable": "The source could not be read; retry the operation later.",
    "source_busy": "Others read from the source all along; retry the operation at a quieter time.",
    "source_changed": "The source changed while it was read; retry the operation.",
    "slice_too_long": (
        "A slice of the table took longer to read than a worker may run. Retry the operation when "
        "the source is less busy. A table goes in slices as CSV, JSON or NDJSON if it has a "
        "primary key; any other goes in one, so take fewer rows or columns of it."
    ),
    "snapshot_lost": "The source did not keep the snapshot that is to be read until all was read; "
    "retry the operation at a quieter time, or for fewer tables.",
    "unavailable": "A service that the work needs did not answer; retry the operation.",
    "schema_changed": "The source is not as it was published; the catalog is to be published anew.",
    "sync_version_expired": "The changes since the version are not kept any more; start a full "
    "export, and go on from its version.",
    "resync_required": "The changes of the table could not be told; start a full export, and go on "
    "from its version.",
    "increments_unavailable": "The changes of the table cannot be told, as its primary key is not "
    "unique; export it in full, as `entity`.",
}


@dataclass(frozen=True)
class Task:
    """A Lambda handler of a workflow's task."""

    function: Callable[[Event], Answer]

    def __call__(self, event: Event, context: object) -> dict[str, Any]:
        """The outcome ``done`` with what the function returned, or ``void``."""
        return _outcome(self.function.__module__, event, lambda: self.function(event))


class Invocation(Protocol):
    """What Lambda says of an invocation; the part that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until it is ended."""
        ...


@dataclass(frozen=True)
class TimedTask:
    """A task that looks at how much time is left to it."""

    function: Callable[[Event, TimeLeft], Answer]

    def __call__(self, event: Event, context: Invocation) -> dict[str, Any]:
        """The outcome ``done`` with what the function returned, or ``void``."""
        return _outcome(
            self.function.__module__,
            event,
            lambda: self.function(event, lambda: context.get_remaining_time_in_millis() / 1000),
        )


def _outcome(module: str, event: Event, work: Callable[[], Answer]) -> dict[str, Any]:
    ids = (event.get(name) for name in ("operation_id", "process_id", "walk_id"))
    logger().set_correlation_id(next((str(one) for one in ids if one), ""))
    about = {name: event[name] for name in ("job_id", "range") if event.get(name) is not None}
    product, _, about["task"] = module.rpartition(".")
    began = time.monotonic()
    try:
        result = work() or {}
    except (Fenced, Stopped, NotFound) as error:
        logger().info("void", extra={"code": error.code, **about})
        return {"outcome": "void"}
    except Exception:
        logger().exception("task failed", extra=about)
        metrics.emit({metrics.ERRORS: 1}, product=product)
        raise
    finally:
        used = (time.monotonic() - began) * _memory_gb()
        metrics.emit({metrics.GIGABYTE_SECONDS: used}, product=product, tenant=event.get("tenant"))
    if failure := result.get("failure"):
        logger().warning("failed", extra={"code": failure, **about})
    logger().info("handed over" if result.get("again") else "done", extra=about)
    return {"outcome": "done", **result}


def _memory_gb() -> float:
    """What Lambda gives the function: reserved by it, and so 0 anywhere else."""
    return int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) / 1024


def attempt_of(event: Event) -> Attempt:
    """The attempt that the event names."""
    return Attempt(
        tenant=event["tenant"],
        client_id=event["client_id"],
        operation_id=event["operation_id"],
        attempt=event["attempt"],
    )


def failure_of(event: Event) -> Failure:
    """What the workflow caught, as a caller may see it: a code and a sentence, no internals."""
    error = event.get("error") or {}
    name = str(error.get("Error", ""))
    code = {
        "SourceUnavailable": "source_unavailable",
        "SourceChanged": "source_changed",
        "SourceBusy": "source_busy",
        "SliceTooLong": "slice_too_long",
        "SnapshotLost": "snapshot_lost",
        "SchemaChanged": "schema_changed",
        "SyncVersionExpired": "sync_version_expired",
        "ResyncRequired": "resync_required",
        "IncrementsUnavailable": "increments_unavailable",
        "FileUnavailable": "unavailable",
        "Unavailable": "unavailable",
        # What Step Functions calls a query that failed; no other task of ours ends so.
        "States.TaskFailed": "source_unavailable",
        "Athena.TooManyRequestsException": "source_unavailable",
        "States.Timeout": "timed_out",
        "Sandbox.Timedout": "timed_out",
    }.get(name, "worker_failed")
    sentence = _SENTENCES.get(code, "The work did not come to an end; retry the operation.")
    return Failure(code, sentence)
