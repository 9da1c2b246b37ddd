"""The tools, each run as its authors ship it, and what they find.

They lie in ``.tools/security`` (``make security`` installs them). No tool asks anything of a
network.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.security.findings import Finding

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = Path(__file__).resolve().parent / "answers.toml"
INSTALLED = ROOT / ".tools" / "security" / "bin"
CODE = ("layers", "functions", "client", "admin", "local")
"""What runs: the product, the two commands, the local platform. Tests are no part of it."""


class ToolFailed(Exception):
    """A tool did not come to an end that says anything."""


def said(
    command: Sequence[str | Path], *, given: str | None = None, fine: tuple[int, ...] = (0, 1)
) -> str:
    """What a command writes. Raises ToolFailed when it ends with another code than those."""
    environ = {**os.environ, "PATH": f"{INSTALLED}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=ROOT, input=given, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode not in fine:
        raise ToolFailed(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def bandit() -> Iterator[Finding]:
    """Python code that is dangerous as a rule.

    What ruff's rules of the same number were answered at the line itself (``noqa: S608`` for
    B608) is answered here too: ruff has bandit's checks, and holds each ``noqa`` to a need.
    """
    report = json.loads(said([INSTALLED / "bandit", "-q", "-r", *CODE, "-f", "json"]))
    for error in report["errors"]:
        yield Finding("bandit", "unread", error["filename"], error["reason"])
    for one in report["results"]:
        if not _answered_there(Path(one["filename"]), one["line_range"], one["test_id"]):
            yield Finding(
                "bandit", one["test_id"], one["filename"], one["issue_text"], one["line_number"]
            )


def _answered_there(path: Path, lines: Sequence[int], check: str) -> bool:
    rule = re.compile(rf"noqa: [A-Z0-9, ]*\bS{check[1:]}\b")
    text = (ROOT / path).read_text().splitlines()
    here = text[lines[0] - 1 : lines[-1]]
    return any(rule.search(line) for line in here) or any(
        line.startswith("# ruff: noqa") and rule.search(line) for line in text
    )


def checkov() -> Iterator[Finding]:
    """The template, by what AWS and others advise."""
    report = json.loads(
        said(
            [
                *(INSTALLED / "checkov", "-f", "template.yaml", "--framework", "cloudformation"),
                *("--quiet", "--compact", "--skip-download", "-o", "json"),
            ]
        )
    )
    if report["summary"]["parsing_errors"]:
        raise ToolFailed("checkov cannot read template.yaml")
    for one in report["results"]["failed_checks"]:
        resource = one["resource"].rsplit(".", 1)[-1]
        yield Finding("checkov", one["check_id"], resource, one["check_name"])


TOOLS: Mapping[str, Callable[[], Iterator[Finding]]] = {
    "bandit": bandit,
    "checkov": checkov,
}
