"""How a command ends: its exit code, and what it prints where.

Results go to stdout, everything else to stderr. With `--json` there is exactly one JSON document
on stdout, of an error too: `{"error": {"code", "detail", …}, "exitCode": n}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from headrace_client.client import HeadraceClient
from headrace_client.command.access import Access
from headrace_client.command.profile import environment, find_profile
from headrace_client.errors import (
    AccessDenied,
    ApiError,
    AuthenticationError,
    CertificateRefused,
    Conflict,
    DestinationError,
    DestinationInUse,
    FileExpired,
    HeadraceClientError,
    IncrementsUnavailable,
    InvalidRequest,
    LocalFileError,
    NetworkError,
    NoDifference,
    NotBuilt,
    NotFound,
    OperationActive,
    OperationUnsuccessful,
    ProcessActive,
    ProcessTimeout,
    ProcessUnsuccessful,
    ProtocolError,
    ResyncRequired,
    ServiceError,
    SetupError,
    TooManyRequests,
    VerificationError,
    WaitTimeout,
    printable,
)
from headrace_client.model import Quota, Status


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    OPERATION_FAILED = 1
    USAGE = 2
    ACCESS = 3
    BUSY = 4
    NETWORK = 5
    VERIFICATION = 6
    LOCAL_FILES = 7
    STATE = 8
    TIMEOUT = 9
    LOCKED = 10
    DESTINATION = 11
    INTERRUPTED = 130
    PIPE = 141
    TERMINATED = 143


EXIT_CODES: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.OPERATION_FAILED: "the operation or process failed, or was cancelled or expired",
    Exit.USAGE: "wrong usage: an option, a missing login, a request that the service refuses",
    Exit.ACCESS: "credentials refused, scope missing, or network not allowed",
    Exit.BUSY: "quota used up, or another operation or process is active",
    Exit.NETWORK: "no usable answer from the service or the storage",
    Exit.VERIFICATION: "verification failed; no file was put in place",
    Exit.LOCAL_FILES: "local files: disk full, no permission, directory in use",
    Exit.STATE: "not found, expired, or not possible in the present state",
    Exit.TIMEOUT: "--timeout passed; the operation or process goes on",
    Exit.LOCKED: "another sync works on the destination, or a program holds it open",
    Exit.DESTINATION: "the destination of a sync refuses; nothing of this run was applied",
    Exit.INTERRUPTED: "interrupted (Ctrl-C); run again to go on",
    Exit.PIPE: "whoever read the output has left",
    Exit.TERMINATED: "terminated (SIGTERM); run again to go on",
}


_RETRYABLE = (Status.FAILED, Status.CANCELLED)


class NothingThere(HeadraceClientError):
    """The command was to act on an operation that the caller does not have."""

    code = "nothing_there"


class Stopped(HeadraceClientError):
    """The user interrupted a command that can be gone on with."""

    code = "interrupted"

    def __init__(self, operation_id: str | None) -> None:
        said = "Interrupted. Run the same command again to go on where it stopped"
        if operation_id is not None:
            said += (
                f"; operation {operation_id} continues on the service, "
                f"`headrace cancel {operation_id}` stops it"
            )
        super().__init__(f"{said}.")


# the first class that fits counts, so subclasses stand before what they derive from
_EXITS: tuple[tuple[type[HeadraceClientError], Exit], ...] = (
    (OperationUnsuccessful, Exit.OPERATION_FAILED),
    (ProcessUnsuccessful, Exit.OPERATION_FAILED),
    (SetupError, Exit.USAGE),
    (InvalidRequest, Exit.USAGE),
    (AuthenticationError, Exit.ACCESS),
    (AccessDenied, Exit.ACCESS),
    (CertificateRefused, Exit.ACCESS),
    (OperationActive, Exit.BUSY),
    (ProcessActive, Exit.BUSY),
    (TooManyRequests, Exit.BUSY),
    (NotFound, Exit.STATE),
    (NothingThere, Exit.STATE),
    (NotBuilt, Exit.STATE),
    (NoDifference, Exit.STATE),
    (Conflict, Exit.STATE),
    (FileExpired, Exit.STATE),
    (ResyncRequired, Exit.STATE),
    (ServiceError, Exit.NETWORK),
    (NetworkError, Exit.NETWORK),
    (ProtocolError, Exit.NETWORK),
    (VerificationError, Exit.VERIFICATION),
    (LocalFileError, Exit.LOCAL_FILES),
    (WaitTimeout, Exit.TIMEOUT),
    (ProcessTimeout, Exit.TIMEOUT),
    (DestinationInUse, Exit.LOCKED),
    (DestinationError, Exit.DESTINATION),
)


def exit_of(error: HeadraceClientError) -> Exit:
    """The exit code of an error."""
    for kind, code in _EXITS:
        if isinstance(error, kind):
            return code
    return Exit.NETWORK  # a status that the API does not document


class Terminated(BaseException):
    """SIGTERM, raised in the main thread like KeyboardInterrupt."""


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command."""

    profile_file: Annotated[Path | None, Parameter(name="--profile-file")] = None
    """Read address and credentials from this file, as `make up` writes it."""

    client: Annotated[str | None, Parameter(name="--client")] = None
    """Which client of the profile file: its id, or its number from 1."""

    on_behalf: Annotated[str | None, Parameter(name="--on-behalf")] = None
    """Call on behalf of this organisation, as a data broker does (HEADRACE_ON_BEHALF)."""

    json: Annotated[bool, Parameter(name="--json", negative="")] = False
    """Print one JSON document on stdout, for scripts."""

    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False
    """Print errors only (and the document of --json)."""


