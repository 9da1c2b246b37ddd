"""`make demo-templates` on the platform of these tests, and the commands that it tells to type."""

import csv
import os
import subprocess
from pathlib import Path

import pytest

from local.home import CHECKOUT
from tests.system.deployed import Platform

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def demonstrated(platform: Platform) -> str:
    """What the demonstration says, as the Makefile runs it."""
    return platform.demonstrates("demo-templates")


def test_the_demonstration_is_refused_then_reads_every_row_once(demonstrated: str) -> None:
    assert "404: " in demonstrated
    assert "The template persons is active for northwind-care." in demonstrated
    assert "rows, each once, in the order of the beginning" in demonstrated


def test_the_commands_that_the_demonstration_shows_do_the_same(
    demonstrated: str, tmp_path: Path
) -> None:
    _, _, by_hand = demonstrated.partition("The same by hand")
    commands = [line.strip() for line in by_hand.splitlines() if line.startswith("  ")]
    assert len(commands) == 4
    script = "\n".join(commands).replace(".venv/bin/", f"{CHECKOUT}/.venv/bin/")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "sessions.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file, strict=True)
    assert head[0] == "id"
    assert len({row[0] for row in rows}) == len(rows) > 1_000
