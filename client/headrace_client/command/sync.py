"""`headrace sync`: keep a copy of the caller's tables."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from headrace_client.client import HeadraceClient
from headrace_client.command.outcome import (
    Common,
    Exit,
    Printer,
    Stopped,
    answer,
    finished,
    interruptible,
    plain,
)
from headrace_client.command.profile import environment
from headrace_client.command.progress import display
from headrace_client.command.showing import table_of
from headrace_client.errors import QuotaExhausted, SetupError, printable
from headrace_client.model import Content
from headrace_client.sync.address import DEFAULT_SCHEMA, destination
from headrace_client.sync.run import Action, Planned, Sync, Synced

TO = "HEADRACE_SYNC_TO"
_NO_OPTIONS = Common()
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HOPELESS = (Exit.USAGE, Exit.ACCESS)
_DONE = {
    Action.BASELINE: "Copied all rows to {destination}",
    Action.FULL: "Replaced all rows in {destination}",
    Action.INCREMENT: "Applied what changed to {destination}",
    Action.NOTHING: "Nothing has changed for {destination}",
}
_WOULD = {
    Action.BASELINE: "would start with a full export",
    Action.FULL: "would replace all rows by a full export",
    Action.INCREMENT: "would export and apply what changed since version {version}",
    Action.NOTHING: "is up to date, and nothing would be started",
}


def sync(
    *,
    to: Annotated[str, Parameter(env_var=TO)],
    configuration: str | None = None,
    schema: str = DEFAULT_SCHEMA,
    every: str | None = None,
    full: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 4,
    timeout: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    common: Common = _NO_OPTIONS,
) -> int:
    """Keep a copy of your tables up to date: all rows first, then what changes.

    Changes of all tables are applied in one transaction, together with the version that the
    copy then stands at. So whatever is killed when, nothing is lost and nothing applied twice: run
    the same command again. If nothing has changed, no operation is started. Where changes cannot
    be told any more, everything is exported anew, and the command says why.

    Parameters
    ----------
    to
        Where to: DIR (a Parquet file for each table), duckdb:FILE, or postgresql:DSN.
    configuration
        The configuration's id; the default one unless given. A destination holds one.
    schema
        The schema of the PostgreSQL database; it is made if it is missing.
    every
        Go on for ever, once in such a time: 90s, 15m, 6h, 1d.
    full
        Export all rows anew, though changes would do.
    dry_run
        Say what would be done, and do nothing.
    jobs
        Parallel downloads.
    timeout
        Seconds to wait at most for an operation to end.
    """
    runs = _Runs()

    def work(client: HeadraceClient, printer: Printer) -> Exit:
        place = destination(to, schema, environment())
        with runs.showing(printer) as listener:
            made = Sync(client, place, configuration, full, jobs, timeout, listener=listener)
            done = made.plan() if dry_run else made()
        if isinstance(done, Planned):
            printer.result(_planned_document(done), lambda out: _print_planned(out, done))
        elif every is not None and common.json:
            print(json.dumps(_document(done), ensure_ascii=False, default=plain), flush=True)  # noqa: T201
        else:
            printer.result(_document(done), lambda out: _print(out, done))
        return Exit.OK

    def repeated() -> int:
        if every is None or dry_run:
            return answer(common, work)
        return runs.repeat(lambda: answer(common, work), _seconds(every))

    return interruptible(
        common,
        lambda: finished(Printer(common), repeated),
        lambda: Stopped(runs.operation_id),
    )


class _Runs:
    """One run or one after the other, and what a run leaves for what comes after it.

    `operation_id`: the operation that it is about. `exhausted_for`: seconds until the quota, which
    it has found used up, begins anew.
    """

    def __init__(self) -> None:
        self.operation_id: str | None = None
        self.exhausted_for = 0.0

    @contextmanager
    def showing(self, printer: Printer) -> Iterator[Callable[[Any], None]]:
        """Show what a run tells its listener."""

        def listener(event: Any) -> None:
            if hasattr(event, "operation"):
                self.operation_id = event.operation.operation_id
            shown(event)

        with display(printer.common, printer.err) as shown:
            try:
                yield listener
            except QuotaExhausted as exhausted:
                self.exhausted_for = exhausted.retry_after or 0.0
                raise

    def repeat(self, once: Callable[[], int], seconds: float) -> int:
        """Run once in so many seconds, until an error that no later run can be without."""
        while True:
            began = time.monotonic()
            self.operation_id, self.exhausted_for = None, 0.0
            code = once()
            if code in _HOPELESS:
                return code
            time.sleep(max(0.0, began + seconds - time.monotonic(), self.exhausted_for))


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if match is None:
        raise SetupError(f"--every {text} is no time: 90s, 15m, 6h, 1d.")
    return float(match[1]) * _UNITS[match[2]]


def _document(synced: Synced) -> Mapping[str, Any]:
    operation = synced.operation
    return {
        "destination": synced.destination,
        "action": synced.action,
        "reason": synced.reason,
        "configurationId": synced.configuration_id,
        "syncVersionBefore": synced.version_before,
        "syncVersion": synced.version,
        "operationId": operation.operation_id if operation is not None else None,
        "quota": operation.raw.get("quota") if operation is not None else None,
        "tables": [
            {
                "table": table.table,
                "content": table.content or "removed",
                "inserted": table.inserted,
                "updated": table.updated,
                "deleted": table.deleted,
                "rows": table.rows,
            }
            for table in synced.tables
        ],
    }


def _print(out: Console, synced: Synced) -> None:
    if synced.tables:
        shown = table_of("table", "inserted", "updated", "deleted", "rows now", "")
        for table in synced.tables:
            note = {None: "no longer granted: removed", Content.FULL: "replaced"}
            shown.add_row(
                printable(table.table),
                f"{table.inserted:,}",
                f"{table.updated:,}",
                f"{table.deleted:,}",
                f"{table.rows:,}",
                "" if synced.action is Action.BASELINE else note.get(table.content, ""),
            )
        out.print(shown)
    said = _DONE[synced.action].format(destination=synced.destination)
    out.print(printable(f"{said}; it stands at version {synced.version}"), markup=False)


def _planned_document(planned: Planned) -> Mapping[str, Any]:
    return {
        "destination": planned.destination,
        "action": planned.action,
        "configurationId": planned.configuration_id,
        "syncVersion": planned.version,
        "latest": planned.latest,
        "operationId": planned.operation_id,
    }


def _print_planned(out: Console, planned: Planned) -> None:
    said = _WOULD[planned.action].format(version=planned.version)
    if planned.operation_id is not None:
        said += f", going on with operation {planned.operation_id}"
    out.print(printable(f"{planned.destination} {said}."), markup=False)
