"""The commands of ``headrace-admin``, one function each."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console

from headrace.adapters.postgresql import capturing
from headrace.adapters.postgresql.application_schemas import PostgresqlApplicationSchemas
from headrace.adapters.postgresql.capturing import Plan
from headrace.adapters.postgresql.change_log import CapturedTable, NotCapturable, wanted
from headrace.adapters.warehouse.by_kind import WarehouseByKind
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import read_declarations, read_folder
from headrace.catalog.model import Catalog
from headrace.catalog.usecases import PublishCatalog, ShowCatalog
from headrace.exports.delivering import IssueWebhookSecret
from headrace.exports.model import Operation, Status
from headrace.exports.schedules import RunState
from headrace.exports.scheduling import ListSchedules, ScheduleStanding
from headrace.exports.sources import Source
from headrace.identity.handing_over import HandOver
from headrace.identity.usecases import CreateClientSecret
from headrace.kernel.clock import SystemClock, rfc3339
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace.kernel.ids import OPERATION_ID, RandomIds
from headrace_admin import views
from headrace_admin.access import access_request
from headrace_admin.auditing import audit
from headrace_admin.authority import ca
from headrace_admin.deployment import Deployment
from headrace_admin.notices import notice
from headrace_admin.outcome import EXIT_CODES, Exit, Printer, finished
from headrace_admin.people import role, team, user
from headrace_admin.persons import profile
from headrace_admin.services import service
from headrace_admin.sharing import account, consent, membership, organisation
from headrace_admin.target import AWS, Target
from headrace_admin.templates import template

_EPILOGUE = "Exit codes:\n\n" + "\n".join(
    f"- {int(code)}: {said}" for code, said in EXIT_CODES.items()
)

app = App(
    name="headrace-admin",
    help="The operator's side of Headrace: the catalog, clients' secrets, operations.",
    help_epilogue=_EPILOGUE,
    help_format="markdown",
    version_flags=[],
    result_action="return_value",
)
catalog = App(name="catalog", help="Check, publish and show the catalog.")
client = App(name="client", help="Issue and revoke clients' secrets.")
webhook = App(name="webhook", help="Issue and revoke the secrets that webhooks are signed with.")
operations = App(name="operations", help="Watch who takes what.")
source = App(name="source", help="Put the change log into a PostgreSQL source, and watch it.")
schedule = App(name="schedule", help="Watch the recurring exports.")
app.command(catalog)
app.command(client)
app.command(access_request)
app.command(ca)
app.command(role)
app.command(user)
app.command(team)
app.command(profile)
app.command(account)
app.command(organisation)
app.command(consent)
app.command(membership)
app.command(webhook)
app.command(notice)
app.command(operations)
app.command(service)
app.command(audit)
app.command(schedule)
app.command(template)
app.command(source)


Folder = Annotated[Path, Parameter(help="The catalog's folder, or one file of it.")]
Variables = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="NAME=VALUE for `${NAME}` in the files; repeat it for more. What is not set so "
        "comes from the environment.",
        show_default=False,
        negative="",
    ),
]


def _variables(assignments: tuple[str, ...], target: Target) -> Mapping[str, str]:
    """The environment, over what the local platform knows, under what was given by --set."""
    variables = dict(os.environ)
    if target.local:
        variables = {**target.deployment().catalog_variables, **variables}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise InvalidRequest(f"--set takes NAME=VALUE, and not {assignment}.")
        variables[name] = value
    return variables


def _surroundings(target: Target) -> AbstractContextManager[None]:
    """Within, sources find AWS, for their secrets and files, where the deployment has it."""
    return target.deployment().surroundings() if target.local else nullcontext()


def _compiled(folder: Path, variables: Mapping[str, str], target: Target) -> Catalog:
    with _surroundings(target):
        return compile_catalog(
            read_folder(folder),
            variables,
            WarehouseByKind(),
            PostgresqlApplicationSchemas(),
            local=target.local,
        )


# --- catalog --------------------------------------------------------------------------------


@catalog.command
def check(
    folder: Folder = Path("catalog"),
    *,
    variables: Variables = (),
    offline: Annotated[bool, Parameter(negative="")] = False,
    target: Target = AWS,
) -> int:
    """Check the catalog files, against themselves and against the sources. Publishes nothing.

    Every problem is named at once, with its file and line.

    Parameters
    ----------
    offline
        Leave the sources alone: check the files only.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        known = _variables(variables, target)
        if offline:
            declared = read_declarations(read_folder(folder), known, local=target.local)
            declared.refuse()
            printer.result(
                {"ok": True, "sourcesChecked": False},
                lambda out: out.print("The files are right in themselves; no source was asked."),
            )
            return Exit.OK
        compiled = _compiled(folder, known, target)
        printer.result(
            {"ok": True, "sourcesChecked": True},
            lambda out: out.print(f"All right: {views.summary(compiled)}."),
        )
        return Exit.OK

    return finished(printer, work)


