"""The commands about whose data may be seen: ``headrace-admin account``, ``organisation``,
``consent`` and ``membership``."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from headrace.consents.model import Audience, AudienceKind, Consent, State
from headrace.consents.ports import Consents
from headrace.consents.usecases import (
    Audiences,
    EndConsent,
    RegisterAccounts,
    RegisterOrganisation,
    SetConsents,
    Term,
    checked_account,
)
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest, NotFound, ValidationFailed
from headrace_admin.deployment import Deployment
from headrace_admin.moments import moment_of
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.people_views import (
    account_json,
    consent_json,
    organisation_json,
    print_accounts,
    print_consents,
    print_organisations,
)
from headrace_admin.published import deployment_with
from headrace_admin.target import AWS, Target

account = App(name="account")
organisation = App(name="organisation")
consent = App(name="consent")
membership = App(name="membership")

Tenant = Annotated[str, Parameter(help="The tenant, as the published catalog names it.")]
Service = Annotated[
    str | None,
    Parameter(help="The service shared with, by its client id.", show_default=False),
]
WithOrganisation = Annotated[
    str | None, Parameter(name="--organisation", help="The organisation shared with.")
]
StateOption = Annotated[State, Parameter(help="The state to put it into.")]
Begins = Annotated[
    str | None,
    Parameter(
        name="--from",
        help="Share from then on, as 2026-12-01T00:00:00Z; without it, as it does, or from now.",
        show_default=False,
    ),
]
Ends = Annotated[
    str | None,
    Parameter(
        name="--to",
        help="Share until then, or `never` to take an end away; without it, as it does.",
        show_default=False,
    ),
]

_PAGE = 200
_AT_ONCE = 500
"""Accounts, or consents, between two words of how far an import is."""


def _audiences(deployment: Deployment) -> Audiences:
    return Audiences(deployment.services(), deployment.accounts(), deployment.organisations())


def _set(deployment: Deployment) -> SetConsents:
    return SetConsents(deployment.consents(), _audiences(deployment), SystemClock())


def _term(begins: str | None, ends: str | None) -> Term:
    first = None if begins is None else moment_of("--from", begins)
    if ends == "never":
        return Term(first, endless=True)
    return Term(first, None if ends is None else moment_of("--to", ends))


def _audience(service: str | None, organisation_id: str | None) -> Audience:
    if (service is None) == (organisation_id is None):
        raise InvalidRequest("Name either --service or --organisation.")
    if service is not None:
        return Audience(AudienceKind.SERVICE, service)
    return Audience(AudienceKind.ORGANISATION, str(organisation_id))


def _all_with(consents: Consents, tenant: str, audience: Audience) -> Iterator[Consent]:
    after: str | None = None
    while page := consents.with_audience(tenant, audience, after, _PAGE):
        yield from page
        after = page[-1].party


def _print_consents(printer: Printer, found: Sequence[Consent]) -> None:
    now = SystemClock().now()
    printer.result(
        {"consents": [consent_json(one, now) for one in found]},
        lambda out: print_consents(out, found, now),
    )


# --- account --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """One account of a file, and with whom it shares if the file says so."""

    account: str
    audience: Audience | None
    term: Term
    where: str
    """The file and the line's number, for errors."""


def _read(file: Path) -> tuple[_Line, ...]:
    """Every line, or none at all. Raises InvalidRequest, ValidationFailed."""
    known = {"account", "service", "organisation", "from", "to"}
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = csv.DictReader(opened)
            names = rows.fieldnames or []
            if "account" not in names or not known.issuperset(names):
                raise InvalidRequest(
                    f"{file} must begin with a line of column names: account, and if wanted "
                    "service or organisation, from, to."
                )
            return tuple(_line(file, rows.line_num, row) for row in rows)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file} is no text in UTF-8.") from None
    except csv.Error as error:
        raise InvalidRequest(f"{file} is no CSV: {error}.") from None


