"""The commands that bring back what was lost: ``headrace-admin restore``."""

from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.catalog.usecases import ShowCatalog
from headrace.exports.model import Operation
from headrace.kernel.clock import SystemClock, rfc3339
from headrace.kernel.errors import Conflict
from headrace_admin.deployment import Deployment
from headrace_admin.grid import print_grid
from headrace_admin.moments import moment_of
from headrace_admin.operations import callers
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.restoring import TABLES, Compared, Restoration
from headrace_admin.stories import of_operation
from headrace_admin.target import AWS, Target

restore = App(name="restore")

At = Annotated[str, Parameter(help="The moment, as 2026-11-26T12:00:00Z.")]
Tables = Annotated[
    tuple[str, ...],
    Parameter(
        name="--table",
        negative="",
        show_default=False,
        help=f"Of {', '.join(TABLES)}; repeat it for more. All if none is named.",
    ),
]


def _restoration(at: str, target: Target) -> Restoration:
    moment = moment_of("--at", at).replace(microsecond=0)
    deployment = target.deployment()
    return Restoration(deployment, deployment.client("dynamodb"), moment)


@restore.command(name="tables")
def restore_tables(*, at: At, table: Tables = (), target: Target = AWS) -> int:
    """Restore tables to a moment, under new names beside those that are used, and wait for them.

    It can be ended and run again: what was begun goes on.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        restoration, chosen = _restoration(at, target), table or tuple(TABLES)
        for one in chosen:
            restoration.begin(one)
        for one in chosen:
            restoration.wait(one)
        names = {one: restoration.restored(one) for one in chosen}
        printer.result(
            {"at": rfc3339(restoration.at), "restored": names},
            lambda out: print_grid(out, ("table", "restored as"), list(names.items())),
        )
        return Exit.OK

    return finished(printer, work)


@restore.command
def check(*, at: At, table: Tables = (), target: Target = AWS) -> int:
    """Compare restored tables with those that are used, and read the restored ones.

    With the catalog and the operations among them, the catalog of then is read whole, the newest
    operation of each client too, and the newest of all is told as a story.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        restoration, chosen = _restoration(at, target), table or tuple(TABLES)
        now = SystemClock().now()
        compared = [restoration.compare(one, now) for one in chosen]
        read: dict[str, object] = {}
        if {"catalog", "operations"} <= set(chosen):
            read = _read(restoration.as_it_was(chosen), now)

        def human(out: Console) -> None:
            _print(out, compared)
            print_grid(out, None, [(name, str(value)) for name, value in read.items()])

        printer.result({"tables": [vars(one) for one in compared], **read}, human)
        return Exit.OK

    return finished(printer, work)


@restore.command
def copy(
    table: str,
    *,
    at: At,
    partition: Annotated[str | None, Parameter(show_default=False)] = None,
    target: Target = AWS,
) -> int:
    """Copy back the items that a table lacks and the restored one has.

    What is there is left as it is. What has expired since, or was erased, revoked or deleted since
    by the audit trail, stays away. It can be ended and run again.

    Parameters
    ----------
    table
        Which, as restore tables lists them.
    partition
        Items with this partition key only.
    """
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        restoration, now = _restoration(at, target), SystemClock().now()
        done = restoration.compare(table, now, copy=True, partition=partition)
        printer.result(vars(done), lambda out: _print(out, [done]))
        return Exit.OK

    return finished(printer, work)


@restore.command
def remove(*, at: At, table: Tables = (), target: Target = AWS) -> int:
    """Remove restored tables. Those that are used are not touched."""
    printer = Printer(as_json=target.json)

    def work() -> Exit:
        restoration = _restoration(at, target)
        gone = [
            restoration.restored(one) for one in table or tuple(TABLES) if restoration.remove(one)
        ]
        printer.result(
            {"removed": gone}, lambda out: print_grid(out, None, [(name,) for name in gone])
        )
        return Exit.OK

    return finished(printer, work)


def _read(deployment: Deployment, now: datetime) -> dict[str, object]:
    """What of the restored tables was read. Raises Conflict, Unavailable."""
    try:
        publication, _ = ShowCatalog(deployment.catalogs())()
        operations = deployment.operations()
        newest = [
            operation
            for caller in callers(deployment, None, None)
            for operation in operations.page(*caller, 1, None)
        ]
        last = max(newest, key=_age, default=None)
        story = None if last is None else of_operation(deployment, last, now)
    except (KeyError, TypeError) as error:
        raise Conflict(f"This release cannot read what was restored: {error!r}.") from error
    return {
        "catalogVersion": publication.version,
        "operationsRead": len(newest),
        "story": None if story is None else story.about,
        "moments": 0 if story is None else len(story.moments),
    }


def _age(operation: Operation) -> datetime:
    return operation.created_at


def _print(out: Console, compared: list[Compared]) -> None:
    print_grid(
        out,
        ("table", "same", "changed", "missing", "ended since", "copied"),
        [
            (
                one.table,
                f"{one.same:,}",
                f"{one.changed:,}",
                f"{one.missing:,}",
                f"{one.ended:,}",
                f"{one.copied:,}",
            )
            for one in compared
        ],
    )
