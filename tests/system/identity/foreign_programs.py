"""Programs that others wrote, in Node.js: installed at the versions of ``foreign/``'s lock file.

They need node and npm. A machine without them cannot show that foreign programs pass, so the tests
fail there, and say so.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.home import CHECKOUT

SOURCES = Path(__file__).parent / "foreign"
INSTALLED = CHECKOUT / ".tools" / "foreign"
_LOCKED = ("package.json", "package-lock.json", ".npmrc")


def installed() -> Path:
    """The folder in which the programs can run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("Foreign programs need node and npm (CONTRIBUTING.md).", pytrace=False)
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in _LOCKED)).hexdigest()
    mark = INSTALLED / "installed"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    if not mark.exists() or mark.read_text() != digest:
        mark.unlink(missing_ok=True)
        for name in _LOCKED:
            shutil.copy(SOURCES / name, INSTALLED)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"npm ci failed:\n{done.stderr[-2000:]}", pytrace=False)
        mark.write_text(digest)
    for program in SOURCES.glob("*.mjs"):
        shutil.copy(program, INSTALLED)
    return INSTALLED


def run(program: str, **told: Any) -> dict[str, Any]:
    """What the program says, told this."""
    done = subprocess.run(
        ["node", program],
        cwd=installed(),
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


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