def _line(file: Path, number: int, row: dict[str, Any]) -> _Line:
    given = {name: value for name, value in row.items() if name and value}
    if None in row or "account" not in given:
        raise InvalidRequest(f"{file}:{number}: has no account, or more cells than columns.")
    shares = "service" in given or "organisation" in given
    try:
        return _Line(
            checked_account(given["account"]),
            _audience(given.get("service"), given.get("organisation")) if shares else None,
            _term(given.get("from"), given.get("to")),
            f"{file}:{number}",
        )
    except (InvalidRequest, ValidationFailed) as error:
        raise InvalidRequest(f"{file}:{number}: {error.detail}") from None


def _tell(printer: Printer, done: int, total: int, what: str) -> None:
    """How far it is, where there is more than one goes in a moment."""
    if total > _AT_ONCE:
        printer.err.print(f"{done:,} of {total:,} {what}", markup=False)


@account.command(name="import")
def import_accounts(file: Path, *, tenant: Tenant, target: Target = AWS) -> int:
    """Make accounts known, of a CSV file with the column `account`; again is harmless.

    With the columns `service` or `organisation`, and if wanted `from` and `to`, each line also
    says with whom the account shares: that consent is ACTIVE then.

    Parameters
    ----------
    file
        The file, in UTF-8.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment, lines = deployment_with(tenant, target), _read(file)
        by_wish: dict[tuple[Audience, Term], dict[str, None]] = {}
        first: dict[Audience, str] = {}
        for line in lines:
            if line.audience is not None:
                wish = by_wish.setdefault((line.audience, line.term), {})
                wish[line.account] = None
                first.setdefault(line.audience, line.where)
        for audience, where in first.items():
            try:
                _audiences(deployment).find(tenant, audience)
            except NotFound as error:
                raise NotFound(f"{where}: {error.detail}") from None
        register = RegisterAccounts(deployment.accounts(), SystemClock())
        accounts = tuple(dict.fromkeys(line.account for line in lines))
        new, old = 0, 0
        for some in batched(accounts, _AT_ONCE, strict=False):
            counted = register(tenant, some)
            new, old = new + counted[0], old + counted[1]
            _tell(printer, new + old, len(accounts), "accounts")
        set_consents, done = _set(deployment), 0
        count = sum(map(len, by_wish.values()))
        for (audience, term), parties in by_wish.items():
            for these in batched(parties, _AT_ONCE, strict=False):
                set_consents(tenant, audience, these, State.ACTIVE, term)
                done += len(these)
                _tell(printer, done, count, "consents")
        printer.result(
            {"registered": new, "known": old, "consents": count},
            lambda out: out.print(
                f"{new:,} accounts are new, {old:,} were known; {count:,} consents are active."
            ),
        )
        return Exit.OK

    return finished(printer, work)


@account.command(name="list")
def list_accounts(*, tenant: Tenant, target: Target = AWS) -> int:
    """List the accounts of a tenant, and who made them known."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = tuple(deployment_with(tenant, target).accounts().all(tenant))
        printer.result(
            {"accounts": [account_json(one) for one in found]},
            lambda out: print_accounts(out, found),
        )
        return Exit.OK

    return finished(printer, work)


# --- organisation ---------------------------------------------------------------------------


@organisation.command(name="put")
def put_organisation(
    organisation_id: str, *, tenant: Tenant, name: str = "", target: Target = AWS
) -> int:
    """Make an organisation known, or give it another name.

    Parameters
    ----------
    organisation_id
        Its id, which a data broker names as `grp`.
    name
        What people call it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        register = RegisterOrganisation(
            deployment_with(tenant, target).organisations(), SystemClock()
        )
        made = register(tenant, organisation_id, name)
        printer.result(organisation_json(made), lambda out: print_organisations(out, (made,)))
        return Exit.OK

    return finished(printer, work)


@organisation.command(name="list")
def list_organisations(*, tenant: Tenant, target: Target = AWS) -> int:
    """List the organisations of a tenant."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = tuple(deployment_with(tenant, target).organisations().all(tenant))
        printer.result(
            {"organisations": [organisation_json(one) for one in found]},
            lambda out: print_organisations(out, found),
        )
        return Exit.OK

    return finished(printer, work)


# --- consent --------------------------------------------------------------------------------


