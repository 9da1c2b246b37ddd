"""The commands of `headrace`, one function each."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console

from headrace_client.client import HeadraceClient
from headrace_client.command.dataset import app as dataset
from headrace_client.command.login import login, logout, whoami
from headrace_client.command.outcome import (
    EXIT_CODES,
    Common,
    Exit,
    NothingThere,
    Printer,
    Stopped,
    Terminated,
    answer,
    interruptible,
    moment,
    quota_sentence,
)
from headrace_client.command.profiles import app as profiles
from headrace_client.command.progress import display
from headrace_client.command.showing import counted, table_of
from headrace_client.command.sync import sync
from headrace_client.command.template import template
from headrace_client.errors import SetupError, printable
from headrace_client.model import Compression, FileFormat, Metadata, Operation, Status
from headrace_client.pull import Pull, Pulled, Wanted
from headrace_client.version import VERSION

_NO_OPTIONS = Common()
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_EPILOGUE = "Exit codes:\n\n" + "\n".join(
    f"- {int(code)}: {said}" for code, said in EXIT_CODES.items()
)

app = App(
    name="headrace",
    help="Get a tenant's tables out of Headrace, in bulk, verified.",
    help_epilogue=_EPILOGUE,
    help_format="markdown",
    version=VERSION,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

OperationId = Annotated[str | None, Parameter(show_default=False)]


app.command(login)
app.command(logout)
app.command(whoami)


@app.command
def metadata(*, configuration: str | None = None, common: Common = _NO_OPTIONS) -> int:
    """Show the tables and fields that you are granted.

    Parameters
    ----------
    configuration
        The configuration's id; the default one unless given.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        held = client.metadata(configuration)
        printer.result(_metadata_document(held), lambda out: _print_metadata(out, held))
        return Exit.OK

    return answer(common, work)


@app.command
def pull(
    *,
    out: Path = Path(),
    format: FileFormat | None = None,
    compression: Compression | None = None,
    entity: str | None = None,
    configuration: str | None = None,
    operation: str | None = None,
    new: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 4,
    timeout: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    verify_rows: Annotated[bool, Parameter(negative="")] = False,
    common: Common = _NO_OPTIONS,
) -> int:
    """Export, wait, download and verify: your tables as files in a directory.

    Starts a new operation, unless an earlier pull into the same directory was cut off: then it
    goes on with that one, and only what is missing is downloaded. If another pull of yours runs
    the same export elsewhere, its operation is joined. Files appear all together, once every
    byte of every file is verified; manifest.json beside them comes last.

    With --json, progress comes as JSON lines on stderr and the result as one document on stdout.

    Parameters
    ----------
    out
        The directory for the files.
    format
        The files' format; csv unless given.
    compression
        The files' compression; none unless given.
    entity
        One table only.
    configuration
        The configuration's id; the default one unless given.
    operation
        Download this operation, and start none.
    new
        Start a new operation even where an unfinished one is left.
    jobs
        Parallel downloads.
    timeout
        Seconds to wait at most for the operation to end.
    verify_rows
        Count the rows of csv and ndjson files, and compare with the manifest.
    """
    wanted = Wanted(configuration, format, compression, entity, new, operation)
    return _pull(common, out, wanted, jobs, timeout, verify_rows)


@app.command
def changes(
    *,
    since: str,
    out: Annotated[Path, Parameter(name=["--to", "--out"])] = Path(),
    format: FileFormat | None = None,
    compression: Compression | None = None,
    entity: str | None = None,
    configuration: str | None = None,
    new: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 4,
    timeout: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    verify_rows: Annotated[bool, Parameter(negative="")] = False,
    common: Common = _NO_OPTIONS,
) -> int:
    """Pull what changed since a version, for those who apply changes themselves.

    As `pull`, with documents of changes. manifest.json tells the version that they lead to
    (syncVersion), and of each file whether it holds changes or all rows (content).

    Parameters
    ----------
    since
        The version that your data stands at: syncVersion of the manifest that you applied last.
    out
        The directory for the files.
    format
        The files' format; csv unless given.
    compression
        The files' compression; none unless given.
    entity
        One table only.
    configuration
        The configuration's id; the default one unless given.
    new
        Start a new operation even where an unfinished one is left.
    jobs
        Parallel downloads.
    timeout
        Seconds to wait at most for the operation to end.
    verify_rows
        Count the rows of csv and ndjson files, and compare with the manifest.
    """
    wanted = Wanted(configuration, format, compression, entity, new, since=since)
    return _pull(common, out, wanted, jobs, timeout, verify_rows)


app.command(sync)
app.command(dataset)
app.command(template)
app.command(profiles)


def _pull(
    common: Common,
    out: Path,
    wanted: Wanted,
    jobs: int,
    timeout: float | None,
    verify_rows: bool,
) -> int:
    current: list[str] = []

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        with display(common, printer.err) as shown:

            def listener(event: Any) -> None:
                if not current and hasattr(event, "operation"):
                    current.append(event.operation.operation_id)
                shown(event)

            pulled = Pull(client, out, jobs, timeout, listener, verify_rows)(wanted)
        printer.result(_pulled_document(pulled), lambda to: _print_pulled(to, pulled))
        return Exit.OK

    return interruptible(
        common, lambda: answer(common, work), lambda: Stopped(current[0] if current else None)
    )


