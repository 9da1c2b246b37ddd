"""`headrace dataset`: carry configuration from one environment of an application to another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from headrace_client.client import HeadraceClient
from headrace_client.command.dataset_results import (
    nothing,
    print_available,
    print_difference,
    source_document,
    told,
)
from headrace_client.command.dataset_watching import Watched, watching
from headrace_client.command.outcome import Common, Exit, NothingThere, Printer, answer
from headrace_client.command.showing import counted
from headrace_client.datasets import payload_file
from headrace_client.datasets.calls import IN_A_CALL
from headrace_client.datasets.model import (
    Exclusion,
    ImportOptions,
    Process,
    Selection,
)
from headrace_client.datasets.run import (
    Begun,
    FileMoved,
    Start,
)
from headrace_client.errors import (
    SetupError,
    printable,
)
from headrace_client.workspace import local_errors

_NO_OPTIONS = Common()
_BLOCK = 1024 * 1024
_ITEM = re.compile(r"([1-9][0-9]{0,18})(?::([0-9]{1,19}))?")
_PAIR = re.compile(r"([1-9][0-9]{0,18}):([1-9][0-9]{0,18})")

Timeout = Annotated[float | None, Parameter(validator=Number(gt=0))]
Switch = Annotated[bool, Parameter(negative="")]
Many = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]

app = App(
    name="dataset",
    help="Carry configuration from one environment of an application to another.",
    help_format="markdown",
)


@app.command
def create(
    definition: str,
    code: str,
    *,
    item: Many = None,
    description: str = "",
    exclude: Many = None,
    include_all: Annotated[list[int] | None, Parameter(negative="", consume_multiple=False)] = None,
    exact_version_match: Switch = False,
    keep_omitted: Switch = False,
    common: Common = _NO_OPTIONS,
) -> int:
    """Create a data set of the items that you name; `headrace dataset build` then builds it.

    For a data set of everything, leave this out: `headrace dataset build --full`.

    Parameters
    ----------
    definition
        The data set definition's code: CLAIMS_CONFIGURATION.
    code
        The new data set's code.
    item
        TABLE for all records that a top-level table has now, TABLE:ID for one of them. TABLE is the
        table's number. May be given more than once.
    description
        What it is for.
    exclude
        TABLE:OTHER: dependents or reference data of OTHER do not go along with items of TABLE.
    include_all
        The number of a reference data table all of which goes along.
    exact_version_match
        Only the very version that builds it may import it.
    keep_omitted
        An import deletes no dependents that the data set lacks.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        if not item:
            raise SetupError(
                "Say what it is to have: --item TABLE, or --item TABLE:ID. `headrace dataset build "
                "--full` makes one of everything."
            )
        made = client.data_sets.create(
            definition,
            code,
            [_selection(one) for one in item],
            description=description,
            exclusions=[_exclusion(one) for one in exclude or ()],
            global_includes=include_all or (),
            exact_version_match=exact_version_match,
            disable_delete_by_omission=keep_omitted,
        )
        items = counted(made.number_of_items, "item")
        said = f"Created {made.code} of {made.definition}, with {items}."
        printer.result(made.raw, lambda out: out.print(printable(said), markup=False))
        return Exit.OK

    return answer(common, work)


