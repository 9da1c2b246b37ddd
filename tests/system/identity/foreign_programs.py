"""Programs that others wrote, in Node.js: installed at the versions of ``foreign/``'s lock file."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.home import CHECKOUT
from tests.system import npm

SOURCES = Path(__file__).parent / "foreign"
INSTALLED = CHECKOUT / ".tools" / "foreign"


def installed() -> Path:
    """The folder in which the programs can run."""
    return npm.installed(SOURCES, INSTALLED)


def run(program: str, **told: Any) -> dict[str, Any]:
    """What the program says, told this."""
    return npm.run(installed(), program, **told)


@contextmanager
def serving(program: str, **told: Any) -> Iterator[str]:
    """The URL of a program that serves until the block ends."""
    with subprocess.Popen(
        ["node", program],
        cwd=installed(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        said = process.stdout.readline()
        assert said, f"{program} ended"
        try:
            yield str(json.loads(said)["url"])
        finally:
            process.stdin.close()
            process.wait(timeout=10)
