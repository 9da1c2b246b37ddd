"""Commands beside each other, such as the tiers of tests."""

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

folder, mine, code = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(folder / mine).touch()
while len(list(folder.iterdir())) < int(sys.argv[4]):
    time.sleep(0.01)
print(mine, flush=True)
print(mine, "went wrong", file=sys.stderr)
sys.exit(code)
"""
"""Comes to an end only if the others run at the same time."""

WAIT = """
import pathlib, signal, sys, time

folder, mine = pathlib.Path(sys.argv[1]), sys.argv[2]
def end(*_):
    (folder / f"{mine} ended").touch()
    sys.exit()

signal.signal(signal.SIGTERM, end)
(folder / mine).touch()
while len(list(folder.iterdir())) < int(sys.argv[3]):
    time.sleep(0.01)
print("all run", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (2, 3), (0, 0, 0), (0, 0, 4)])
def test_all_run_at_once_and_what_they_say_does_not_mix(
    codes: tuple[int, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ("shown", "kept", "kept too")[: len(codes)]
    commands = [
        [sys.executable, "-c", MEET, str(tmp_path), name, str(code), str(len(codes))]
        for name, code in zip(names, codes, strict=True)
    ]
    assert beside(*commands) == codes
    said = capfd.readouterr()
    assert said.err.splitlines() == ["shown went wrong"]
    lines = said.out.splitlines()
    assert lines.pop(0) == "shown"
    for name in names[1:]:
        told, lines = lines[:2], lines[2:]
        assert sorted(told) == [name, f"{name} went wrong"]
    assert lines == []


def test_who_ends_this_ends_all_of_them(tmp_path: Path) -> None:
    names = ("shown", "kept", "kept too")
    waiting = [["-c", WAIT, str(tmp_path), name, str(len(names))] for name in names]
    run = (
        "import signal, sys; from local.beside import beside\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"beside(*([sys.executable, *one] for one in {waiting!r}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", run], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "all run\n"
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(60) == 143
    assert all((tmp_path / f"{name} ended").exists() for name in names)
