"""Who shares with whom, and when.

A *consent* says that a party shares with an audience (seed 002): an account holder with a service
or with an organisation, an organisation with a data broker (its membership). There is one at a
time for each party and audience. It moves along this table of states::

    (begin) ──> DRAFT ──> UNCONFIRMED ──> ACTIVE <──> FROZEN
                  ├─────> PRECONFIRMED ──> ACTIVE, FROZEN
                  └─────> ACTIVE
    DRAFT, UNCONFIRMED, PRECONFIRMED, ACTIVE, FROZEN ──> EXPIRED, INVALID, DELETED
    UNCONFIRMED, PRECONFIRMED, ACTIVE ──> REJECTED
    EXPIRED, REJECTED, INVALID ──> DELETED

ACTIVE, PRECONFIRMED and FROZEN share, within the validity ``[begins, ends)``. One whose validity
has ended is EXPIRED from that moment on, whatever its record says: no job has to run. What is over
(EXPIRED, REJECTED, INVALID, DELETED) does not come back; a new consent begins in its place.

FROZEN shares what there is and stands as it is: the service can neither change nor end it, only
the operator can. It is for what must not change under somebody's hands, a study that was closed
for example.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from headrace.kernel.errors import ConsentFixed, ValidationFailed

ACCOUNT_ID = re.compile(r"[!-$&-~]{1,128}")
"""Opaque: whatever the sources have in their account column, in printable ASCII; no percent sign,
which paths are written with."""
ORGANISATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

SKEW = timedelta(minutes=5)
"""The clocks of two functions differ by less."""


class State(StrEnum):
    """The states of a consent (those of the system behind seed 002)."""

    DRAFT = "DRAFT"
    UNCONFIRMED = "UNCONFIRMED"
    PRECONFIRMED = "PRECONFIRMED"
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    INVALID = "INVALID"
    DELETED = "DELETED"

    @property
    def shares(self) -> bool:
        """Does a consent in this state share, within its validity."""
        return self in SHARING

    @property
    def is_over(self) -> bool:
        """May a new consent begin in its place, and nothing else but that it is deleted."""
        return self in OVER


SHARING = frozenset({State.ACTIVE, State.PRECONFIRMED, State.FROZEN})
OVER = frozenset({State.EXPIRED, State.REJECTED, State.INVALID, State.DELETED})

_ENDS = {State.EXPIRED, State.INVALID, State.DELETED}
MOVES: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.UNCONFIRMED, State.PRECONFIRMED, State.ACTIVE, *_ENDS}),
    State.UNCONFIRMED: frozenset({State.ACTIVE, State.REJECTED, *_ENDS}),
    State.PRECONFIRMED: frozenset({State.ACTIVE, State.FROZEN, State.REJECTED, *_ENDS}),
    State.ACTIVE: frozenset({State.FROZEN, State.REJECTED, *_ENDS}),
    State.FROZEN: frozenset({State.ACTIVE, *_ENDS}),
    State.EXPIRED: frozenset({State.DELETED}),
    State.REJECTED: frozenset({State.DELETED}),
    State.INVALID: frozenset({State.DELETED}),
    State.DELETED: frozenset(),
}
"""The moves that there are; to stay is none."""
BEGINNINGS = frozenset(
    {State.DRAFT, State.UNCONFIRMED, State.PRECONFIRMED, State.ACTIVE, State.FROZEN}
)
"""The states that a consent may begin in."""
OF_SERVICES = frozenset({State.ACTIVE, State.PRECONFIRMED})
"""What a service may change or end by itself. What waits for the account holder (DRAFT,
UNCONFIRMED), or was decided against it (REJECTED, INVALID), is the operator's."""


class AudienceKind(StrEnum):
    """What can be shared with."""

    SERVICE = "service"
    ORGANISATION = "organisation"
    BROKER = "broker"

    @property
    def party(self) -> str:
        """What shares with it."""
        return "organisation" if self is AudienceKind.BROKER else "account"