@catalog.command
def publish(
    folder: Folder = Path("catalog"), *, variables: Variables = (), target: Target = AWS
) -> int:
    """Check the catalog files and make them the current catalog, all of it or nothing.

    Operations that run keep the version that they started with. A catalog that is current
    already is not published again.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        compiled = _compiled(folder, _variables(variables, target), target)
        deployment = target.deployment()
        publication = PublishCatalog(deployment.catalogs(), SystemClock())(compiled)

        def human(out: Console) -> None:
            if publication.changed:
                out.print(f"Version {publication.version} is current: {views.summary(compiled)}.")
            else:
                out.print(f"Nothing changed: version {publication.version} is current already.")

        printer.result(
            {**views.publication_json(publication), "changed": publication.changed}, human
        )
        return Exit.OK

    return finished(printer, work)


@catalog.command
def show(*, version: int | None = None, target: Target = AWS) -> int:
    """Show the current catalog, or an earlier one.

    Parameters
    ----------
    version
        A version that was current once; without it, the one that is.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        publication, published = ShowCatalog(target.deployment().catalogs())(version)
        printer.result(
            views.catalog_json(publication, published),
            lambda out: views.print_catalog(out, publication, published),
        )
        return Exit.OK

    return finished(printer, work)


@catalog.command
def versions(*, target: Target = AWS) -> int:
    """List the versions that were ever current, newest first."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = target.deployment().catalogs().versions()
        printer.result(
            {"versions": [views.publication_json(publication) for publication in found]},
            lambda out: views.print_versions(out, found),
        )
        return Exit.OK

    return finished(printer, work)


# --- client ---------------------------------------------------------------------------------


@client.command
def create(
    client_id: str,
    *,
    link: Annotated[bool, Parameter(negative="")] = False,
    letter: Annotated[bool, Parameter(negative="")] = False,
    target: Target = AWS,
) -> int:
    """Issue a secret for a client of the published catalog, and print it, this once.

    Only its hash is kept. A client may have two secrets, so that it can change from one to the
    next without a pause: issue the second, let the client use it, revoke the first.

    Parameters
    ----------
    client_id
        The client, as the published catalog names it.
    link
        Print a link in place of the secret: it shows the secret once, and dies after seven days.
    letter
        Print a text for an e-mail around the link, to send on.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        if deployment.catalogs().client(client_id) is None:
            raise NotFound(
                f"The published catalog has no client {client_id}; declare it under clients and "
                "publish first."
            )
        stored, secret = CreateClientSecret(
            deployment.client_secrets(), SystemClock(), RandomIds()
        )(client_id)
        if link or letter:
            token, until = HandOver(deployment.handovers(), SystemClock())(
                client_id, stored.secret_id, secret
            )
            url = f"{deployment.public_url}/credentials/{token}"
            text = views.letter(client_id, url, until) if letter else url
            printer.result(
                {
                    "clientId": client_id,
                    "secretId": stored.secret_id,
                    "link": url,
                    "expiresAt": rfc3339(until),
                    **({"letter": text} if letter else {}),
                },
                lambda out: out.out(text, highlight=False),
            )
            printer.err.print(f"The secret's id is {stored.secret_id}.")
            return Exit.OK

        def human(out: Console) -> None:
            out.out(f"client_id      {client_id}", highlight=False)
            out.out(f"client_secret  {secret}", highlight=False)
            printer.err.print(
                f"Hand it over safely; it cannot be shown again. Its id is {stored.secret_id}."
            )

        printer.result(
            {"clientId": client_id, "secretId": stored.secret_id, "clientSecret": secret}, human
        )
        return Exit.OK

    return finished(printer, work)