@consent.command(name="list")
def list_consents(
    *,
    tenant: Tenant,
    service: Service = None,
    organisation_id: WithOrganisation = None,
    account_id: Annotated[str | None, Parameter(name="--account", show_default=False)] = None,
    state: State | None = None,
    target: Target = AWS,
) -> int:
    """List who shares with a service or an organisation, or what an account shares.

    Parameters
    ----------
    account_id
        What this account shares.
    state
        Those in this state now.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = deployment_with(tenant, target)
        consents = deployment.consents()
        if service is None and organisation_id is None:
            if account_id is None:
                raise InvalidRequest("Name one of --service, --organisation and --account.")
            kinds = (AudienceKind.ORGANISATION, AudienceKind.SERVICE)
            every = [one for kind in kinds for one in consents.of_party(tenant, kind, account_id)]
        else:
            audience = _audience(service, organisation_id)
            every = list(_all_with(consents, tenant, audience))
            if not every:  # of what has left the catalog there may be some
                _audiences(deployment).find(tenant, audience)
        if account_id is not None and deployment.accounts().find(tenant, account_id) is None:
            raise NotFound(f"The tenant has no account {account_id}.")
        now = SystemClock().now()
        found = [
            one
            for one in every
            if state in (None, one.state_at(now)) and account_id in (None, one.party)
        ]
        _print_consents(printer, found)
        return Exit.OK

    return finished(printer, work)


@consent.command(name="set")
def set_consent(
    account_id: str,
    *,
    tenant: Tenant,
    service: Service = None,
    organisation_id: WithOrganisation = None,
    state: StateOption = State.ACTIVE,
    begins: Begins = None,
    ends: Ends = None,
    target: Target = AWS,
) -> int:
    """Put a consent into a state, and say from when until when it shares; again is harmless.

    Parameters
    ----------
    account_id
        The account that shares.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = deployment_with(tenant, target)
        audience = _audience(service, organisation_id)
        done = _set(deployment)(tenant, audience, (account_id,), state, _term(begins, ends))
        _print_consents(printer, done)
        return Exit.OK

    return finished(printer, work)


@consent.command(name="end")
def end_consent(
    account_id: str,
    *,
    tenant: Tenant,
    service: Service = None,
    organisation_id: WithOrganisation = None,
    target: Target = AWS,
) -> int:
    """End a consent at once, whatever its state; again is harmless.

    Parameters
    ----------
    account_id
        The account that shares no more.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        end = EndConsent(deployment_with(tenant, target).consents(), SystemClock())
        ended = end(tenant, _audience(service, organisation_id), account_id)
        _print_consents(printer, (ended,))
        return Exit.OK

    return finished(printer, work)


# --- membership -----------------------------------------------------------------------------

Broker = Annotated[str, Parameter(help="The data broker, by its client id.")]


@membership.command(name="list")
def list_memberships(*, tenant: Tenant, broker: Broker, target: Target = AWS) -> int:
    """List the organisations that are, or were, members of a data broker."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = deployment_with(tenant, target)
        audience = Audience(AudienceKind.BROKER, broker)
        _audiences(deployment).find(tenant, audience)
        _print_consents(printer, tuple(_all_with(deployment.consents(), tenant, audience)))
        return Exit.OK

    return finished(printer, work)


@membership.command(name="set")
def set_membership(
    organisation_id: str,
    *,
    tenant: Tenant,
    broker: Broker,
    state: StateOption = State.ACTIVE,
    begins: Begins = None,
    ends: Ends = None,
    target: Target = AWS,
) -> int:
    """Make an organisation a member of a data broker, or put the membership into a state.

    Parameters
    ----------
    organisation_id
        The organisation that the broker may act for.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = deployment_with(tenant, target)
        audience = Audience(AudienceKind.BROKER, broker)
        done = _set(deployment)(tenant, audience, (organisation_id,), state, _term(begins, ends))
        _print_consents(printer, done)
        return Exit.OK

    return finished(printer, work)


@membership.command(name="end")
def end_membership(
    organisation_id: str, *, tenant: Tenant, broker: Broker, target: Target = AWS
) -> int:
    """End a membership at once: the broker can act for the organisation no more.

    Parameters
    ----------
    organisation_id
        The organisation.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        end = EndConsent(deployment_with(tenant, target).consents(), SystemClock())
        _print_consents(
            printer, (end(tenant, Audience(AudienceKind.BROKER, broker), organisation_id),)
        )
        return Exit.OK

    return finished(printer, work)
