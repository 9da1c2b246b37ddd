"""What is done with consents: by the operator, by services, and by who searches them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headrace.consents.model import (
    ACCOUNT_ID,
    BEGINNINGS,
    OF_SERVICES,
    ORGANISATION_ID,
    AccountHolder,
    Audience,
    AudienceKind,
    Change,
    Consent,
    Organisation,
    State,
    Validity,
)
from headrace.consents.ports import MAX_CHANGES, Accounts, Consents, Organisations, Services
from headrace.kernel.caller import Caller
from headrace.kernel.clock import Clock
from headrace.kernel.errors import (
    Conflict,
    ConsentFixed,
    NotFound,
    ValidationFailed,
)
from headrace.kernel.paging import cursor_behind, place_of

OPERATOR = "operator"
_TRIES = 5
_NO_SUBSCRIPTION = "There is no such subscription."
_PAGE, _PAGES = 100, 10
"""So many consents a search reads at a time, and so often one call of it."""


def checked_account(account_id: str) -> str:
    """An account's id. Raises ValidationFailed."""
    if not ACCOUNT_ID.fullmatch(account_id):
        raise ValidationFailed(
            "An account's id has 1 to 128 characters of printable ASCII, no blank and no percent "
            "sign.",
            [{"field": "account", "message": "has another form"}],
        )
    return account_id


def checked_organisation(organisation_id: str) -> str:
    """An organisation's id. Raises ValidationFailed."""
    if not ORGANISATION_ID.fullmatch(organisation_id):
        raise ValidationFailed(
            "An organisation's id has 1 to 64 letters, digits, dots, hyphens and underscores, and "
            "begins with a letter or digit.",
            [{"field": "organisation", "message": "has another form"}],
        )
    return organisation_id


@dataclass(frozen=True)
class RegisterAccounts:
    """Makes account holders known, by the operator."""

    accounts: Accounts
    clock: Clock

    def __call__(self, tenant: str, account_ids: Iterable[str]) -> tuple[int, int]:
        """How many were new, and how many were known. Raises ValidationFailed before any is."""
        wanted = dict.fromkeys(checked_account(one) for one in account_ids)
        now = self.clock.now()
        new = sum(
            self.accounts.register(AccountHolder(tenant, one, now, OPERATOR)) for one in wanted
        )
        return new, len(wanted) - new


@dataclass(frozen=True)
class RegisterOrganisation:
    """Makes an organisation known, by the operator, or changes its name."""

    organisations: Organisations
    clock: Clock

    def __call__(self, tenant: str, organisation_id: str, name: str) -> Organisation:
        """Raises ValidationFailed."""
        checked_organisation(organisation_id)
        known = self.organisations.find(tenant, organisation_id)
        since = self.clock.now() if known is None else known.registered_at
        organisation = Organisation(tenant, organisation_id, since, name)
        self.organisations.put(organisation)
        return organisation


@dataclass(frozen=True)
class Audiences:
    """Finds whom can be shared with, for a party that is known."""

    services: Services
    accounts: Accounts
    organisations: Organisations

    def check(self, tenant: str, audience: Audience, party: str) -> None:
        """Raises NotFound unless there are both, and may share so."""
        self.find(tenant, audience)
        if audience.kind is AudienceKind.BROKER:
            if self.organisations.find(tenant, party) is None:
                raise NotFound(f"The tenant has no organisation {party}; register it first.")
        elif self.accounts.find(tenant, party) is None:
            raise NotFound(f"The tenant has no account {party}; register it first.")

    def find(self, tenant: str, audience: Audience) -> None:
        """Raises NotFound unless there is this audience."""
        if audience.kind is AudienceKind.ORGANISATION:
            if self.organisations.find(tenant, audience.audience_id) is None:
                raise NotFound(f"The tenant has no organisation {audience.audience_id}.")
        elif self.services.kind(tenant, audience.audience_id) is not audience.kind:
            what = "broker" if audience.kind is AudienceKind.BROKER else "service for accounts"
            raise NotFound(
                f"The published catalog has no {what} {audience.audience_id} of this tenant."
            )


@dataclass(frozen=True)
class Term:
    """What is asked of a validity: what is None stays as it is, and of a new consent begins now
    and has no end. ``endless`` takes an end away."""

    begins: datetime | None = None
    ends: datetime | None = None
    endless: bool = False

    def validity(self, before: Consent | None, now: datetime) -> Validity:
        """The validity. Raises ValidationFailed."""
        begins, ends = self.begins, self.ends
        if before is None or before.state_at(now).is_over:
            return Validity(begins or now, ends)
        if ends is None and not self.endless:
            ends = before.validity.ends
        return Validity(begins or min(before.validity.begins, now), ends)