def _shown(common: Common, ask: Callable[[HeadraceClient], Operation]) -> int:
    """Asks about an operation, and shows how it stands then."""

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        held = ask(client)
        printer.result(held.raw, lambda out: _print_operation(out, held))
        return Exit.OK

    return answer(common, work)


@app.command
def status(operation: OperationId = None, *, common: Common = _NO_OPTIONS) -> int:
    """Show an operation and its jobs.

    Parameters
    ----------
    operation
        The operation's id; your newest one unless given.
    """
    return _shown(common, lambda client: client.status(operation or _newest(client).operation_id))


@app.command
def cancel(operation: OperationId = None, *, common: Common = _NO_OPTIONS) -> int:
    """Stop an operation.

    Parameters
    ----------
    operation
        The operation's id; your active one unless given.
    """

    def cancelled(client: HeadraceClient) -> Operation:
        chosen = operation
        if chosen is None:
            newest = _newest(client)
            if not newest.status.active:
                raise NothingThere("No operation is active.")
            chosen = newest.operation_id
        return client.cancel(chosen)

    return _shown(common, cancelled)


@app.command
def retry(operation: OperationId = None, *, common: Common = _NO_OPTIONS) -> int:
    """Run the failed and cancelled jobs of an operation again; `headrace pull` then goes on.

    Parameters
    ----------
    operation
        The operation's id; your newest one unless given.
    """
    return _shown(common, lambda client: client.retry(operation or _newest(client).operation_id))


@app.command
def delete(operation: str, *, common: Common = _NO_OPTIONS) -> int:
    """Delete an ended operation and its files from the service.

    Parameters
    ----------
    operation
        The operation's id.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        client.delete(operation)
        printer.result(
            {"deleted": operation}, lambda out: out.print(f"Deleted {operation}.", markup=False)
        )
        return Exit.OK

    return answer(common, work)


@app.command
def operations(
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    common: Common = _NO_OPTIONS,
) -> int:
    """List your operations, newest first.

    Parameters
    ----------
    limit
        How many at most.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        held = list(islice(client.operations(), limit))
        printer.result(
            {"operations": [dict(entry.raw) for entry in held]},
            lambda out: _print_operations(out, held),
        )
        return Exit.OK

    return answer(common, work)


@app.command
def quota(*, common: Common = _NO_OPTIONS) -> int:
    """Show how many operations you may still start today, and whether one is active."""

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        page = client.operations_page(page_size=1)
        newest = page.operations[0] if page.operations else None
        known = page.quota or (newest.quota if newest else None)
        active = newest.operation_id if newest is not None and newest.status.active else None
        if known is None:
            said = "The service tells your quota once you have started an operation."
        else:
            said = quota_sentence(known)
        if active is not None:
            said += f"\nOperation {active} is active."
        document = {
            "quota": None
            if known is None
            else {
                "limit": known.limit,
                "used": known.used,
                "remaining": known.remaining,
                "resetsAt": known.resets_at,
            },
            "activeOperationId": active,
        }
        printer.result(document, lambda out: out.print(said, markup=False))
        return Exit.OK

    return answer(common, work)


@app.command
def call(
    method: str,
    path: str,
    *,
    body_stdin: Annotated[bool, Parameter(negative="")] = False,
    common: Common = _NO_OPTIONS,
) -> int:
    """Make one call of the API, and print the JSON that it answers.

    For calls that have no command of their own, such as those of persons who log in. What proves
    who calls is added, signed where that is needed.

    Parameters
    ----------
    method
        GET, POST, PUT, PATCH or DELETE.
    path
        The call's path, with a query if it has one: /services/wellness-app/keys.
    body_stdin
        Send the JSON object that stands on standard input.
    """

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        if method.upper() not in _METHODS:
            raise SetupError(f"{method!r} is no method: {', '.join(_METHODS)}.")
        document = client.call(method.upper(), path, _body() if body_stdin else None)
        shown = {} if document is None else document
        text = json.dumps(shown, indent=2, ensure_ascii=False)
        printer.result(shown, lambda out: out.print(printable(text, len(text)), markup=False))
        return Exit.OK

    return answer(common, work)


def _body() -> dict[str, Any]:
    try:
        held = json.load(sys.stdin)
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise SetupError("Standard input holds no JSON object.")
    return held