def print_line(document: Mapping[str, Any] | None) -> None:
    """A JSON object as a line on stderr, for programs that follow; None prints nothing."""
    if document is not None:
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201


class _Console(Console):
    """A console whose broken pipe is for us to handle: rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Printer:
    """Prints one command's result and messages."""

    def __init__(self, common: Common) -> None:
        self.common = common
        # wide, so that no digest or id is broken over lines: it can be copied, and grep finds it
        self.out = _Console(file=sys.stdout, highlight=False, soft_wrap=True, width=500)
        self.err = _Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def result(self, document: Mapping[str, Any], human: Callable[[Console], None]) -> None:
        """The command's result: the document for --json, else what `human` prints."""
        if self.common.json:
            print(json.dumps(document, ensure_ascii=False, indent=2, default=plain))  # noqa: T201
        elif not self.common.quiet:
            human(self.out)

    def say(self, text: str) -> None:
        """A message beside the result."""
        if not self.common.quiet and not self.common.json:
            self.err.print(text, markup=False)

    def note(self, text: str) -> None:
        """What happens while there is no result yet; with --json in the form of other progress."""
        if self.common.json and not self.common.quiet:
            print_line({"event": "note", "text": text})
        else:
            self.say(text)

    def error(self, error: HeadraceClientError, code: Exit) -> None:
        """An error, with all that helps to act upon it."""
        quota = error.quota if isinstance(error, ApiError) else None
        if self.common.json:
            document = {"error": _document(error), "exitCode": int(code)}
            print(json.dumps(document, ensure_ascii=False, indent=2, default=plain))  # noqa: T201
            return
        self.err.print(f"headrace: {error.detail}", markup=False, style="red")
        if error.hint is not None:
            self.err.print(f"  {error.hint}", markup=False)
        if isinstance(error, ResyncRequired):
            for name, reason in error.tables:
                self.err.print(printable(f"  {name}: {reason}"), markup=False)
        if isinstance(error, IncrementsUnavailable) and error.tables:
            self.err.print(printable(f"  tables: {', '.join(error.tables)}"), markup=False)
        if isinstance(error, InvalidRequest):
            for name, message in error.field_errors:
                self.err.print(f"  {name}: {message}", markup=False)
        if isinstance(error, OperationUnsuccessful) and error.operation.status in _RETRYABLE:
            self.err.print(
                f"  `headrace retry {error.operation.operation_id}` runs again what did not "
                "succeed; the same command then goes on with it.",
                markup=False,
            )
        if quota is not None:
            self.err.print(f"  {quota_sentence(quota)}", markup=False)
        if isinstance(error, ApiError) and error.correlation_id:
            self.err.print(f"  correlation id {error.correlation_id}", markup=False, style="dim")


def _document(error: HeadraceClientError) -> dict[str, Any]:
    """An error for programs."""
    held: dict[str, Any] = {"code": error.code, "detail": error.detail}
    held |= {} if error.hint is None else {"hint": error.hint}
    if isinstance(error, ApiError):
        held |= {"status": error.status, "correlationId": error.correlation_id}
        held |= {"retryAfter": error.retry_after, "members": dict(error.members)}
    if isinstance(error, (OperationUnsuccessful, WaitTimeout)):
        held["operation"] = dict(error.operation.raw)
    if isinstance(error, (ProcessUnsuccessful, ProcessTimeout)):
        held["process"] = dict(error.process.raw)
    if isinstance(error, ProcessUnsuccessful):
        held["messages"] = [one.raw for one in error.messages]
    return held


def quota_sentence(quota: Quota) -> str:
    """What is used, what is left, when it resets."""
    resets = f"; resets {moment(quota.resets_at)}" if quota.resets_at else ""
    return f"{quota.used} of {quota.limit} operations used today, {quota.remaining} left{resets}."


def moment(when: datetime | None) -> str:
    """A time for people: UTC, to the second."""
    return "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S UTC")


def access(common: Common) -> Access:
    """What the options and the environment choose. Raises SetupError."""
    held = environment()
    profile = find_profile(common.profile_file, common.client, held)
    return Access.of(profile, held, common.on_behalf)


def answer(common: Common, work: Callable[[HeadraceClient, Printer], Exit]) -> int:
    """Run a command's work with a client; errors become a message and an exit code."""
    printer = Printer(common)

    def called() -> Exit:
        with advised(access(common)) as chosen, chosen.client(printer.note) as client:
            return work(client, printer)

    return finished(printer, called)


def finished(printer: Printer, work: Callable[[], int]) -> int:
    """Do the work of a command; an error becomes a message and an exit code."""
    try:
        return int(work())
    except HeadraceClientError as error:
        code = exit_of(error)
        printer.error(error, code)
        return int(code)


def interruptible(
    common: Common, work: Callable[[], int], stopped: Callable[[], HeadraceClientError]
) -> int:
    """Do what can be gone on with; `stopped` says how, when it is interrupted."""
    try:
        return work()
    except (KeyboardInterrupt, Terminated) as interruption:
        code = Exit.TERMINATED if isinstance(interruption, Terminated) else Exit.INTERRUPTED
        Printer(common).error(stopped(), code)
        return int(code)


@contextmanager
def advised(chosen: Access) -> Iterator[Access]:
    """Errors get the advice that fits these credentials."""
    try:
        yield chosen
    except HeadraceClientError as error:
        chosen.advise(error)
        raise


def plain(value: object) -> str:
    """How JSON shows a value that it has no form for."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
