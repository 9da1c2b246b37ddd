"""The points of an operation's life at which something goes wrong, as rules over requests.

A function's request to AWS or to a database, and what that answers, are the only places where one
function's work touches another's: to be killed between two of them is to be killed at either.
"""

from dataclasses import dataclass

from tests.chaos.proxy import Phase, Request

_STARTS = ("StartFullExport", "StartIncrementalExport")
_BUILD_STARTS = ("RebuildDataSet",)
_IMPORT_STARTS = ("ImportFromEnvironment",)
_UNDO_STARTS = ("StartUndo",)


@dataclass(frozen=True)
class Point:
    """A point, in words and as the request (``functions``, ``action``, a text in it) that is it."""

    name: str
    phase: Phase
    functions: tuple[str, ...]
    action: str
    text: str = ""
    times: str = "1"
    """Which of such requests of a run: a number, ``any`` (the seed says), or ``last``."""

    def is_at(self, phase: Phase, request: Request) -> bool:
        """Is this request, as far as it is here, such a point."""
        return (
            phase is self.phase
            and request.function in self.functions
            and self.action in ("", request.action)
            and request.says(self.text)
        )


EXPORT = (
    Point("after authentication", Phase.BEFORE, _STARTS, ""),
    Point("after the start transaction", Phase.AFTER, _STARTS, "TransactWriteItems", '"lock"'),
    Point("after the execution start", Phase.AFTER, _STARTS, "StartExecution"),
    Point("job claim", Phase.AFTER, ("PlanJob",), "TransactWriteItems", times="any"),
    Point("source open", Phase.AFTER, ("ExportRange",), "Query", '"job#', times="any"),
    Point("in the middle of part k", Phase.HALF, ("ExportRange",), "UploadPart", times="any"),
    Point(
        "before completing the upload",
        Phase.BEFORE,
        ("CompleteJob",),
        "CompleteMultipartUpload",
        times="any",
    ),
    Point(
        "after completing the upload",
        Phase.AFTER,
        ("CompleteJob",),
        "CompleteMultipartUpload",
        times="any",
    ),
    Point("after the job's commit", Phase.AFTER, ("CompleteJob",), "TransactWriteItems"),
    Point("last job", Phase.BEFORE, ("CompleteJob",), "TransactWriteItems", times="last"),
    Point("before the lock's release", Phase.BEFORE, ("EndExport",), "TransactWriteItems"),
    Point("before the webhook", Phase.AFTER, ("DeliverWebhook",), "TransactWriteItems"),
    Point("after the webhook", Phase.BEFORE, ("DeliverWebhook",), "TransactWriteItems", times="2"),
)
"""The thirteen of exports, full and incremental. A source is opened after the answer to what the
worker reads of its job; a webhook is sent between the write that claims the try and the one that
says how it went."""


def _start_of(starts: tuple[str, ...]) -> tuple[Point, ...]:
    return (
        Point("after authentication", Phase.BEFORE, starts, ""),
        Point("after the start transaction", Phase.AFTER, starts, "TransactWriteItems", '"LEASE"'),
        Point("after the execution start", Phase.AFTER, starts, "StartExecution"),
    )


_END = (
    Point("before the lease's release", Phase.BEFORE, ("EndDataSetProcess",), "TransactWriteItems"),
    Point("after the lease's release", Phase.AFTER, ("EndDataSetProcess",), "TransactWriteItems"),
    Point("before the notice", Phase.AFTER, ("NotifyDataSetProcess",), "TransactWriteItems"),
    Point(
        "after the notice", Phase.BEFORE, ("NotifyDataSetProcess",), "TransactWriteItems", times="2"
    ),
)
_WORKER = ("ImportDataSet",)
_UNDONE = ("TransactWriteItems", "undone_by")
_BATCH = "SET LOCAL lock_timeout"
_CHANGES = (
    Point("work claim", Phase.AFTER, _WORKER, "TransactWriteItems"),
    Point("target open", Phase.BEFORE, _WORKER, "SELECT"),
    Point("before a batch's commit", Phase.BEFORE, _WORKER, "COMMIT", _BATCH, times="any"),
    Point("after a batch's commit", Phase.AFTER, _WORKER, "COMMIT", _BATCH, times="any"),
)
"""A batch of an import, or of an undoing, is a transaction of the target."""

BUILD = (
    *_start_of(_BUILD_STARTS),
    Point("work claim", Phase.AFTER, ("BuildDataSet",), "TransactWriteItems"),
    Point("source open", Phase.BEFORE, ("BuildDataSet",), "BEGIN"),
    Point("in the middle of the items", Phase.HALF, ("BuildDataSet",), "UploadPart", "/items/"),
    Point(
        "in the middle of the payload", Phase.HALF, ("BuildDataSet",), "UploadPart", "/payloads/"
    ),
    Point(
        "before completing the upload",
        Phase.BEFORE,
        ("BuildDataSet",),
        "CompleteMultipartUpload",
        "/payloads/",
    ),
    Point(
        "after completing the upload",
        Phase.AFTER,
        ("BuildDataSet",),
        "CompleteMultipartUpload",
        "/payloads/",
    ),
    Point(
        "before the build's commit",
        Phase.BEFORE,
        ("BuildDataSet",),
        "TransactWriteItems",
        '"payload_key"',
    ),
    Point(
        "after the build's commit",
        Phase.AFTER,
        ("BuildDataSet",),
        "TransactWriteItems",
        '"payload_key"',
    ),
    Point("older payload gone", Phase.AFTER, ("BuildDataSet",), "DeleteObject"),
    *_END,
)
"""Of the building of a full data set anew."""

IMPORT = (
    *_start_of(_IMPORT_STARTS),
    Point("in the middle of the fetched payload", Phase.HALF, ("FetchPayload",), "UploadPart"),
    Point("after completing its upload", Phase.AFTER, ("FetchPayload",), "CompleteMultipartUpload"),
    Point(
        "before background processing is stopped",
        Phase.AFTER,
        ("PauseTaskProcessing",),
        "TransactWriteItems",
        '"PAUSE"',
    ),
    Point(
        "after background processing is stopped",
        Phase.BEFORE,
        ("PauseTaskProcessing",),
        "TransactWriteItems",
        '"LEASE"',
    ),
    *_CHANGES,
    Point(
        "before completing the undo set",
        Phase.BEFORE,
        _WORKER,
        "CompleteMultipartUpload",
        "/undo-",
    ),
    Point(
        "after completing the undo set", Phase.AFTER, _WORKER, "CompleteMultipartUpload", "/undo-"
    ),
    Point(
        "after background processing is started",
        Phase.BEFORE,
        ("ResumeTaskProcessing",),
        "TransactWriteItems",
        '"PAUSE"',
    ),
    *_END,
)
"""Of the fetching and importing of a data set."""

UNDO = (
    *_start_of(_UNDO_STARTS),
    *_CHANGES,
    Point("before the import is known as undone", Phase.BEFORE, _WORKER, *_UNDONE),
    Point("after the import is known as undone", Phase.AFTER, _WORKER, *_UNDONE),
    *_END,
)
"""Of the undoing of an import."""
