"""How a command ends: its exit code, and what it prints where.

Results go to stdout, everything else to stderr. With ``--json`` there is exactly one JSON document
on stdout, of an error too: ``{"error": {"code", "detail"}, "exitCode": n}``.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from headrace.catalog.model import CatalogRefused
from headrace.kernel.errors import (
    Conflict,
    HeadraceError,
    InvalidRequest,
    NotFound,
    ValidationFailed,
)
from headrace_admin.deployment import DeploymentNotFound, explained


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNAVAILABLE = 5
    INTERRUPTED = 130


EXIT_CODES: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.REFUSED: "the catalog has problems, and each was named",
    Exit.USAGE: "wrong usage: an option, an unknown deployment",
    Exit.NOT_FOUND: "no such version, client, secret, request, profile, user, role, team, "
    "operation, source or template, or nothing that was restored to the moment",
    Exit.CONFLICT: "somebody changed it at the same moment, a client has two secrets already, a "
    "user's name is taken, a role is somebody's, a request was decided about, several profiles "
    "have an address, a consent's state does not allow it, or a source's database has no place for "
    "a change log, or none, or the deployment is of an earlier release, or what was restored "
    "cannot be read",
    Exit.UNAVAILABLE: "AWS or a source did not answer, or refused",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}

_EXITS: tuple[tuple[type[HeadraceError], Exit], ...] = (
    (CatalogRefused, Exit.REFUSED),
    (DeploymentNotFound, Exit.USAGE),
    (InvalidRequest, Exit.USAGE),
    (ValidationFailed, Exit.USAGE),
    (NotFound, Exit.NOT_FOUND),
    (Conflict, Exit.CONFLICT),
)


class Printer:
    """Prints one command's result and messages."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.err = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def result(self, document: Mapping[str, Any], human: Callable[[Console], None]) -> None:
        """The command's result: the document for --json, else what ``human`` prints."""
        if self.as_json:
            self.out.out(json.dumps(document, ensure_ascii=False, indent=2), highlight=False)
        else:
            human(self.out)

    def error(self, error: HeadraceError, code: Exit) -> None:
        """Why there is no result."""
        if self.as_json:
            said: dict[str, Any] = {"code": error.code, "detail": error.detail}
            if isinstance(error, CatalogRefused):
                said["problems"] = [
                    {"file": p.file, "line": p.line, "path": p.path, "message": p.message}
                    for p in error.problems
                ]
            self.result({"error": said, "exitCode": int(code)}, lambda _: None)
            return
        self.err.out(error.detail, highlight=False)
        if isinstance(error, CatalogRefused):
            count = len(error.problems)
            self.err.out(f"{count} problem{'s' if count > 1 else ''}; what is published stays.")


def finished(printer: Printer, work: Callable[[], Exit]) -> int:
    """Does the work, and says how it ended."""
    try:
        return int(work())
    except HeadraceError as error:
        if isinstance(error.__cause__, (ClientError, BotoCoreError)):
            # An integrator is not told which service failed us how; the operator is.
            printer.error(explained(error.__cause__), Exit.UNAVAILABLE)
            return int(Exit.UNAVAILABLE)
        code = next((c for kind, c in _EXITS if isinstance(error, kind)), Exit.UNAVAILABLE)
        printer.error(error, code)
        return int(code)
    except (ClientError, BotoCoreError) as error:
        printer.error(explained(error), Exit.UNAVAILABLE)
        return int(Exit.UNAVAILABLE)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has left; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