def run() -> None:
    """The entry point of the console script; exits with the command's code."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        code = app()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except Terminated:
        code = Exit.TERMINATED
    except BrokenPipeError:
        # what is still buffered goes nowhere, so that the interpreter ends without a complaint
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        code = Exit.PIPE
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _newest(client: HeadraceClient) -> Operation:
    page = client.operations_page(page_size=1)
    if not page.operations:
        raise NothingThere("You have no operations yet.")
    return page.operations[0]


def _pulled_document(pulled: Pulled) -> dict[str, Any]:
    download = pulled.download
    return {
        "operationId": download.operation_id,
        "how": pulled.how,
        "configurationId": download.manifest.configuration_id,
        "kind": pulled.operation.kind,
        "sinceSyncVersion": download.manifest.since_sync_version,
        "syncVersion": download.manifest.sync_version,
        "fileFormat": download.manifest.file_format,
        "compression": download.manifest.compression,
        "directory": str(download.directory.resolve()),
        "rows": download.rows,
        "bytes": download.bytes,
        "reusedBytes": sum(file.reused for file in download.files),
        "quota": pulled.operation.raw.get("quota"),
        "files": [
            {
                "table": file.table,
                "path": str(file.path.resolve()),
                "rows": file.rows,
                "countedRows": file.counted_rows,
                "bytes": file.bytes,
                "sha256": file.sha256,
            }
            for file in download.files
        ],
    }


def _print_pulled(out: Console, pulled: Pulled) -> None:
    table = table_of("file", "rows", "bytes", "sha256")
    for file in pulled.download.files:
        mark = " ✓" if file.counted_rows is not None else ""
        table.add_row(
            printable(file.path.name), f"{file.rows:,}{mark}", f"{file.bytes:,}", file.sha256
        )
    out.print(table)
    download = pulled.download
    files = counted(len(download.files), "file")
    out.print(
        f"{files}, {download.rows:,} rows, {download.bytes:,} bytes, verified, "
        f"in {download.directory.resolve()}",
        markup=False,
    )
    if download.manifest.since_sync_version is not None:
        out.print(
            printable(f"changes up to version {download.manifest.sync_version}"), markup=False
        )


def _metadata_document(held: Metadata) -> dict[str, Any]:
    return {
        "configurationId": held.configuration_id,
        "tenant": held.tenant,
        "catalogVersion": held.catalog_version,
        "tables": [
            {
                "name": table.name,
                "primaryKey": list(table.primary_key),
                "schemaHash": table.schema_hash,
                "schemaVersion": table.schema_version,
                "rowEstimate": table.row_estimate,
                "fields": [
                    {
                        "name": field.name,
                        "type": field.type,
                        "nullable": field.nullable,
                        "textOf": field.text_of,
                        "precision": field.precision,
                        "scale": field.scale,
                    }
                    for field in table.fields
                ],
            }
            for table in held.tables
        ],
    }


def _print_metadata(out: Console, held: Metadata) -> None:
    of_tenant = f" of tenant {held.tenant}" if held.tenant else ""
    tables = counted(len(held.tables), "table")
    out.print(
        printable(f"Configuration {held.configuration_id}{of_tenant}: {tables}"),
        markup=False,
    )
    for table in held.tables:
        estimate = "" if table.row_estimate is None else f", about {table.row_estimate:,} rows"
        out.print(printable(f"\n{table.name}{estimate}"), markup=False, style="bold")
        shown = table_of("field", "type", "null", "key")
        for field in table.fields:
            shown.add_row(
                printable(field.name),
                printable(f"{field.type} of {field.text_of}" if field.text_of else field.type),
                "yes" if field.nullable else "",
                "key" if field.name in table.primary_key else "",
            )
        out.print(shown)


def _print_operation(out: Console, held: Operation) -> None:
    said = [
        f"Operation {held.operation_id}: {held.status}, {held.percent:.0f} %",
        f"{held.kind}, configuration {held.configuration_id}, {held.file_format}, "
        f"compression {held.compression}, attempt {held.attempt}",
    ]
    for name, when in (
        ("created", held.created_at),
        ("ended", held.ended_at),
        ("files expire", held.expires_at),
    ):
        if when is not None:
            said.append(f"{name} {moment(when)}")
    if held.error is not None:
        said.append(f"error {held.error.code}: {held.error.detail}")
    if held.quota is not None:
        said.append(quota_sentence(held.quota))
    for line in said:
        out.print(printable(line), markup=False)
    if held.jobs:
        table = table_of("table", "status", "percent", "rows", "bytes", "error")
        for job in held.jobs:
            table.add_row(
                printable(job.table),
                job.status,
                f"{job.percent:.0f} %",
                f"{job.rows:,}",
                f"{job.bytes:,}",
                printable(job.error.detail or job.error.code) if job.error else "",
            )
        out.print(table)


def _print_operations(out: Console, held: list[Operation]) -> None:
    if not held:
        out.print("No operations.", markup=False)
        return
    table = table_of("operation", "status", "created", "configuration", "format", "expires")
    for entry in held:
        table.add_row(
            printable(entry.operation_id),
            entry.status,
            moment(entry.created_at),
            printable(entry.configuration_id),
            entry.file_format + ("" if entry.compression == "none" else f" {entry.compression}"),
            moment(entry.expires_at) if entry.status is Status.SUCCEEDED else "",
        )
    out.print(table)
