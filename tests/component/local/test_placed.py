"""`requirements/placed.py`: a checkout that was moved, or copied, goes on with its tools."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.home import CHECKOUT

ENVIRONMENTS = (".venv", ".tools/sam")


def a_checkout(folder: Path) -> Path:
    """With environments that have a script, and one of them a package that is in the checkout."""
    (folder / "client" / "ours").mkdir(parents=True)
    (folder / "client" / "ours" / "__init__.py").write_text("")
    for name in ENVIRONMENTS:
        environment = folder / name
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", environment], check=True
        )
        (environment / ".installed").touch()
        script = environment / "bin" / "which"
        script.write_text(
            f"#!{environment}/bin/python\nimport sys, ours\nprint(sys.prefix, ours.__file__)\n"
        )
        script.chmod(0o755)
        (packages,) = environment.glob("lib/python*/site-packages")
        (packages / "ours.pth").write_text(f"{folder}/client\n")
    return folder


def placed(checkout: Path) -> list[str]:
    """What it says."""
    done = subprocess.run(
        [
            checkout / ".venv" / "bin" / "python",
            *("-I", "-S", CHECKOUT / "requirements" / "placed.py"),
            *(*ENVIRONMENTS, ".tools/missing"),
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def names(checkout: Path, environment: str) -> list[str]:
    """Where an environment's script runs, and where it finds our package."""
    script = checkout / environment / "bin" / "which"
    return subprocess.run([script], capture_output=True, text=True, check=True).stdout.split()


def its_own(checkout: Path, environment: str) -> list[str]:
    return [str(checkout / environment), str(checkout / "client" / "ours" / "__init__.py")]


def test_what_was_not_moved_is_left_alone(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path / "here")
    assert placed(checkout) == []
    (tmp_path / "link").symlink_to(checkout)
    assert placed(tmp_path / "link") == []


@pytest.mark.parametrize("copied", [False, True])
def test_a_checkout_in_another_place_has_tools_that_name_it(
    tmp_path: Path, *, copied: bool
) -> None:
    before, after = a_checkout(tmp_path / "a" / "headrace"), tmp_path / "b" / "headrace"
    after.parent.mkdir()
    if copied:
        shutil.copytree(before, after, symlinks=True)
    else:
        before.rename(after)
    said = placed(after)
    assert said == [
        f"{one} was made in {before}, which it named; it names {after} now" for one in ENVIRONMENTS
    ]
    for environment in ENVIRONMENTS:
        assert names(after, environment) == its_own(after, environment)
        if copied:
            assert names(before, environment) == its_own(before, environment)
    assert placed(after) == []


def test_an_environment_that_is_linked_to_stays_as_it_is(tmp_path: Path) -> None:
    first, second = a_checkout(tmp_path / "first"), a_checkout(tmp_path / "second")
    shutil.rmtree(second / ".tools" / "sam")
    (second / ".tools" / "sam").symlink_to(first / ".tools" / "sam")
    assert placed(second) == []
    assert names(first, ".tools/sam") == its_own(first, ".tools/sam")


@pytest.mark.parametrize("name", ["my checkout", "long" * 30])
def test_where_scripts_cannot_name_the_new_place_it_is_told_what_to_do(
    tmp_path: Path, name: str
) -> None:
    before, after = a_checkout(tmp_path / "before"), tmp_path / name
    before.rename(after)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        placed(after)
    assert "Remove .venv and .tools, and run the same command again" in caught.value.stderr