@dataclass(frozen=True)
class SetConsents:
    """Puts consents into a state, with a validity: what the operator may."""

    consents: Consents
    audiences: Audiences
    clock: Clock

    def __call__(
        self,
        tenant: str,
        audience: Audience,
        parties: Sequence[str],
        state: State,
        term: Term,
    ) -> tuple[Consent, ...]:
        """The consents, written a few at a time: to do it again is harmless.

        Raises NotFound, ConsentFixed, ValidationFailed, Conflict.
        """
        now = self.clock.now()
        for party in parties:
            self.audiences.check(tenant, audience, party)
        done: list[Consent] = []
        for first in range(0, len(parties), MAX_CHANGES):
            changes = []
            for party in parties[first : first + MAX_CHANGES]:
                before = self.consents.find(tenant, audience, party)
                changes.append(_change(tenant, audience, party, before, state, term, now))
            if real := [one for one in changes if one.before != one.after]:
                self.consents.save(real, now)
            done += [one.after for one in changes]
        return tuple(done)


@dataclass(frozen=True)
class EndConsent:
    """Ends a consent, by the operator: the party shares no more from now on."""

    consents: Consents
    clock: Clock

    def __call__(self, tenant: str, audience: Audience, party: str) -> Consent:
        """The consent, DELETED; again is harmless. Raises NotFound, Conflict."""
        now = self.clock.now()
        before = self.consents.find(tenant, audience, party)
        if before is None:
            raise NotFound(f"{party} has no consent with this {audience.kind}.")
        if before.state is State.DELETED:
            return before
        after = before.changed(now, OPERATOR, State.DELETED)
        self.consents.save([Change(before, after)], now)
        return after


@dataclass(frozen=True)
class Subscribe:
    """An account holder subscribes to a service, which says so itself (seed 002)."""

    consents: Consents
    services: Services
    accounts: Accounts
    clock: Clock

    def __call__(
        self,
        caller: Caller,
        service_id: str,
        account_id: str,
        begins: datetime | None,
        ends: datetime | None,
    ) -> tuple[Consent, bool]:
        """The consent, and whether it is new; the account is registered if it is not known.

        Raises NotFound to who is not the service, ConsentFixed, ValidationFailed, Conflict.
        """
        audience = own_audience(self.services, caller, service_id)
        checked_account(account_id)
        return _again(lambda: self._once(caller.tenant, audience, account_id, begins, ends))

    def _once(
        self,
        tenant: str,
        audience: Audience,
        account_id: str,
        begins: datetime | None,
        ends: datetime | None,
    ) -> tuple[Consent, bool]:
        now, service_id = self.clock.now(), audience.audience_id
        before = self.consents.find(tenant, audience, account_id)
        state = State.ACTIVE if before is None else _of_services(before, now)
        term = Term(begins, ends, endless=ends is None)
        change = _change(tenant, audience, account_id, before, state, term, now, service_id)
        if change.before != change.after:
            self.accounts.register(AccountHolder(tenant, account_id, now, service_id))
            self.consents.save([change], now)
        return change.after, before is None or before.state_at(now).is_over


@dataclass(frozen=True)
class Unsubscribe:
    """An account holder leaves a service, which says so itself."""

    consents: Consents
    services: Services
    clock: Clock

    def __call__(self, caller: Caller, service_id: str, account_id: str) -> None:
        """Ends the consent; again is harmless.

        Raises NotFound to who is not the service or has no such subscription, ConsentFixed,
        Conflict.
        """
        audience = own_audience(self.services, caller, service_id)
        if not ACCOUNT_ID.fullmatch(account_id):
            raise NotFound(_NO_SUBSCRIPTION)
        _again(lambda: self._once(caller.tenant, audience, account_id))

    def _once(self, tenant: str, audience: Audience, account_id: str) -> None:
        now = self.clock.now()
        before = self.consents.find(tenant, audience, account_id)
        if before is None:
            raise NotFound(_NO_SUBSCRIPTION)
        if before.state_at(now).is_over:
            return
        _of_services(before, now)
        after = before.changed(now, audience.audience_id, State.DELETED)
        self.consents.save([Change(before, after)], now)


@dataclass(frozen=True)
class Search:
    """What is searched for; what is None does not matter."""

    service: str | None = None
    organisation: str | None = None
    account: str | None = None
    state: State | None = None