@dataclass(frozen=True, order=True)
class Audience:
    """Whom is shared with. The id of a service or broker is its client id."""

    kind: AudienceKind
    audience_id: str

    def __str__(self) -> str:
        """As keys and messages have it."""
        return f"{self.kind}#{self.audience_id}"


@dataclass(frozen=True)
class Validity:
    """From when on, and until when: ``[begins, ends)``, in whole milliseconds."""

    begins: datetime
    ends: datetime | None = None

    def __post_init__(self) -> None:
        """Raises ValidationFailed for one that ends before it begins."""
        object.__setattr__(self, "begins", _whole(self.begins))
        if self.ends is not None:
            object.__setattr__(self, "ends", _whole(self.ends))
            if self.ends <= self.begins:
                raise ValidationFailed(
                    "A consent must end after it begins.",
                    [{"field": "to", "message": "must be later than from"}],
                )

    def holds(self, moment: datetime) -> bool:
        """Is the moment within it."""
        return self.begins <= moment and not self.has_ended(moment)

    def has_ended(self, moment: datetime) -> bool:
        """Is it over at that moment."""
        return self.ends is not None and self.ends <= moment


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class Consent:
    """A consent as it is recorded. ``revision`` rises by one with each change."""

    tenant: str
    party: str
    """The account, or of a membership the organisation."""
    audience: Audience
    state: State
    validity: Validity
    revision: int
    changed_at: datetime
    changed_by: str
    """The operator, a service's client id, or a user's id."""

    def state_at(self, moment: datetime) -> State:
        """The state that it is in at that moment."""
        if not self.state.is_over and self.validity.has_ended(moment):
            return State.EXPIRED
        return self.state

    def shares_at(self, moment: datetime) -> bool:
        """Does the party share with the audience at that moment."""
        return self.state.shares and self.validity.holds(moment)

    def changed(
        self, moment: datetime, by: str, state: State, validity: Validity | None = None
    ) -> "Consent":
        """In another state, with another validity, or anew where it is over.

        Raises ConsentFixed for a move that there is not.
        """
        validity = validity or self.validity
        before = self.state_at(moment)
        begins_anew = before.is_over and state in BEGINNINGS
        stays = state == before and not before.is_over
        if not (begins_anew or stays or state in MOVES[before]):
            raise ConsentFixed(f"A consent that is {before} cannot become {state}.", state=before)
        if state in BEGINNINGS and validity.has_ended(moment):
            raise ValidationFailed(
                "The validity has ended already.",
                [{"field": "to", "message": "must be later than now"}],
            )
        return replace(
            self,
            state=state,
            validity=validity,
            revision=self.revision + 1,
            changed_at=moment,
            changed_by=by,
        )


@dataclass(frozen=True)
class Change:
    """One consent, as it was (None: there was none) and as it is to be."""

    before: Consent | None
    after: Consent

    def ends_sharing(self, moment: datetime) -> bool:
        """Has a reader that saw the party share before to be told that this has ended.

        Also if it only ended in between. Clocks differ, so this says yes where it is in doubt: to
        be told twice costs nothing. A validity that ends later needs no telling: that is seen at
        the moment itself.
        """
        if self.before is None or not self.before.state.shares:
            return False
        was, now = self.before.validity, self.after.validity
        if was.begins > moment + SKEW or was.has_ended(moment - SKEW):
            return False
        goes_on = (
            self.after.state.shares
            and now.begins <= was.begins
            and (
                now.ends is None
                or (was.ends is not None and now.ends >= was.ends)
                or now.ends > moment + SKEW
            )
        )
        return not goes_on


@dataclass(frozen=True)
class AccountHolder:
    """Whose data it is: an opaque id, and who made it known here."""

    tenant: str
    account_id: str
    registered_at: datetime
    registered_by: str


@dataclass(frozen=True)
class Organisation:
    """An organisation that account holders may share with."""

    tenant: str
    organisation_id: str
    registered_at: datetime
    name: str = field(default="")
