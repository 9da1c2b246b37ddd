"""The commands about the catalog: ``headrace-admin catalog``."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from headrace.catalog import document
from headrace.catalog.declarations import read_declarations, read_folder
from headrace.catalog.usecases import PublishCatalog, ShowCatalog
from headrace.kernel.clock import SystemClock
from headrace_admin.catalog_files import Folder, Variables, compiled, with_environment
from headrace_admin.catalog_views import (
    catalog_json,
    print_catalog,
    print_versions,
    publication_json,
    summary,
)
from headrace_admin.outcome import Exit, Printer, finished
from headrace_admin.target import AWS, Target

catalog = App(name="catalog")


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
        known = with_environment(variables, target)
        if offline:
            declared = read_declarations(read_folder(folder), known, local=target.local)
            declared.refuse()
            printer.result(
                {"ok": True, "sourcesChecked": False},
                lambda out: out.print("The files are right in themselves; no source was asked."),
            )
            return Exit.OK
        checked = compiled(folder, known, target)
        printer.result(
            {"ok": True, "sourcesChecked": True},
            lambda out: out.print(f"All right: {summary(checked)}."),
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
        checked = compiled(folder, with_environment(variables, target), target)
        deployment = target.deployment()
        deployment.must_read(document.FORMAT)
        publication = PublishCatalog(deployment.catalogs(), SystemClock())(checked)

        def human(out: Console) -> None:
            if publication.changed:
                out.print(f"Version {publication.version} is current: {summary(checked)}.")
            else:
                out.print(f"Nothing changed: version {publication.version} is current already.")

        printer.result({**publication_json(publication), "changed": publication.changed}, human)
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
            catalog_json(publication, published),
            lambda out: print_catalog(out, publication, published),
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
            {"versions": [publication_json(publication) for publication in found]},
            lambda out: print_versions(out, found),
        )
        return Exit.OK

    return finished(printer, work)