@dataclass(frozen=True)
class SearchConsents:
    """Finds consents: a service its own, a user with the permission those of the tenant."""

    consents: Consents
    services: Services
    organisations: Organisations
    clock: Clock

    def __call__(
        self, caller: Caller, search: Search, size: int, cursor: str | None
    ) -> tuple[tuple[Consent, ...], str | None]:
        """Up to ``size`` consents, and the cursor of the next page if there is one.

        A page may hold fewer, and others follow. A service searches what is shared with itself,
        or as a broker with the organisation that it calls for. Raises NotFound for what is not
        the caller's, InvalidRequest for another's cursor, ValidationFailed.
        """
        bound = f"{caller.tenant} {caller.client_id} {caller.user} {caller.organisation} {search}"
        after = None if cursor is None else place_of(cursor, bound)
        audience = self._audience(caller, search)
        if audience is None:
            return self._of_account(caller.tenant, search, size, after, bound)
        if search.account is not None:
            found = self.consents.find(caller.tenant, audience, search.account)
            return tuple(self._wanted(search, [found] if found else [])), None
        wanted: list[Consent] = []
        for _ in range(_PAGES):
            page = self.consents.with_audience(caller.tenant, audience, after, _PAGE)
            for consent in page:
                if len(wanted) == size:
                    return tuple(wanted), cursor_behind(str(after), bound)
                wanted += self._wanted(search, [consent])
                after = consent.party
            if len(page) < _PAGE:
                return tuple(wanted), None
        return tuple(wanted), cursor_behind(str(after), bound)

    def _audience(self, caller: Caller, search: Search) -> Audience | None:
        kind = self.services.kind(caller.tenant, search.service or caller.client_id)
        if search.organisation is not None:
            self._check_organisation(caller, search)
            return Audience(AudienceKind.ORGANISATION, search.organisation)
        if caller.user is None and search.service not in (None, caller.client_id):
            raise NotFound("There is no such service.")
        if caller.user is not None and search.service is None:
            if search.account is None:
                raise ValidationFailed(
                    "Name a service, an organisation or an account to search for.",
                    [{"field": "service", "message": "is missing, as are the others"}],
                )
            return None
        if kind is None:
            raise NotFound("There is no such service.")
        return Audience(kind, search.service or caller.client_id)

    def _check_organisation(self, caller: Caller, search: Search) -> None:
        named = str(search.organisation)
        if search.service is not None:
            raise ValidationFailed(
                "Search either for a service or for an organisation.",
                [{"field": "organisation", "message": "cannot be named along with service"}],
            )
        theirs = caller.user is None and caller.organisation != named
        unknown = not ORGANISATION_ID.fullmatch(named)
        if theirs or unknown or self.organisations.find(caller.tenant, named) is None:
            raise NotFound("There is no such organisation.")

    def _of_account(
        self, tenant: str, search: Search, size: int, after: str | None, bound: str
    ) -> tuple[tuple[Consent, ...], str | None]:
        account, kinds = str(search.account), (AudienceKind.SERVICE, AudienceKind.ORGANISATION)
        found = [one for kind in kinds for one in self.consents.of_party(tenant, kind, account)]
        found = sorted(self._wanted(search, found), key=lambda one: str(one.audience))
        left = [one for one in found if after is None or str(one.audience) > after]
        following = cursor_behind(str(left[size - 1].audience), bound) if len(left) > size else None
        return tuple(left[:size]), following

    def _wanted(self, search: Search, found: Iterable[Consent]) -> list[Consent]:
        now = self.clock.now()
        return [one for one in found if search.state in (None, one.state_at(now))]


def own_audience(services: Services, caller: Caller, service_id: str) -> Audience:
    """Of a service that speaks for itself. Raises NotFound to everybody else."""
    is_itself = caller.user is None and caller.client_id == service_id
    if not is_itself or services.kind(caller.tenant, service_id) is not AudienceKind.SERVICE:
        raise NotFound("There is no such service.")
    return Audience(AudienceKind.SERVICE, service_id)


def _again[T](work: Callable[[], T]) -> T:
    """Does the work, and does it anew where somebody else changed the consent meanwhile."""
    for _ in range(_TRIES):
        try:
            return work()
        except ConsentFixed:
            raise
        except Conflict:
            continue
    return work()


def _of_services(before: Consent, now: datetime) -> State:
    """The state that a service's call leaves the consent in. Raises ConsentFixed."""
    state = before.state_at(now)
    if state in (State.EXPIRED, State.DELETED):
        return State.ACTIVE
    if state not in OF_SERVICES:
        raise ConsentFixed(
            f"The consent is {state}; only your operator can change it.", state=state
        )
    return state


def _change(
    tenant: str,
    audience: Audience,
    party: str,
    before: Consent | None,
    state: State,
    term: Term,
    now: datetime,
    by: str = OPERATOR,
) -> Change:
    """The change; one whose ``after`` is its ``before`` is none.

    Raises ConsentFixed, ValidationFailed.
    """
    validity = before.validity if before and state.is_over else term.validity(before, now)
    if before is None:
        if state not in BEGINNINGS:
            raise ConsentFixed(f"No consent begins as {state}.")
        if validity.has_ended(now):
            raise ValidationFailed(
                "The validity has ended already.",
                [{"field": "to", "message": "must be later than now"}],
            )
        return Change(None, Consent(tenant, party, audience, state, validity, 1, now, by))
    if (state, validity) == (before.state_at(now), before.validity):
        return Change(before, before)
    return Change(before, before.changed(now, by, state, validity))
