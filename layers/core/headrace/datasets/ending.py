"""How processes end: by their execution, by the sweeper, and what is owed to who wants to know."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from headrace.datasets.messages import TECHNICAL_FAILURE
from headrace.datasets.model import Process, Result
from headrace.datasets.notices import MOST_MESSAGES, Notice
from headrace.datasets.ports import (
    Courier,
    Due,
    DueProcesses,
    Notices,
    Processes,
    ProcessStarts,
    Properties,
    Runs,
    SigningSecrets,
)
from headrace.datasets.running import LEASE, Ran, running
from headrace.datasets.tidying import TidyProcess
from headrace.kernel.clock import MOST_SKEW, Clock
from headrace.kernel.deliveries import Answer, DeliveryState, headers
from headrace.kernel.errors import AddressRefused, Fenced, NotFound, Unavailable

ENDPOINT = "datasetoperations.notification"
"""What a tenant's signing secrets of its notices are kept under."""


def secrets_owner(tenant: str) -> str:
    """Whose signing secrets those of a tenant are: no client's, as ids hold no colon."""
    return f"tenant:{tenant}"


@dataclass(frozen=True)
class EndProcess:
    """Ends a process as its worker left it."""

    processes: Processes
    clock: Clock

    def __call__(self, tenant: str, process_id: str, ran: Ran, reason: str = "") -> Process:
        """``ran`` has no result if it came to no end; ``reason`` says why. Raises Fenced."""
        process = running(self.processes, tenant, process_id)
        result = ran.result
        if result is None:
            self.processes.tell(process, [TECHNICAL_FAILURE(reason=reason)])
            result = Result.FAILURE
        ended = process.ended(result, self.clock.now(), ran.outcome)
        self.processes.end(ended)
        return ended


@dataclass(frozen=True)
class NotifyEnd:
    """Tries once to tell the end of a process, if it is time for it."""

    processes: Processes
    notices: Notices
    properties: Properties
    secrets: SigningSecrets
    courier: Courier
    clock: Clock
    jitter: Callable[[], float]
    """A random number from 0 to 1."""

    def __call__(self, tenant: str, process_id: str, run: int) -> Notice:
        """As it stands then; while it is pending, it is to be tried again at ``next_try_at``.

        Raises NotFound, Fenced, Unavailable.
        """
        kept = self.notices.find(tenant, process_id)
        if kept is None:
            raise NotFound("There is no such notice.")
        if kept.state is not DeliveryState.PENDING or kept.run != run:
            raise Fenced("The notice was told, or another execution sees to it.")
        now = self.clock.now()
        if kept.next_try_at is not None and now < kept.next_try_at:
            return kept
        if kept.is_hopeless:
            return self.notices.save(kept, kept.abandoned())
        url = self.properties.value(tenant, kept.property_name)
        if not url:
            return self.notices.save(kept, kept.withdrawn())
        begun = self.notices.save(kept, kept.begun(now, self.jitter()))
        return self.notices.save(begun, begun.ended(self._send(begun, url, now)))

    def _send(self, notice: Notice, url: str, now: datetime) -> Answer:
        page = self.processes.messages(notice.tenant, notice.process_id, 1, MOST_MESSAGES)
        body = notice.body(page.items)
        try:
            signing = self.secrets.of(secrets_owner(notice.tenant), ENDPOINT)
        except Unavailable:
            return Answer(error="secret_unavailable")
        signed = headers(notice.message_id, now, body, signing)
        if not signing:
            # The receivers of seed 001 know of no signature, and a tenant need not have a secret.
            del signed["webhook-signature"]
        try:
            return Answer(status=self.courier.put(url, body, signed))
        except AddressRefused:
            return Answer(error="address_refused")
        except Unavailable:
            return Answer(error="no_answer")


@dataclass(frozen=True)
class Swept:
    """What a sweep did, in processes and notices.

    ``lag_s``: for how many seconds the first of what was due had been due.
    """

    started: int = 0
    failed: int = 0
    notified: int = 0
    tidied: int = 0
    lag_s: int = 0


@dataclass(frozen=True)
class SweepProcesses:
    """Ends the processes whose execution is gone, begins those that never had one, and sees to
    notices that nobody sees to, and to what ended processes left. Running it twice, or two at once,
    changes nothing more."""

    processes: Processes
    starts: ProcessStarts
    notices: Notices
    due: DueProcesses
    runs: Runs
    tidy: TidyProcess
    clock: Clock

    def __call__(self) -> Swept:
        """Looks at all that is due; one's trouble does not keep the others waiting.

        Raises ExceptionGroup of what went wrong.
        """
        now = self.clock.now()
        counts: Counter[str] = Counter()
        # An hour for the clock that said when it is due, and more than a lease beside.
        horizon = now + 2 * MOST_SKEW
        processes, notices = [*self.due.processes(horizon)], [*self.due.notices(now)]
        ended = [*self.due.ended(now)]
        troubles = [
            *self._each(processes, self._look_at, counts),
            *self._each(notices, self._look_at_notice, counts),
            *self._each(ended, self._look_at_ended, counts),
        ]
        first = min((one.due_at for one in (*processes, *notices, *ended)), default=now)
        counts["lag_s"] = max(0, int((now - first).total_seconds()))
        counts.pop("", None)
        if troubles:
            raise ExceptionGroup(f"{len(troubles)} could not be looked at", troubles)
        return Swept(**counts)

    def _each(
        self, due: Iterable[Due], look: Callable[[Due], str], counts: Counter[str]
    ) -> list[Exception]:
        troubles: list[Exception] = []
        for one in due:
            try:
                counts[look(one)] += 1
            except Fenced:
                continue  # it moved on meanwhile
            except Exception as trouble:
                troubles.append(trouble)
        return troubles

    def _look_at(self, one: Due) -> str:
        process = self.processes.find(one.tenant, one.process_id)
        if process is None or process.has_ended:
            return ""
        running = self.runs.is_running(process)
        if running:
            self.starts.look_again(process, self.clock.now() + LEASE)
            return ""
        if running is None:
            self.runs.start(process)
            self.starts.look_again(process, self.clock.now() + LEASE)
            return "started"
        reason = "the work ended without a result; start it again"
        EndProcess(self.processes, self.clock)(one.tenant, one.process_id, Ran(None), reason)
        return "failed"

    def _look_at_ended(self, one: Due) -> str:
        process = self.processes.find(one.tenant, one.process_id)
        if process is None or not process.has_ended:
            return ""
        done = self.tidy(process)
        self.starts.tidied(process, None if done else self.clock.now() + LEASE)
        return "tidied" if done else ""

    def _look_at_notice(self, one: Due) -> str:
        notice = self.notices.find(one.tenant, one.process_id)
        if notice is None or notice.state is not DeliveryState.PENDING:
            return ""
        if self.runs.notice_is_running(notice):
            return ""
        self.runs.start_notice(self.notices.save(notice, notice.rerun()))
        return "notified"