@client.command(name="list")
def list_clients(*, target: Target = AWS) -> int:
    """List the clients of the published catalog with the ids of their secrets."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        _, published = ShowCatalog(deployment.catalogs())()
        secrets = deployment.client_secrets()
        found = [
            (client, secrets.of(client.client_id))
            for client in sorted(published.clients, key=lambda c: c.client_id)
        ]
        printer.result(
            {"clients": [views.client_json(client, held) for client, held in found]},
            lambda out: views.print_clients(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@client.command
def revoke_secret(client_id: str, secret_id: str, *, target: Target = AWS) -> int:
    """End one of a client's secrets, at once. Tokens it was used for end within the hour.

    Parameters
    ----------
    client_id
        The client, in the published catalog or not.
    secret_id
        The secret's id, as `client list` shows it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        target.deployment().client_secrets().revoke(client_id, secret_id)
        printer.result(
            {"clientId": client_id, "revokedSecretId": secret_id},
            lambda out: out.print(f"The secret {secret_id} of {client_id} no longer works."),
        )
        return Exit.OK

    return finished(printer, work)


# --- webhook --------------------------------------------------------------------------------


def _registered(deployment: Deployment, client_id: str, name: str) -> None:
    known = deployment.catalogs().client(client_id)
    if known is None or name not in [one.name for one in known.webhooks]:
        raise NotFound(
            f"The published catalog has no webhook {name} of {client_id}; declare it under the "
            "client's webhooks and publish first."
        )


