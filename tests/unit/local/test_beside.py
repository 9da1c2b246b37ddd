"""Two commands beside each other, such as the tiers of tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.beside import beside
from tests.world import ROOT

MEET = """
import pathlib, sys, time

mine, others, code = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
mine.touch()
while not others.exists():
    time.sleep(0.01)
print(mine.name, flush=True)
print(mine.name, "went wrong", file=sys.stderr)
sys.exit(code)
"""
"""Comes to an end only if the other command runs at the same time."""


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (2, 3)])
def test_both_run_at_once_and_what_they_say_does_not_mix(
    codes: tuple[int, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown, kept = tmp_path / "shown", tmp_path / "kept"
    commands = [
        [sys.executable, "-c", MEET, str(mine), str(others), str(code)]
        for mine, others, code in ((shown, kept, codes[0]), (kept, shown, codes[1]))
    ]
    assert beside(commands[0], commands[1]) == codes
    said = capfd.readouterr()
    assert said.out.splitlines()[0] == "shown"
    assert said.out.splitlines()[1:] in (["kept", "kept went wrong"], ["kept went wrong", "kept"])
    assert said.err.splitlines() == ["shown went wrong"]


def test_who_ends_this_ends_the_one_whose_words_are_kept(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    kept = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        f"    pathlib.Path({str(ended)!r}).touch()\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        "time.sleep(600)\n"
    )
    shown = f"import os, pathlib, time\nwhile not pathlib.Path({str(begun)!r}).exists():\n"
    shown += "    time.sleep(0.01)\nprint('both run', flush=True)\ntime.sleep(600)\n"
    run = (
        "import signal, sys; from local.beside import beside\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"beside([sys.executable, '-c', {shown!r}], [sys.executable, '-c', {kept!r}])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", run], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "both run\n"
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(60) == 143
    assert ended.exists()
