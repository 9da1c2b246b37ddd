"""The commands that the docs show are commands that there are."""

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import MissingArgumentError

from headrace_admin.main import app
from headrace_admin.outcome import EXIT_CODES, Exit

DOCS = Path(__file__).parents[3] / "docs"


def shown() -> list[str]:
    """Every complete ``headrace-admin`` command in the docs, without what comments on it."""
    found = set()
    for page in DOCS.glob("*.md"):
        text = re.sub(r"\\\n *", "", page.read_text())
        for line in text.splitlines():
            for command in re.findall(r"(?:^|[`(]|bin/)(headrace-admin [a-z][^`#|)]*)", line):
                synopsis = re.split(r" {3,}|\s*$", command)[0]
                found.add(re.sub(r"\[(FOLDER)\]", "catalog", synopsis).strip("…:,. "))
    return sorted(found)


@pytest.mark.parametrize("command", shown())
def test_a_command_of_the_docs_parses(command: str) -> None:
    words = shlex.split(command)[1:]
    try:
        function, _, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    except MissingArgumentError:
        assert len(words) == 2, "only a sentence about a command may leave its arguments out"
    else:
        assert function.__module__.startswith("headrace_admin.")


def test_the_docs_show_every_command() -> None:
    text = (DOCS / "admin.md").read_text()
    for group in (
        "catalog",
        "client",
        "access-request",
        "ca",
        "role",
        "user",
        "team",
        "profile",
        "account",
        "organisation",
        "consent",
        "membership",
        "service",
        "audit",
        "operations",
        "source",
        "restore",
    ):
        for name in app[group]:
            if not name.startswith("-"):
                assert f"headrace-admin {group} {name}" in text


def test_the_docs_name_every_exit_code() -> None:
    text = (DOCS / "admin.md").read_text()
    for code in Exit:
        assert f"| {int(code)} | {EXIT_CODES[code]} |" in text
