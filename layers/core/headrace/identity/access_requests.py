"""Requests for access: who wants to call for which tenants, and what shows that they may (seed 004,
"Requesting API access").

    waiting ──> approved    the client has its credential behind a link, of seven days (handover)
       └──────> rejected    kept for ``REJECTED_KEPT``, then forgotten with its evidence

The evidence is what the tenant's people wrote: it has names and addresses in it, so it lies
encrypted, and no list or log shows it.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from headrace.kernel.errors import InvalidRequest

MAX_EVIDENCE = 4 * 1024 * 1024
"""Bytes: a letter or an e-mail with what is attached to it."""
REJECTED_KEPT = timedelta(days=90)


class RequestState(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Evidence:
    """What is known of the evidence without opening it. ``name``: the file's, or ``text``."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "Evidence":
        """Raises InvalidRequest: there is nothing in it, or too much."""
        if not content.strip():
            raise InvalidRequest("The evidence is empty: it says what the client's people wrote.")
        if len(content) > MAX_EVIDENCE:
            raise InvalidRequest(f"The evidence may have {MAX_EVIDENCE // 1024**2} MiB at most.")
        return cls(name, len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class AccessRequest:
    """A request. ``recorded_by`` and ``decided_by``: operators, as the cloud names them.

    ``secret_id``: of the credential that was issued, if one was. ``reason``: of a rejection.
    """

    request_id: str
    client_id: str
    tenants: tuple[str, ...]
    evidence: Evidence
    recorded_at: datetime
    recorded_by: str
    state: RequestState = RequestState.WAITING
    decided_at: datetime | None = None
    decided_by: str | None = None
    secret_id: str | None = None
    reason: str | None = None

    def approved(self, now: datetime, operator: str, secret_id: str | None) -> "AccessRequest":
        """The client may call, and has this credential if any."""
        decided = replace(self, state=RequestState.APPROVED, decided_at=now, decided_by=operator)
        return replace(decided, secret_id=secret_id)

    def rejected(self, now: datetime, operator: str, reason: str) -> "AccessRequest":
        """The client may not."""
        decided = replace(self, state=RequestState.REJECTED, decided_at=now, decided_by=operator)
        return replace(decided, reason=reason)

    @property
    def kept_until(self) -> datetime | None:
        """When it is forgotten; None: as long as the deployment stands."""
        if self.state is not RequestState.REJECTED or self.decided_at is None:
            return None
        return self.decided_at + REJECTED_KEPT
