"""Patches apply to the source that they were written for, and to no other."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulator.patches import PATCHES
from local.emulator.sources import Patch, PatchDoesNotFit, apply, install
from local.home import CHECKOUT


def test_every_patch_replaces_its_text_in_order() -> None:
    first = Patch("m", "", old="a = 1\n", new="a = 2\n")
    second = Patch("m", "", old="a = 2\n", new="a = 3\n")
    assert apply([first, second], "a = 1\nb = 1\n") == "a = 3\nb = 1\n"


@pytest.mark.parametrize("source", ["b = 1\n", "a = 1\na = 1\n"])
def test_a_text_that_is_missing_or_ambiguous_is_refused(source: str) -> None:
    with pytest.raises(PatchDoesNotFit, match="gone wrong"):
        apply([Patch("m", "gone wrong", old="a = 1\n", new="")], source)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "patchable"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("raise RuntimeError('imported too early')\n")
    (folder / "plain.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield folder
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.startswith("patchable")]:
        del sys.modules[name]


def test_a_patched_module_runs_the_new_text_and_its_file_keeps_the_old(package: Path) -> None:
    install([Patch("patchable.plain", "", old="VALUE = 1", new="VALUE = 2")])
    assert importlib.import_module("patchable.plain").VALUE == 2
    assert (package / "plain.py").read_text() == "VALUE = 1\n"


def test_a_misfit_is_found_before_anything_is_imported(package: Path) -> None:
    (package / "inner" / "deep.py").write_text("VALUE = 1\n")
    with pytest.raises(PatchDoesNotFit):
        install([Patch("patchable.inner.deep", "", old="VALUE = 0", new="")])
    assert "patchable.inner" not in sys.modules


def test_a_module_that_was_imported_before_is_refused(package: Path) -> None:
    importlib.import_module("patchable.plain")
    with pytest.raises(PatchDoesNotFit, match="already imported"):
        install([Patch("patchable.plain", "", old="VALUE = 1", new="VALUE = 2")])


def test_every_patch_says_why_and_changes_something() -> None:
    for patch in PATCHES:
        assert patch.reason
        assert patch.old != patch.new


def test_every_patch_is_in_the_docs() -> None:
    page = " ".join((CHECKOUT / "docs" / "local-platform.md").read_text().split())
    assert [patch.reason for patch in PATCHES if patch.reason not in page] == []
