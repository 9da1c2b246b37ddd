"""The commands for what persons may ask of the operator: ``headrace-admin profile``."""

import json
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from headrace.audit.model import MOST_DAYS, Action, Event, Span
from headrace.audit.usecases import ReadTrail
from headrace.kernel.clock import SystemClock
from headrace.kernel.errors import InvalidRequest
from headrace.kernel.view import as_json
from headrace.profiles.model import Profile
from headrace.profiles.persons import Asked, FindPerson, only_one
from headrace_admin.deployment import Deployment
from headrace_admin.operation_views import event_json
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.published import deployment_with
from headrace_admin.recording import record
from headrace_admin.target import AWS, Target

profile = App(name="profile")

Tenant = Annotated[str, Parameter(help="The tenant, as the published catalog names it.")]
ProfileId = Annotated[str | None, Parameter(show_default=False)]
SyncId = Annotated[str | None, Parameter(show_default=False)]
Email = Annotated[str | None, Parameter(show_default=False)]


@profile.command
def export(
    tenant: Tenant,
    *,
    profile_id: ProfileId = None,
    sync_id: SyncId = None,
    email: Email = None,
    with_events: Annotated[bool, Parameter(negative="")] = False,
    to_file: Annotated[Path | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """Write all that is kept of a person, as JSON.

    Parameters
    ----------
    profile_id
        The person, by the profile's id.
    sync_id
        … or by what the system that pushed the profile knows them by.
    email
        … or by their e-mail address, in either case; all profiles that have it are written.
    with_events
        Also what the audit trail of the last year has of the profile: who imported and read it.
    to_file
        The file, which must not be there, and which nobody else may read; stdout if not named.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = deployment_with(tenant, target)
        found = FindPerson(deployment.profiles())(tenant, _asked(profile_id, sync_id, email))
        for one in found:
            _written(deployment, Action.PERSON_EXPORT, one)
        document = _document(deployment, found, with_events=with_events)
        if to_file is None:
            printer.out.out(json.dumps(document, ensure_ascii=False, indent=2), highlight=False)
            return Exit.OK
        _write(to_file, document)
        printer.result(
            {"file": str(to_file), "profiles": len(found)},
            lambda out: out.print(f"Written to {to_file}.", markup=False),
        )
        return Exit.OK

    return finished(printer, work)


@profile.command
def erase(
    tenant: Tenant,
    *,
    profile_id: ProfileId = None,
    sync_id: SyncId = None,
    email: Email = None,
    target: Target = AWS,
) -> int:
    """Erase all that is kept of a person: the profile, its link and its places in groups.

    A system that goes on pushing the person makes a new profile: tell who runs it.

    Parameters
    ----------
    profile_id
        The person, by the profile's id.
    sync_id
        … or by what the system that pushed the profile knows them by.
    email
        … or by their e-mail address; if several profiles have it, erase each by its id.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = deployment_with(tenant, target)
        profiles = deployment.profiles()
        found = FindPerson(profiles)(tenant, _asked(profile_id, sync_id, email))
        erased = only_one(found)
        # Before it is done: what is gone cannot be found again, to be written down then.
        _written(deployment, Action.ERASE, erased)
        profiles.delete(tenant, erased.profile_id)

        def human(out: Console) -> None:
            out.print(f"The profile {erased.profile_id} is gone.", markup=False)
            printer.err.print(
                "Backups of the table hold it, encrypted, for as long as they reach back."
            )

        printer.result({"tenant": tenant, "erasedProfileId": erased.profile_id}, human)
        return Exit.OK

    return finished(printer, work)


def _asked(profile_id: str | None, sync_id: str | None, email: str | None) -> Asked:
    """Raises InvalidRequest."""
    if sum(one is not None for one in (profile_id, sync_id, email)) != 1:
        raise InvalidRequest("Name the person by one of --profile-id, --sync-id and --email.")
    return Asked(profile_id, sync_id, email)


def _document(
    deployment: Deployment, found: Sequence[Profile], *, with_events: bool
) -> dict[str, Any]:
    names = {group.group_id: group.name for group in deployment.groups().groups(found[0].tenant)}
    document: dict[str, Any] = {
        "profiles": [
            {**as_json(one), "groups": sorted(names.get(group, group) for group in one.groups)}
            for one in found
        ]
    }
    if with_events:
        ids = {one.profile_id for one in found}
        document["events"] = [event_json(one) for one in _events(deployment, ids)]
    return document


def _events(deployment: Deployment, profile_ids: set[str]) -> list[Event]:
    today = SystemClock().now().date()
    trail = ReadTrail(deployment.audit_trail())
    span = Span.of(today - timedelta(days=MOST_DAYS - 1), today, today)
    return [one for one in trail(span) if one.concerns.get("profileId") in profile_ids]


def _write(file: Path, document: dict[str, Any]) -> None:
    """Raises InvalidRequest: there is such a file already."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidRequest(f"{file} is there already; name another file.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump(document, opened, ensure_ascii=False, indent=2)


def _written(deployment: Deployment, action: Action, one: Profile) -> None:
    ids = {"profileId": one.profile_id}
    record(deployment, action, tenant=one.tenant, concerns=ids)
