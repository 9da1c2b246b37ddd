"""docs/consents.md, command by command, on the running platform."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.home import CHECKOUT
from tests.system.deployed import Platform

pytestmark = pytest.mark.system

PAGE = (CHECKOUT / "docs" / "consents.md").read_text()
# What the page says of the local platform; its file is in the folder of the test.
LOCALLY = 'headrace-admin() { command headrace-admin "$@" --local; }\n'
# What the page leaves behind.
AFTERWARDS = """
headrace-admin consent end 100005 --tenant northwind-care --organisation st-mary
headrace-admin consent end 100006 --tenant northwind-care --service wellness-app
"""


def blocks(kind: str) -> list[str]:
    """The page's blocks of this kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def runs(platform: Platform, folder: Path, script: str) -> str:
    """What the script prints, run as an operator of the platform."""
    programs = str(Path(sys.executable).parent)
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "HEADRACE_HOME": str(platform.home.root),
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", LOCALLY + script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def replies(printed: str) -> Iterator[dict[str, Any]]:
    """The JSON documents in it, which curl prints without an end of line."""
    reader, at = json.JSONDecoder(), printed.find('{"')
    while at >= 0:
        found, end = reader.raw_decode(printed, at)
        yield found
        at = printed.find('{"', end)


@pytest.fixture
def said(platform: Platform, tmp_path: Path) -> Iterator[str]:
    """What the page's commands print, one after the other."""
    yield runs(platform, tmp_path, "\n".join(blocks("sh")))
    runs(platform, tmp_path, AFTERWARDS)


def test_the_page_does_what_it_says(said: str) -> None:
    subscribed, found, started = replies(said)
    [shown] = (json.loads(block) for block in blocks("json"))
    told_apart = {"from", "changedAt"}
    assert {name: subscribed[name] for name in shown if name not in told_apart} == {
        name: value for name, value in shown.items() if name not in told_apart
    }
    assert subscribed.keys() == shown.keys()
    sharing = {one["account"] for one in found["consents"]}
    assert {"100000", "100001", "100006"} <= sharing
    assert not sharing & {"100005", "100007"}, "the first ended by the operator, the other left"
    assert started["status"] in {"scheduled", "running"}
    assert re.search(r"st-mary.*St Mary's", said)
    assert re.search(r"100007", said)
