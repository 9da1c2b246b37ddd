"""The points of an export's life at which something goes wrong, as rules over requests.

A function's request to AWS, and what AWS answers, are the only places where one function's work
touches another's: to be killed between two of them is to be killed at either.
"""

from dataclasses import dataclass

from tests.chaos.proxy import Phase, Request

_STARTS = ("StartFullExport", "StartIncrementalExport")


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
