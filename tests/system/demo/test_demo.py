"""`make demo` on the platform of these tests, and the commands that it tells to type."""

import csv
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.system.deployed import Platform

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def demonstrated(platform: Platform) -> str:
    """What the demonstration says, as the Makefile runs it."""
    return platform.demonstrates("demo")


def test_the_demonstration_ends_with_verified_files(platform: Platform, demonstrated: str) -> None:
    directory = platform.home.root / "demo"
    manifest = json.loads((directory / "manifest.json").read_text())
    assert len(manifest["files"]) == 11
    for file in manifest["files"]:
        path = directory / file["fileName"]
        content = path.read_bytes()
        assert len(content) == file["bytes"]
        # What the demonstration prints is what `sha256sum` says of the file.
        shown = re.search(
            rf"^ *{re.escape(path.name)} +([\d,]+) rows.* (\w{{64}})$", demonstrated, re.M
        )
        assert shown is not None, path.name
        assert int(shown[1].replace(",", "")) == file["rows"]
        assert shown[2] == hashlib.sha256(content).hexdigest()
        with path.open(newline="", encoding="utf-8") as text:
            assert sum(1 for _ in csv.reader(text, strict=True)) == file["rows"] + 1
    assert max(file["rows"] for file in manifest["files"]) >= 450_000


def test_the_commands_that_the_demonstration_shows_do_the_same(
    platform: Platform, demonstrated: str, tmp_path: Path
) -> None:
    _, _, by_curl = demonstrated.partition("with curl:")
    script = "\n".join(line for line in by_curl.splitlines() if line.strip())
    # One small table is enough here, and shows where the body goes.
    small = script.replace(
        '{"fileFormat": "csv"}', '{"fileFormat": "csv", "entity": "departments"}'
    )
    assert small != script
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", small],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [downloaded] = tmp_path.glob("*.csv")
    assert downloaded.read_bytes() == (platform.home.root / "demo" / downloaded.name).read_bytes()
