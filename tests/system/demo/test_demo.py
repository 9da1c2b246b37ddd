"""`make demo` on the platform of these tests, and the commands that it tells to type."""

import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.deployed import Platform
from tests.unit.docs.blocks import blocks, is_run

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
    begins = re.search(r"^ *(\w+)\.csv begins$\n((?: {6}.*\n){3})", demonstrated, re.M)
    assert begins is not None
    shown_lines = (directory / f"{begins[1]}.csv").read_text("utf-8").splitlines()[:3]
    assert [line[6:] for line in begins[2].splitlines()] == shown_lines
    assert f"{platform.api_url}/docs" in demonstrated
    assert max(file["rows"] for file in manifest["files"]) >= 450_000


def test_the_commands_that_the_demonstration_shows_do_the_same(
    platform: Platform, demonstrated: str, tmp_path: Path
) -> None:
    _, _, by_curl = demonstrated.partition("with curl:")
    by_curl, _, _ = by_curl.partition("Go on")
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


def test_the_readmes_first_export_does_what_it_shows(platform: Platform, tmp_path: Path) -> None:
    [block] = [block for block in blocks("README.md") if is_run(block)]
    typed, *shown = block.text.splitlines()
    programs = f"{Path(sys.executable).parent}/"
    swaps = {"$ ": "", ".venv/bin/": programs, ".local/": f"{platform.home.root}/"}
    for written, here in swaps.items():
        assert written in typed
        typed = typed.replace(written, here, 1)
    done = subprocess.run(
        shlex.split(typed),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = re.sub(r"(?<=operation )\w+", "ID", done.stdout + done.stderr)
    for line in shown:
        wanted = re.sub(r"(?<=operation )\w+", "ID", line).replace("…", str(tmp_path))
        assert wanted in said.splitlines()
