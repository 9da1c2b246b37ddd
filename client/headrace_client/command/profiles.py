"""`headrace profiles`: push persons into a tenant, and find them there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from headrace_client.client import HeadraceClient
from headrace_client.command.outcome import Common, Exit, Printer, answer
from headrace_client.command.showing import table_of
from headrace_client.errors import SetupError, printable
from headrace_client.profiles.calls import IN_A_CALL, Pushed
from headrace_client.profiles.reading import profiles_in

_NO_OPTIONS = Common()
_REFUSED = ("refused", "unfinished")
_SHOWN = 20

Tenant = Annotated[
    str | None,
    Parameter(help="The tenant, by its organisation id; the only one you have unless given."),
]

app = App(
    name="profiles",
    help="Push persons into a tenant, and find them there.",
    help_format="markdown",
)


@app.command(name="import")
def push(file: Path, *, tenant: Tenant = None, common: Common = _NO_OPTIONS) -> int:
    """Push the profiles in a file. To push one again changes nothing, so a command that was
    interrupted may be run again.

    Parameters
    ----------
    file
        NDJSON, or CSV (*.csv) whose first line has the names: syncId, givenName, familyName,
        dateOfBirth, and if wanted sex, email, externalId, tenantId, and the consents.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        lines = list(profiles_in(file, tenant or _only(client)))
        done: list[Pushed] = []
        for one in client.profiles.push(profile for _, profile in lines):
            done.append(one)
            if len(done) % IN_A_CALL == 0 and len(done) < len(lines):
                printer.say(f"{len(done):,} of {len(lines):,} profiles")
        counts = Counter(one.outcome for one in done)
        refused = [(lines[one.number - 1][0], one) for one in done if one.outcome in _REFUSED]
        document = {
            "profiles": len(done),
            **{name: counts[name] for name in ("created", "changed", "unchanged")},
            "refused": [_refusal(number, one) for number, one in refused],
        }
        printer.result(document, lambda out: _tell(out, file, counts, refused))
        return Exit.OPERATION_FAILED if refused else Exit.OK

    return answer(common, work)


@app.command(name="list")
def find(
    *,
    tenant: Tenant = None,
    sync_id: str | None = None,
    external_id: str | None = None,
    group: str | None = None,
    since: str | None = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Show the profiles that you see; --json shows all that is kept of them.

    Parameters
    ----------
    sync_id
        The one that your system knows by this id.
    external_id
        Those of this external id.
    group
        Those in this group, by its id.
    since
        Those changed then or later: 2026-11-01T00:00:00Z.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        found = client.profiles.search(
            tenant or _only(client),
            sync_id=sync_id,
            external_id=external_id,
            group_id=group,
            modified_from_utc=since,
        )
        listed = list(found)
        printer.result({"profiles": listed}, lambda out: _print(out, listed))
        return Exit.OK

    return answer(common, work)


@app.command
def redirect_url(sync_id: str, *, tenant: Tenant = None, common: Common = _NO_OPTIONS) -> int:
    """Print the link for a button that leads a user to the profile in the tenant's hub.

    Parameters
    ----------
    sync_id
        What your system knows the person by.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        url = client.profiles.redirect_url(tenant or _only(client), sync_id)
        printer.result({"url": url}, lambda out: out.print(url, markup=False))
        return Exit.OK

    return answer(common, work)


def _only(client: HeadraceClient) -> str:
    """The organisation id of the caller's tenant. Raises SetupError: there are several."""
    listed = client.profiles.tenants()
    if len(listed) == 1:
        return str(listed[0]["id"])
    named = ", ".join(f"{one['id']} ({one['name']})" for one in listed) or "none"
    raise SetupError(printable(f"Name the tenant by --tenant. You may name: {named}."))


def _refusal(number: int, one: Pushed) -> dict[str, Any]:
    return {"line": number, "syncId": one.sync_id, "outcome": one.outcome, "errors": one.errors}


def _tell(
    out: Console, file: Path, counts: Counter[str], refused: list[tuple[int, Pushed]]
) -> None:
    said = ", ".join(f"{counts[name]:,} {name}" for name in ("created", "changed", "unchanged"))
    out.print(f"{said}, {len(refused):,} refused", markup=False)
    for number, one in refused[:_SHOWN]:
        wrong = "; ".join(f"{name}: {' '.join(said)}" for name, said in one.errors.items())
        out.print(printable(f"  {file}:{number}: {wrong or one.outcome}"), markup=False)
    if len(refused) > _SHOWN:
        out.print(f"  … and {len(refused) - _SHOWN:,} more; --json names all")


def _print(out: Console, listed: list[Any]) -> None:
    table = table_of("profile", "sync id", "name", "groups")
    for one in listed:
        name = f"{one['givenName']} {one['familyName']}"
        cells = (one["profileId"], one["syncId"] or "", name, ", ".join(one["groupIds"]))
        table.add_row(*(printable(cell) for cell in cells))
    out.print(table)
