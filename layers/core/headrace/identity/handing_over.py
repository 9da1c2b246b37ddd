"""Handing secrets over by a link: put behind one, looked for, taken once."""

from dataclasses import dataclass
from datetime import datetime

from headrace.identity.handover import Handover, handover_id, new_token
from headrace.identity.ports import Handovers
from headrace.kernel.clock import Clock


@dataclass(frozen=True)
class HandOver:
    """Puts a secret behind a link."""

    handovers: Handovers
    clock: Clock

    def __call__(self, client_id: str, secret_id: str, secret: str) -> tuple[str, datetime]:
        """The link's token, and until when it works. Raises Unavailable."""
        token = new_token()
        handover = Handover.of(token, client_id, secret_id, secret, self.clock.now())
        self.handovers.add(handover)
        return token, handover.expires_at


@dataclass(frozen=True)
class FindHandover:
    """Looks whether a link works, and takes nothing: scanners of mail follow links."""

    handovers: Handovers
    clock: Clock

    def __call__(self, token: str) -> Handover | None:
        """None for a link that never was, was used, or is too old: nobody learns which."""
        found = self.handovers.find(handover_id(token))
        return found if found is not None and found.waits_at(self.clock.now()) else None


@dataclass(frozen=True)
class TakeSecret:
    """Opens a link: once, however many try at the same time."""

    handovers: Handovers
    clock: Clock

    def __call__(self, token: str) -> tuple[str, str] | None:
        """The client's id and the secret, or None as ``FindHandover`` says. Raises Unavailable."""
        now = self.clock.now()
        found = self.handovers.find(handover_id(token))
        if found is None or not found.waits_at(now):
            return None
        secret = found.opened(token)
        if not self.handovers.take(found.handover_id, now):
            return None
        return found.client_id, secret
