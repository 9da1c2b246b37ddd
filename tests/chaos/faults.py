"""The faults, and a tap that brings one about at a point of one run."""

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.points import Point
from tests.chaos.proxy import DATABASE, Answer, Forward, Gone, Phase, Request

_LONGEST_HOLD_S = 60.0
_STATEMENT_S = 20.0


class Fault(StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """The function's process ends, as by a SIGKILL."""
    DUPLICATE = "duplicate"
    """The function is invoked again with the same event (odd seeds), or AWS gets the request a
    second time (even ones)."""
    DELAY = "delay"
    """The request or its answer is held: a little, or until the function has sent another like
    it, so that it comes behind its own repetition."""
    THROTTLE = "throttle"
    """From here on DynamoDB throttles some requests of the run."""
    ERROR = "error"
    """From here on S3, KMS and Step Functions answer some requests of the run 500 or 503, and the
    sessions of some statements are cut off."""


FAILING = {Fault.THROTTLE: ("dynamodb",), Fault.ERROR: ("s3", "kms", "states", DATABASE)}
"""The services that answer with errors."""
TIMES = (1, 4, 9)
"""How many requests get an error, by the seed: botocore gets past the first, a task's retries past
the others."""
HOLD_S = (1.0, 6.0, None)
"""How long a request is held, by the seed; None: until the function has sent it again, which it
does after its read timeout of 30 s. A statement, which nobody sends again, is then held 20 s."""


@dataclass
class Injection:
    """Brings the fault about once, at the point, in what is done on one journey (a ``Tap``).

    ``nth`` counts the requests that are such a point. ``again`` invokes the function again with
    the event that this request was made for.
    """

    mark: str
    point: Point
    fault: Fault
    seed: int
    nth: int
    again: Callable[[Request], None]
    hit: Request | None = None
    """The request that was the point."""
    done: int = 0
    """How many times it did what the fault is."""
    _met: int = 0
    _failing: int = 0
    _repetition: asyncio.Event = field(default_factory=asyncio.Event)
    _background: list[asyncio.Future[None]] = field(default_factory=list)

    async def __call__(
        self, phase: Phase, request: Request, answer: Answer | None, forward: Forward
    ) -> Answer | None:
        """See ``Tap``."""
        if not request.says(self.mark):
            return None
        if self.hit is not None and phase is Phase.BEFORE and _alike(request, self.hit):
            self._repetition.set()
        at_point = False
        if self.hit is None and self.point.is_at(phase, request):
            self._met += 1
            if self._met == self.nth:
                self.hit, at_point = request, True
                self._failing = TIMES[self.seed % 3] if self.fault in FAILING else 0
        if self.fault in FAILING:
            return self._failed(phase, request)
        if at_point and self.fault is Fault.KILL:
            self._kill(request)
            raise Gone
        if at_point and self.fault is Fault.DELAY:
            await self._hold(request)
        if self.fault is Fault.DUPLICATE and self.hit is not None and self.done == 0:
            await self._duplicate(phase, request, forward)
        return None

    def _kill(self, request: Request) -> None:
        pid = request.sender()
        assert pid is not None, f"nobody knows who sent {request.action}"
        self.done += 1
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def _hold(self, request: Request) -> None:
        self.done += 1
        seconds = HOLD_S[self.seed % 3]
        if seconds is None and request.service == DATABASE:
            seconds = _STATEMENT_S
        self._repetition.clear()
        if seconds is not None:
            await asyncio.sleep(seconds)
        else:
            # Where the function was given up itself, nothing is sent again.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_HOLD_S):
                    await self._repetition.wait()

    async def _duplicate(self, phase: Phase, request: Request, forward: Forward) -> None:
        assert self.hit is not None
        if self.seed % 2 or self.hit.service == DATABASE:
            self.done += 1
            self._background.append(asyncio.ensure_future(asyncio.to_thread(self.again, self.hit)))
        elif phase is Phase.AFTER and _alike(request, self.hit):
            self.done += 1
            await forward()

    def _failed(self, phase: Phase, request: Request) -> Answer | None:
        if not self._failing or phase is not Phase.BEFORE:
            return None
        if request.service not in FAILING[self.fault]:
            return None
        self._failing -= 1
        self.done += 1
        if request.service == DATABASE:
            raise Gone
        return error_of(request, self.seed + self.done)

    def is_quiet(self) -> bool:
        """Has all ended that it began. Raises what went wrong there."""
        for one in self._background:
            if one.done():
                one.result()
        return all(one.done() for one in self._background)


def error_of(request: Request, number: int) -> Answer:
    """How the service says that it cannot serve the request now."""
    status = 500 if number % 2 else 503
    if request.service == "s3":
        code = "InternalError" if status == 500 else "SlowDown"
        body = f"<Error><Code>{code}</Code><Message>Injected</Message></Error>"
        return Answer.made(status, {"Content-Type": "application/xml"}, body.encode())
    if request.service == "dynamodb":
        status, code = 400, "ProvisionedThroughputExceededException"
    else:
        code = "KMSInternalException" if request.service == "kms" else "InternalFailure"
    said = json.dumps({"__type": code, "message": "Injected"})
    return Answer.made(status, {"Content-Type": "application/x-amz-json-1.0"}, said.encode())


def _alike(one: Request, other: Request) -> bool:
    """May the one be the other sent again."""
    return (one.function, one.action, one.path) == (other.function, other.action, other.path)


def chance_of(point: Point, fault: Fault, seed: int) -> random.Random:
    """What a seed decides."""
    return random.Random(f"{point.name} {fault} {seed}")
