"""Follows a page of the docs on the running platform: its commands, block by block, in a shell."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.deployed import Platform
from tests.unit.docs.blocks import Block, blocks, is_run

# A command means the local platform, and a call that is refused ends the block.
LOCALLY = """
headrace-admin() { command headrace-admin "$@" --local; }
curl() { command curl -sS --fail-with-body "$@"; }
"""


class Followed:
    """A page that is followed. What a block sets, the next ones find."""

    def __init__(self, page: str, platform: Platform, folder: Path) -> None:
        self.folder = folder
        self._left = [block for block in blocks(page) if is_run(block)]
        self._variables = {"API": platform.api_url}
        self._swaps: dict[str, str] = {}
        self._state = folder / ".shell"
        self._home = platform.home.root
        (folder / ".local").symlink_to(self._home)

    def given(self, **variables: str) -> None:
        """What the page takes its reader to have."""
        self._variables |= variables

    def swapped(self, swaps: Mapping[str, str]) -> None:
        """Names on the page for which another one stands here. Each has to be on the page."""
        text = "".join(block.text for block in self._left)
        assert not [name for name in swaps if name not in text]
        self._swaps |= swaps

    def run(self, first: str, typed: str = "") -> str:
        """What the next block prints, which has to begin like this; ``typed`` is its input."""
        block = self._left.pop(0)
        assert block.text.startswith(first), f"next is {block}"
        return self._run(block, typed)

    def reply(self, first: str) -> Any:
        """The JSON that the next block prints."""
        return json.loads(self.run(first))

    def end(self) -> None:
        """Raises if something of the page was not run."""
        assert not self._left, f"not run: {'; '.join(map(str, self._left))}"

    def _run(self, block: Block, typed: str) -> str:
        text = block.text
        for name, other in self._swaps.items():
            text = text.replace(name, other)
        programs = str(Path(sys.executable).parent)
        script = f"""
set -aeuo pipefail
if [ -e {self._state} ]; then . {self._state}; fi
{LOCALLY}
{"".join(f"{name}={shlex.quote(value)}\n" for name, value in self._variables.items())}
{text}
{{ export -p; declare -f; }} > {self._state}
"""
        self._variables = {}
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "HEADRACE_HOME": str(self._home),
                "COLUMNS": "200",
            },
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def following(page: str, platform: Platform, folder: Path) -> Iterator[Followed]:
    """The page, of which nothing may be left over at the end."""
    followed = Followed(page, platform, folder)
    yield followed
    followed.end()
