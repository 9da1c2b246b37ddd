"""The commands about the change log of a source: ``headrace-admin source``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from psycopg import Connection

from headrace.adapters.postgresql import capturing
from headrace.adapters.postgresql.capturing import Plan
from headrace.adapters.postgresql.change_log import CapturedTable, NotCapturable, wanted
from headrace.catalog.usecases import ShowCatalog
from headrace.exports.sources import Source
from headrace.kernel.errors import InvalidRequest, NotFound
from headrace_admin.capture_views import (
    capture_plan_json,
    capture_status_json,
    print_capture_plan,
    print_capture_status,
)
from headrace_admin.catalog_files import Variables, compiled, surroundings, with_environment
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

source = App(name="source")


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
        known = compiled(folder, with_environment(variables, target), target)
    found = next((one for one in known.sources if one.name == name), None)
    if found is None:
        raise NotFound(f"The catalog has no source {name}.")
    if found.kind != "postgresql":
        raise InvalidRequest(
            f"The source {name} is a {found.kind}; only PostgreSQL needs a change log."
        )
    return found, *wanted(known.configurations, name)


@dataclass(frozen=True)
class _Opened:
    """A source whose database is open, for an owner of its tables."""

    source: Source
    tables: tuple[CapturedTable, ...]
    refused: tuple[NotCapturable, ...]
    connection: Connection[Any]


@contextmanager
def _opened(
    name: str, dsn: str | None, folder: Path | None, variables: tuple[str, ...], target: Target
) -> Iterator[_Opened]:
    """Open until the block ends. Raises NotFound, InvalidRequest, Unavailable."""
    found, tables, refused = _source(name, folder, variables, target)
    with surroundings(target), capturing.owner_connection(found, dsn) as connection:
        yield _Opened(found, tables, refused, connection)


def _done(
    printer: Printer, plan: Plan, refused: tuple[NotCapturable, ...], *, dry_run: bool
) -> None:
    left = (*refused, *plan.refused)
    printer.result(
        capture_plan_json(plan, left, dry_run=dry_run),
        lambda out: print_capture_plan(out, plan, dry_run=dry_run),
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
        with _opened(name, dsn, catalog, variables, target) as opened:
            plan = capturing.installation(
                opened.connection,
                opened.tables,
                reader=capturing.reader_of(opened.source),
                retention_days=capturing.retention_days(opened.source),
            )
            if not dry_run:
                capturing.run(opened.connection, plan)
        _done(printer, plan, opened.refused, dry_run=dry_run)
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
        with _opened(name, dsn, catalog, variables, target) as opened:
            plan = capturing.uninstallation(opened.connection)
            if not dry_run:
                capturing.run(opened.connection, plan)
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
        with _opened(name, dsn, catalog, variables, target) as opened:
            stands = capturing.status(opened.connection, opened.tables)
        printer.result(
            capture_status_json(stands, opened.refused),
            lambda out: print_capture_status(out, stands, opened.refused),
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
        if dry_run:
            _source(name, catalog, variables, target)
            said = {"dryRun": True, "statements": [capturing.MAINTAIN_CALL]}
            printer.result(said, lambda out: out.print(f"{capturing.MAINTAIN_CALL};"))
            return Exit.OK
        with _opened(name, dsn, catalog, variables, target) as opened:
            done = capturing.maintain(opened.connection)
        printer.result(
            {"dryRun": False, **done},
            lambda out: out.print(
                f"{done['made']} days made, {done['dropped']} dropped, {done['waiting']} left for "
                "the next time."
            ),
        )
        return Exit.OK

    return finished(printer, work)