@webhook.command
def secret(client_id: str, name: str, *, target: Target = AWS) -> int:
    """Issue a secret that a webhook's messages are signed with, and print it, this once.

    A webhook may have two secrets: then messages are signed with both, so that the receiver can
    change from one to the next without a pause. Issue the second, let the receiver use it, revoke
    the first.

    Parameters
    ----------
    client_id
        The client, as the published catalog names it.
    name
        The webhook, as the client's entry names it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        _registered(deployment, client_id, name)
        secret_id, issued = IssueWebhookSecret(
            deployment.webhook_secrets(), SystemClock(), RandomIds()
        )(client_id, name)

        def human(out: Console) -> None:
            out.out(f"webhook  {client_id} {name}", highlight=False)
            out.out(f"secret   {issued}", highlight=False)
            printer.err.print(
                f"Hand it over safely; it cannot be shown again. Its id is {secret_id}."
            )

        printer.result(
            {"clientId": client_id, "webhook": name, "secretId": secret_id, "secret": issued},
            human,
        )
        return Exit.OK

    return finished(printer, work)


@webhook.command(name="list")
def list_webhooks(*, target: Target = AWS) -> int:
    """List the webhooks of the published catalog with the ids of their secrets."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment = target.deployment()
        _, published = ShowCatalog(deployment.catalogs())()
        secrets = deployment.webhook_secrets()
        found = [
            (known.client_id, endpoint, secrets.listed(known.client_id, endpoint.name))
            for known in sorted(published.clients, key=lambda c: c.client_id)
            for endpoint in known.webhooks
        ]
        printer.result(
            {"webhooks": [views.webhook_json(*one) for one in found]},
            lambda out: views.print_webhooks(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@webhook.command(name="revoke-secret")
def revoke_webhook_secret(
    client_id: str, name: str, secret_id: str, *, target: Target = AWS
) -> int:
    """End one of a webhook's secrets: from the next try on nothing is signed with it.

    Parameters
    ----------
    client_id
        The client, in the published catalog or not.
    name
        The webhook, in the published catalog or not.
    secret_id
        The secret's id, as `webhook list` shows it.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        target.deployment().webhook_secrets().revoke(client_id, name, secret_id)
        printer.result(
            {"clientId": client_id, "webhook": name, "revokedSecretId": secret_id},
            lambda out: out.print(f"Nothing is signed with the secret {secret_id} any more."),
        )
        return Exit.OK

    return finished(printer, work)


# --- operations -----------------------------------------------------------------------------

TenantFilter = Annotated[str | None, Parameter(name="--tenant", show_default=False)]
ClientFilter = Annotated[str | None, Parameter(name="--client", show_default=False)]

_PAGE = 50


def _callers(
    deployment: Deployment, tenant: str | None, client_id: str | None
) -> list[tuple[str, str]]:
    """The pairs of tenant and client to look at: those of the catalog, or the one named."""
    if tenant is not None and client_id is not None:
        return [(tenant, client_id)]  # in the catalog still, or no longer
    _, published = ShowCatalog(deployment.catalogs())()
    return [
        (served, known.client_id)
        for known in published.clients
        for served in known.tenants
        if tenant in (None, served) and client_id in (None, known.client_id)
    ]


def _newest_first(deployment: Deployment, tenant: str, client_id: str) -> Iterator[Operation]:
    reader, before = deployment.operations(), None
    while page := reader.page(tenant, client_id, _PAGE, before):
        yield from page
        before = page[-1].operation_id


@operations.command(name="list")
def list_operations(
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    status: Annotated[tuple[Status, ...], Parameter(show_default=False, negative="")] = (),
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    target: Target = AWS,
) -> int:
    """List operations, newest first: of all clients in the published catalog, or of some.

    Parameters
    ----------
    tenant
        Those of this tenant.
    client_id
        Those of this client. With --tenant, of a client that has left the catalog too.
    status
        Those that stand so; repeat it for more.
    limit
        So many at most.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        deployment, now = target.deployment(), SystemClock().now()
        everyones = merge(
            *(
                _newest_first(deployment, *caller)
                for caller in _callers(deployment, tenant, client_id)
            ),
            key=lambda operation: operation.operation_id,
            reverse=True,
        )
        seen = (operation.seen_at(now) for operation in everyones)
        found = list(islice((o for o in seen if not status or o.status in status), limit))
        documents = [views.operation_json(operation) for operation in found]
        for document in documents:
            del document["jobs"], document["deliveries"]  # a list does not read them
        printer.result({"operations": documents}, lambda out: views.print_operations(out, found))
        return Exit.OK

    return finished(printer, work)


@operations.command(name="show")
def show_operation(
    operation_id: str,
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    target: Target = AWS,
) -> int:
    """Show an operation with its jobs, a deleted one too.

    Parameters
    ----------
    operation_id
        Its id, as callers know it.
    tenant
        Look at this tenant's only.
    client_id
        Look at this client's only. With --tenant, at one that has left the catalog too.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        if not OPERATION_ID.fullmatch(operation_id):
            raise InvalidRequest(f"{operation_id} is no operation id: they have 26 characters.")
        deployment = target.deployment()
        reader = deployment.operations()
        callers = _callers(deployment, tenant, client_id)
        found = (reader.find(*caller, operation_id) for caller in callers)
        operation = next((operation for operation in found if operation is not None), None)
        if operation is None:
            raise NotFound(
                "No client of the published catalog has such an operation; for one that has left "
                "the catalog, name --tenant and --client."
            )
        seen = operation.seen_at(SystemClock().now())
        printer.result(views.operation_json(seen), lambda out: views.print_operation(out, seen))
        return Exit.OK

    return finished(printer, work)


# --- schedule -------------------------------------------------------------------------------


def _standings(
    deployment: Deployment, tenant: str | None, client_id: str | None, runs: int
) -> list[ScheduleStanding]:
    work = ListSchedules(deployment.catalogs(), deployment.schedule_runs(), SystemClock())
    return [
        standing
        for caller in sorted(_callers(deployment, tenant, client_id))
        for standing in work(*caller, runs)
    ]


@schedule.command(name="list")
def list_schedules(
    *, tenant: TenantFilter = None, client_id: ClientFilter = None, target: Target = AWS
) -> int:
    """List the published schedules with their next run and their last one.

    Parameters
    ----------
    tenant
        Those of this tenant.
    client_id
        Those of this client.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found = _standings(target.deployment(), tenant, client_id, 1)
        printer.result(
            {"schedules": [views.schedule_json(standing) for standing in found]},
            lambda out: views.print_schedules(out, found),
        )
        return Exit.OK

    return finished(printer, work)


@schedule.command(name="runs")
def list_runs(
    name: str | None = None,
    *,
    tenant: TenantFilter = None,
    client_id: ClientFilter = None,
    missed: Annotated[bool, Parameter(negative="")] = False,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    target: Target = AWS,
) -> int:
    """List the runs of schedules, the latest due first: started, waiting and missed, and why.

    Parameters
    ----------
    name
        Those of schedules of this name.
    tenant
        Those of this tenant.
    client_id
        Those of this client.
    missed
        Only what was missed.
    limit
        So many at most.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        standings = _standings(target.deployment(), tenant, client_id, _RUNS_READ)
        if name is not None:
            standings = [one for one in standings if one.schedule.name == name]
            if not standings:
                raise NotFound(
                    f"No schedule {name} is published; see headrace-admin schedule list."
                )
        runs = [(one.schedule, run) for one in standings for run in one.runs]
        runs.sort(key=lambda pair: pair[1].due, reverse=True)
        found = [pair for pair in runs if not missed or pair[1].state is RunState.MISSED][:limit]
        printer.result(
            {"runs": [views.scheduled_run_json(*pair) for pair in found]},
            lambda out: views.print_scheduled_runs(out, found),
        )
        return Exit.OK

    return finished(printer, work)


_RUNS_READ = 1000
"""Of each schedule: what is kept of one that runs every two hours."""


# --- source ---------------------------------------------------------------------------------

SourceName = Annotated[str, Parameter(help="The source, as the catalog names it.")]
Dsn = Annotated[
    str | None,
    Parameter(
        name="--dsn",
        env_var="HEADRACE_SOURCE_DSN",
        help="Connect as libpq's connection string says, as an owner of the tables; what it "
        "leaves out is the source's place, and the user that of PGUSER, PGPASSWORD, PGPASSFILE. "
        "Without it, connect as the source's own user.",
        show_default=False,
    ),
]
Files = Annotated[
    Path | None,
    Parameter(
        name="--catalog",
        help="The tables that this folder of catalog files has; else those of the published one.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Print the SQL, and do nothing.")
]


def _source(
    name: str, folder: Path | None, variables: tuple[str, ...], target: Target
) -> tuple[Source, tuple[CapturedTable, ...], tuple[NotCapturable, ...]]:
    """The source, what of it is to be captured, and what cannot be."""
    if folder is None:
        _, known = ShowCatalog(target.deployment().catalogs())()
    else:
        known = _compiled(folder, _variables(variables, target), target)
    found = next((one for one in known.sources if one.name == name), None)
    if found is None:
        raise NotFound(f"The catalog has no source {name}.")
    if found.kind != "postgresql":
        raise InvalidRequest(
            f"The source {name} is a {found.kind}; only PostgreSQL needs a change log."
        )
    return found, *wanted(known.configurations, name)


def _done(
    printer: Printer, plan: Plan, refused: tuple[NotCapturable, ...], *, dry_run: bool
) -> None:
    left = (*refused, *plan.refused)
    printer.result(
        views.capture_plan_json(plan, left, dry_run=dry_run),
        lambda out: views.print_capture_plan(out, plan, dry_run=dry_run),
    )
    if not printer.as_json:
        for one in left:
            printer.err.print(f"Without a change log: {one.name}: {one.reason}.", markup=False)


@source.command(name="install")
def install_source(
    name: SourceName,
    *,
    dsn: Dsn = None,
    dry_run: DryRun = False,
    catalog: Files = None,
    variables: Variables = (),
    target: Target = AWS,
) -> int:
    """Capture the changes of exactly the tables that the catalog has of the source.

    To run it again is harmless, and needed when columns or tables were added to the catalog or
    a captured table was altered. What was captured otherwise begins anew.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found, tables, refused = _source(name, catalog, variables, target)
        with _surroundings(target):
            reader = capturing.reader_of(found)
            with capturing.owner_connection(found, dsn) as connection:
                plan = capturing.installation(
                    connection,
                    tables,
                    reader=reader,
                    retention_days=capturing.retention_days(found),
                )
                if not dry_run:
                    capturing.run(connection, plan)
        _done(printer, plan, refused, dry_run=dry_run)
        return Exit.OK

    return finished(printer, work)


@source.command(name="uninstall")
def uninstall_source(
    name: SourceName,
    *,
    dsn: Dsn = None,
    dry_run: DryRun = False,
    catalog: Files = None,
    variables: Variables = (),
    target: Target = AWS,
) -> int:
    """Remove the triggers, the functions and the log, and leave the tables as they were."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found, _, _ = _source(name, catalog, variables, target)
        with _surroundings(target), capturing.owner_connection(found, dsn) as connection:
            plan = capturing.uninstallation(connection)
            if not dry_run:
                capturing.run(connection, plan)
        _done(printer, plan, (), dry_run=dry_run)
        return Exit.OK

    return finished(printer, work)


@source.command(name="status")
def source_status(
    name: SourceName,
    *,
    dsn: Dsn = None,
    catalog: Files = None,
    variables: Variables = (),
    target: Target = AWS,
) -> int:
    """Show the change log: its size, its oldest rows, what holds it up, and each table."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found, tables, refused = _source(name, catalog, variables, target)
        with _surroundings(target), capturing.owner_connection(found, dsn) as connection:
            stands = capturing.status(connection, tables)
        printer.result(
            views.capture_status_json(stands, refused),
            lambda out: views.print_capture_status(out, stands, refused),
        )
        return Exit.OK

    return finished(printer, work)


@source.command(name="maintain")
def maintain_source(
    name: SourceName,
    *,
    dsn: Dsn = None,
    dry_run: DryRun = False,
    catalog: Files = None,
    variables: Variables = (),
    target: Target = AWS,
) -> int:
    """Make the log's next days, and drop those that are no longer kept. Waits for nobody."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        found, _, _ = _source(name, catalog, variables, target)
        if dry_run:
            said = {"dryRun": True, "statements": [capturing.MAINTAIN_CALL]}
            printer.result(said, lambda out: out.print(f"{capturing.MAINTAIN_CALL};"))
            return Exit.OK
        with _surroundings(target), capturing.owner_connection(found, dsn) as connection:
            done = capturing.maintain(connection)
        printer.result(
            {"dryRun": False, **done},
            lambda out: out.print(
                f"{done['made']} days made, {done['dropped']} dropped, {done['waiting']} left for "
                "the next time."
            ),
        )
        return Exit.OK

    return finished(printer, work)


def run() -> None:
    """The command's entry point."""
    sys.exit(app())
