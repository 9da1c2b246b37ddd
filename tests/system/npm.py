"""Programs from npm, at the versions of a lock file, and what they say.

They need node and npm. A machine without them cannot show what such a test is for, so the test
fails there, and says so.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_LOCKED = ("package.json", "package-lock.json", ".npmrc")


def installed(sources: Path, into: Path) -> Path:
    """The folder in which the programs of ``sources`` can run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("Programs from npm need node and npm (CONTRIBUTING.md).", pytrace=False)
    digest = hashlib.sha256(b"".join((sources / name).read_bytes() for name in _LOCKED)).hexdigest()
    mark = into / "installed"
    into.mkdir(parents=True, exist_ok=True)
    if not mark.exists() or mark.read_text() != digest:
        mark.unlink(missing_ok=True)
        for name in _LOCKED:
            shutil.copy(sources / name, into)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"npm ci failed:\n{done.stderr[-2000:]}", pytrace=False)
        mark.write_text(digest)
    for program in sources.glob("*.mjs"):
        shutil.copy(program, into)
    return into


def run(folder: Path, program: str, /, **told: Any) -> dict[str, Any]:
    """What the program says, told this; what it leaves behind lies in its folder too."""
    done = subprocess.run(
        ["node", program],
        cwd=folder,
        input=json.dumps(told),
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
