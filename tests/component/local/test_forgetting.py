"""`make down` and `make clean`, where `make demo-datasets` has made a second home."""

import os
import subprocess
import sys
from pathlib import Path

from local.home import CHECKOUT, Home


def said(command: str, home: Home) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "local", command],
        cwd=CHECKOUT,
        env=os.environ | {"HEADRACE_HOME": str(home.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def used(home: Home) -> Home:
    """As commands leave it."""
    with home.alone():
        home.prepare()
        home.remember("port", 4711)
    return home


def left(home: Home) -> list[str]:
    return sorted(entry.name for entry in home.root.iterdir())


def test_clean_forgets_the_second_home_too(tmp_path: Path) -> None:
    home = used(Home(tmp_path / "home"))
    second = used(home.beside)
    assert len(left(second)) > 1
    assert said("clean", home) == [f"forgotten: {home.root}", f"forgotten: {second.root}"]
    assert left(home) == left(second) == ["command.lock"]


def test_clean_leaves_a_folder_of_that_name_that_is_no_home(tmp_path: Path) -> None:
    home = used(Home(tmp_path / "home"))
    home.beside.root.mkdir()
    (home.beside.root / "mine").touch()
    assert said("clean", home) == [f"forgotten: {home.root}"]
    assert left(home.beside) == ["mine"]


def test_down_looks_after_the_second_home_too_and_keeps_both(tmp_path: Path) -> None:
    home = used(Home(tmp_path / "home"))
    second = used(home.beside)
    told = said("down", home)
    assert [line.split()[0] for line in told] == [
        *("platform", "roster", str(second.root), "platform", "roster")
    ]
    assert left(home) == left(second)
    assert "port.json" in left(second)