@app.command
def build(
    definition: str,
    code: str,
    *,
    full: Switch = False,
    since: date | None = None,
    description: str = "",
    exclude: Many = None,
    exact_version_match: Switch = False,
    keep_omitted: Switch = False,
    timeout: Timeout = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Build a data set: gather its items as they are now into its payload.

    Waits for the end, and tells what the build has to say. Ctrl-C leaves it running.

    Parameters
    ----------
    definition
        The data set definition's code.
    code
        The data set's code.
    full
        Create it first, of everything that the definition has; there must be none of the code.
    since
        Of tables of high volume, only records from this day on: 2026-01-31.
    description
        With --full: what it is for.
    exclude
        With --full, TABLE:OTHER: dependents or reference data of OTHER do not go along.
    exact_version_match
        Only the very version that builds it may import it.
    keep_omitted
        An import deletes no dependents that the data set lacks.
    timeout
        Seconds to wait at most.
    """

    def start(client: HeadraceClient, begun: Begun) -> Process:
        if not full:
            return client.data_sets.build(
                definition,
                code,
                inclusion_date=None if since is None else since.isoformat(),
                exact_version_match=exact_version_match or None,
                disable_delete_by_omission=keep_omitted or None,
                idempotency_key=begun.idempotency_key,
            )
        if since is not None:
            raise SetupError("--since is for a build of its own, without --full.")
        return client.data_sets.create_and_build(
            definition,
            code,
            description=description,
            exclusions=[_exclusion(one) for one in exclude or ()],
            exact_version_match=exact_version_match,
            disable_delete_by_omission=keep_omitted,
            idempotency_key=begun.idempotency_key,
        )

    what = [
        *("build", definition, code, full, str(since), description, exclude),
        *(exact_version_match, keep_omitted),
    ]

    def work(client: HeadraceClient, printer: Printer, watched: Watched) -> Exit:
        if not full and (description or exclude):
            raise SetupError("--description and --exclude are for --full.")
        with watched.showing(printer):
            ended = watched.run(client, timeout)(
                _known(client, what), lambda begun, _: start(client, begun), once=full
            )
        return told(printer, ended)

    return watching(common, work)


@app.command
def rebuild(
    definition: str,
    code: str,
    *,
    description: str | None = None,
    exclude: Many = None,
    exact_version_match: Annotated[bool | None, Parameter(negative="--any-version")] = None,
    keep_omitted: Annotated[bool | None, Parameter(negative="--delete-omitted")] = None,
    timeout: Timeout = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Build a data set of everything anew, with all items that there are now.

    What you leave out stays as it is. Waits for the end; Ctrl-C leaves it running.

    Parameters
    ----------
    definition
        The data set definition's code.
    code
        The code of a data set that `headrace dataset build --full` made.
    description
        What it is for.
    exclude
        TABLE:OTHER: dependents or reference data of OTHER do not go along; in place of those that
        it was created with.
    exact_version_match
        Only the very version that builds it may import it, or any of the same major version.
    keep_omitted
        An import deletes no dependents that the data set lacks, or it does.
    timeout
        Seconds to wait at most.
    """

    def start(client: HeadraceClient, begun: Begun) -> Process:
        return client.data_sets.rebuild(
            definition,
            code,
            description=description,
            exclusions=None if exclude is None else [_exclusion(one) for one in exclude],
            exact_version_match=exact_version_match,
            disable_delete_by_omission=keep_omitted,
            idempotency_key=begun.idempotency_key,
        )

    what = [
        *("rebuild", definition, code, description, exclude),
        *(exact_version_match, keep_omitted),
    ]

    def work(client: HeadraceClient, printer: Printer, watched: Watched) -> Exit:
        with watched.showing(printer):
            ended = watched.run(client, timeout)(
                _known(client, what), lambda begun, _: start(client, begun)
            )
        return told(printer, ended)

    return watching(common, work)


@app.command
def download(
    definition: str,
    code: str,
    *,
    out: Path = Path(),
    common: Common = _NO_OPTIONS,
) -> int:
    """Download a data set's payload, verified, as a file that `headrace dataset import` takes.

    Parameters
    ----------
    definition
        The data set definition's code.
    code
        The data set's code.
    out
        The file, or the directory for DEFINITION_CODE.zip (or .xml).
    """

    def work(client: HeadraceClient, printer: Printer, watched: Watched) -> Exit:
        with watched.showing(printer):
            file = client.data_sets.download(
                definition,
                code,
                out,
                on_bytes=lambda done, total: watched(FileMoved(code, done, total)),
            )
        size = payload_file.size_of(file)
        document = {"definition": definition, "code": code, "path": str(file.resolve())}
        said = f"{file}: {size:,} bytes, verified"
        printer.result(
            document | {"bytes": size}, lambda to: to.print(printable(said), markup=False)
        )
        return Exit.OK

    return watching(common, work)


@app.command
def available(definition: str, version: str | None = None, *, common: Common = _NO_OPTIONS) -> int:
    """List what the registered source environments have built.

    Parameters
    ----------
    definition
        The data set definition's code.
    version
        For an application of this version; that of your environment unless given.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        found = client.data_sets.available(definition, version)
        printer.result(
            {"sources": [source_document(one) for one in found]},
            lambda out: print_available(out, found),
        )
        return Exit.OK

    return answer(common, work)


@app.command(name="import")
def import_(
    what: str,
    code: str | None = None,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    dry_run: Switch = False,
    exact_version_match: Switch = False,
    keep_omitted: Switch = False,
    stop_task_processing: Switch = False,
    timeout: Timeout = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Import a data set: a FILE, or with --from what another environment has built.

    `headrace dataset import FILE` takes the definition from the file (or is told: DEFINITION FILE).
    `headrace dataset import --from ENVIRONMENT DEFINITION CODE` has your environment fetch it.

    Waits for the end, and tells what the import has to say. Ctrl-C leaves it running. With
    --dry-run nothing is written: it prints what would be added, changed and deleted.

    Parameters
    ----------
    what
        The file; with a second value, or --from, the data set definition's code.
    code
        With --from the data set's code, else the file.
    from_
        The source environment's identifier, as `headrace dataset available` lists it.
    dry_run
        Only say what would change.
    exact_version_match
        Only if it was built by the very version that runs here.
    keep_omitted
        Delete no dependents that the data set lacks.
    stop_task_processing
        Stop background processing before the import, and start it again after.
    timeout
        Seconds to wait at most.
    """
    options = ImportOptions(exact_version_match, keep_omitted, dry_run, stop_task_processing)

    def work(client: HeadraceClient, printer: Printer, watched: Watched) -> Exit:
        with watched.showing(printer):
            run = watched.run(client, timeout)
            if from_ is not None:
                ended = run(*_environment_import(client, from_, what, code, options))
            else:
                file = Path(what if code is None else code)
                definition = payload_file.definition_of(file) if code is None else what
                ended = run(*_file_import(client, watched, file, definition, options))
        difference = (
            client.data_sets.difference(ended.process.process_id)
            if dry_run and ended.process.counts is not None
            else None
        )
        return told(printer, ended, difference)

    return watching(common, work)


@app.command
def diff(process: str, *, common: Common = _NO_OPTIONS) -> int:
    """Show what an import did, or a dry run said that it would do, record by record.

    Parameters
    ----------
    process
        The id of the import.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        held = client.data_sets.difference(process)
        if common.json:
            printer.result({"processId": process, "difference": [it.raw for it in held]}, nothing)
        else:
            printer.result({}, lambda out: print_difference(out, held))
        return Exit.OK

    return answer(common, work)


@app.command
def undo(
    process: str,
    *,
    force: Switch = False,
    stop_task_processing: Switch = False,
    timeout: Timeout = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Undo an import: what it wrote becomes again what it was before.

    Waits for the end, and tells what the undoing has to say. Ctrl-C leaves it running.

    Parameters
    ----------
    process
        The id of the import.
    force
        Also where somebody has changed records since.
    stop_task_processing
        Stop background processing before it, and start it again after.
    timeout
        Seconds to wait at most.
    """

    def work(client: HeadraceClient, printer: Printer, watched: Watched) -> Exit:
        with watched.showing(printer):
            ended = watched.run(client, timeout)(
                _known(client, ["undo", process, force, stop_task_processing]),
                lambda begun, _: client.data_sets.undo(
                    process,
                    force=force,
                    stop_task_processing=stop_task_processing,
                    idempotency_key=begun.idempotency_key,
                ),
                once=True,
            )
        return told(printer, ended)

    return watching(common, work)


@app.command
def watch(
    process: Annotated[str | None, Parameter(show_default=False)] = None,
    *,
    timeout: Timeout = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Show a process to its end, and what it has to say.

    Parameters
    ----------
    process
        The process's id; the newest one of your environment unless given.
    timeout
        Seconds to wait at most.
    """

    def work(client: HeadraceClient, printer: Printer, watched: Watched) -> Exit:
        chosen = process
        if chosen is None:
            newest = client.data_sets.latest(1)
            if not newest:
                raise NothingThere("Your environment has no processes yet.")
            chosen = newest[0].process_id
        with watched.showing(printer):
            ended = watched.run(client, timeout).watch(chosen)
        return told(printer, ended)

    return watching(common, work)


def _known(client: HeadraceClient, what: list[Any]) -> list[Any]:
    """What is asked, of whom."""
    return [client.api_url, client.client_id, *what]


def _environment_import(
    client: HeadraceClient,
    source: str,
    definition: str,
    code: str | None,
    options: ImportOptions,
) -> tuple[list[Any], Start]:
    if code is None:
        raise SetupError("--from ENVIRONMENT goes with DEFINITION CODE.")

    def start(begun: Begun, _: Callable[[str], None]) -> Process:
        return client.data_sets.import_from(
            source, definition, code, options, idempotency_key=begun.idempotency_key
        )

    return _known(client, ["import", source, definition, code, options.members()]), start


def _file_import(
    client: HeadraceClient,
    watched: Watched,
    file: Path,
    definition: str,
    options: ImportOptions,
) -> tuple[list[Any], Start]:
    """A file that is too large for a call is uploaded once, whatever is killed after."""

    def start(begun: Begun, uploaded: Callable[[str], None]) -> Process:
        upload_id = begun.upload_id
        if upload_id is None and payload_file.size_of(file) > IN_A_CALL:
            upload_id = client.data_sets.upload(
                file, on_bytes=lambda done, total: watched(FileMoved(file.name, done, total))
            )
            uploaded(upload_id)
        return client.data_sets.import_file(
            file,
            definition,
            options,
            upload_id=upload_id,
            idempotency_key=begun.idempotency_key,
        )

    return _known(client, ["import", definition, _digest(file), options.members()]), start


def _digest(file: Path) -> str:
    """Tells a file and its name from others."""
    digest = hashlib.sha256(file.name.encode())
    with local_errors(file), file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _selection(text: str) -> Selection:
    match = _ITEM.fullmatch(text)
    if match is None:
        raise SetupError(f"--item {text} is none: TABLE or TABLE:ID, both numbers.")
    return Selection(int(match[1]), None if match[2] is None else int(match[2]))


def _exclusion(text: str) -> Exclusion:
    match = _PAIR.fullmatch(text)
    if match is None:
        raise SetupError(f"--exclude {text} is none: TABLE:OTHER, both numbers.")
    return Exclusion(int(match[1]), int(match[2]))
