"""What callers are shown of consents."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from headrace.consents.model import AudienceKind, Consent, State
from headrace.kernel.view import View


@dataclass(frozen=True)
class ConsentView(View):
    """A consent: who shares with whom."""

    account: str | None
    """The account that shares; null of an organisation's membership."""
    organisation: str | None
    """The organisation shared with, or the member of a broker; null of a subscription."""
    service: str | None
    """The service shared with, or the broker; null of what is shared with an organisation."""
    state: State
    """As it stands now: what has passed its end is EXPIRED."""
    is_sharing: bool
    """Is data shared by it now."""
    from_: datetime
    """Shares from then on."""
    to: datetime | None
    """Shares until then; null is without an end."""
    changed_at: datetime

    @classmethod
    def of(cls, consent: Consent, now: datetime) -> Self:
        """The consent, as it stands at that moment."""
        audience = consent.audience
        with_service = audience.kind is not AudienceKind.ORGANISATION
        is_membership = audience.kind is AudienceKind.BROKER
        organisation = None if with_service else audience.audience_id
        return cls(
            account=None if is_membership else consent.party,
            organisation=consent.party if is_membership else organisation,
            service=audience.audience_id if with_service else None,
            state=consent.state_at(now),
            is_sharing=consent.shares_at(now),
            from_=consent.validity.begins,
            to=consent.validity.ends,
            changed_at=consent.changed_at,
        )


@dataclass(frozen=True)
class ConsentPage(View):
    """Consents; ``next`` is the cursor of the next page."""

    consents: tuple[ConsentView, ...]
    next: str | None
    """Send it as `cursor`, with the same search, to get the next page; null on the last."""
