"""`requirements/install`, with which every target of the Makefile gets its tools."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.home import CHECKOUT, choose_port

UNKNOWN = "headrace-has-no-such-package==1"


def installing(environment: Path, *arguments: str, index: str) -> subprocess.CompletedProcess[str]:
    """What it says, with this index and no settings of the machine's pip."""
    return subprocess.run(
        [CHECKOUT / "requirements" / "install", environment, *arguments],
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": index,
            "PIP_RETRIES": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def nowhere() -> str:
    """An index at a port where nobody listens."""
    return f"http://127.0.0.1:{choose_port(None)}/simple"


def test_an_index_that_is_not_reached_is_blamed_and_not_the_package(tmp_path: Path) -> None:
    done = installing(tmp_path / "venv", UNKNOWN, index=nowhere())
    assert done.returncode == 1
    assert "was not reached. Run the same command again" in done.stderr
    assert "Connection refused" in done.stderr
    assert "No matching distribution" not in done.stderr
    assert str(tmp_path / "venv" / "install.log") in done.stderr


def test_a_package_that_there_is_not_is_named(tmp_path: Path) -> None:
    index = tmp_path / "index" / UNKNOWN.partition("==")[0]
    index.mkdir(parents=True)
    (index / "index.html").write_text("<!DOCTYPE html><html><body></body></html>")
    done = installing(tmp_path / "venv", UNKNOWN, index=index.parent.as_uri())
    assert done.returncode == 1
    assert f"No matching distribution found for {UNKNOWN}" in done.stderr
    assert "was not reached" not in done.stderr


def test_an_environment_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (environment / "left over").touch()
    done = installing(environment, "--requirement", os.devnull, index=nowhere())
    assert done.returncode == 0, done.stderr
    assert (environment / "bin" / "pip").exists()
    assert not (environment / "left over").exists()
    assert "installed" in done.stdout


def test_two_commands_that_need_the_same_environment_make_it_once(tmp_path: Path) -> None:
    environment = tmp_path / "venv"

    def installed(_: int) -> subprocess.CompletedProcess[str]:
        return installing(environment, "--requirement", os.devnull, index=nowhere())

    with ThreadPoolExecutor() as both:
        done = list(both.map(installed, range(2)))
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert sorted("waiting: another command installs" in one.stdout for one in done) == [
        False,
        True,
    ]
    (second,) = (one.stdout for one in done if "waiting" in one.stdout)
    assert "the first time" not in second
    assert (environment / "bin" / "pip").exists()
