"""`make postgresql-versions`: the component tests that use a server, on each version, and a table.

python -m tests.component.postgresql.versions [VERSION…] [-- PYTEST-ARGUMENTS…]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from xml.etree import ElementTree

from tests.component.postgresql.versions import FOLDER_NAME, SOURCES, exact, with_links
from tests.system.npm import installed

ROOT = Path(__file__).parents[4]
INSTALLED = ROOT / ".tools" / "postgresql"
VERSIONS = ("12", "13", "14", "15", "16", "17", "18")
_IMPORTS_FROM = 16
"""Imports of data sets need it (docs/datasets.md); on servers before it their tests do not run."""


def programs_of(version: str) -> Path:
    """The folder with the programs of a version, installed if they are not yet."""
    return with_links(installed(SOURCES, INSTALLED) / "node_modules" / f"postgresql-{version}")


def run(version: str, arguments: Sequence[str]) -> tuple[str, int, int]:
    """The exact version, how many tests ran, and how many of them failed."""
    programs = programs_of(version)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}"),
            *("-p", "tests.component.postgresql.versions.selection"),
            *(arguments or _all_tests(version)),
        ]
        environment = os.environ | {FOLDER_NAME: str(programs)}
        subprocess.run(command, cwd=ROOT, env=environment, check=False)
        suites = [suite.attrib for suite in ElementTree.parse(report).getroot().iter("testsuite")]
    tests, failures, errors = (
        sum(int(suite[name]) for suite in suites) for name in ("tests", "failures", "errors")
    )
    return exact(programs), tests, failures + errors


def _all_tests(version: str) -> Sequence[str]:
    if int(version) >= _IMPORTS_FROM:
        return ("tests/component",)
    return ("tests/component", "--ignore=tests/component/datasets")


def main() -> int:
    """Runs what was asked for; 1 if a test failed, or none ran."""
    words = sys.argv[1:]
    asked = list(takewhile(lambda word: word != "--", words))
    results = []
    for version in asked or VERSIONS:
        print(f"PostgreSQL {version}", flush=True)
        results.append(run(version, words[len(asked) + 1 :]))
    print("\n| PostgreSQL | tests | failed |\n| --- | --- | --- |")
    for name, tests, failed in results:
        print(f"| {name} | {tests} | {failed} |")
    return 1 if any(failed or not tests for _, tests, failed in results) else 0


if __name__ == "__main__":
    sys.exit(main())
