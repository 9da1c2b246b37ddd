"""docs/api-guide.md, command by command, on the running API."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from openapi.generate import GUIDE
from openapi.routes import ROOT
from tests.system.deployed import Integrator


def commands() -> str:
    """The page's commands, one script."""
    text = (ROOT / GUIDE).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


@pytest.fixture
def home(integrator: Integrator, tmp_path: Path) -> Path:
    """A headrace.json that names a client of this test only."""
    about = {
        "api_url": integrator.platform.api_url,
        "clients": [
            {"client_id": integrator.client_id, "client_secret": integrator.client_secret},
        ],
    }
    (tmp_path / "headrace.json").write_text(json.dumps(about), encoding="utf-8")
    return tmp_path


def test_the_guide_does_what_it_says(home: Path, tmp_path: Path) -> None:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and "proxy" not in name.lower()
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands()],
        cwd=tmp_path,
        env={**kept, "HOME": str(tmp_path), "HEADRACE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert re.search(r"^succeeded$", said, re.MULTILINE)
    assert re.search(
        r"^departments\.csv\.gz: \d+ rows, \d+ bytes, as they were written$", said, re.M
    )
    cancelled, attempt, running, deleted, first, again = said.split("as they were written\n")[
        1
    ].splitlines()[:6]
    assert (cancelled, attempt, running, deleted) == ("cancelled", "2", "operation_running", "204")
    assert first == again
    assert "'remaining':" in said
    assert "application/problem+json" in said
    assert '"code":"not_found"' in said
