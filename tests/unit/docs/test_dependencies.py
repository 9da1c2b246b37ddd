"""docs/dependencies.md names every dependency, and nothing that is none."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docs.checkout import ROOT, shown

PAGE = ROOT / "docs" / "dependencies.md"
PROGRAMS = sorted((ROOT / "tests").rglob("package.json"))
_ALIAS = re.compile(r"npm:(@?[a-z0-9/-]+)@([0-9].*)")
"""A package under another name, so that several versions of it can be there."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def pins(path: Path) -> Iterator[str]:
    """The requirements of a file, one a line, without those that it takes from other files."""
    for line in path.read_text().splitlines():
        requirement = line.split("#")[0].strip()
        if requirement and not requirement.startswith("-"):
            yield requirement


def requirement_files() -> list[Path]:
    """All of them."""
    return sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("layers/*/requirements.txt")])


def name_of(requirement: str) -> str:
    """``Thing[extra]>=1`` → ``thing``."""
    match = _NAME.match(requirement)
    assert match, requirement
    return match[0].lower()


def declared() -> dict[str, set[str]]:
    """The names, each with the files that ask for it."""
    found: dict[str, set[str]] = {}
    for path in requirement_files():
        for requirement in pins(path):
            found.setdefault(name_of(requirement), set()).add(shown(path))
    for part in ("client", "admin"):
        path = ROOT / part / "pyproject.toml"
        project = tomllib.loads(path.read_text())["project"]
        optional = project.get("optional-dependencies", {}).values()
        for requirements in (project["dependencies"], *optional):
            for requirement in requirements:
                found.setdefault(name_of(requirement), set()).add(shown(path))
    for path in PROGRAMS:
        for name, version in json.loads(path.read_text())["dependencies"].items():
            package = _ALIAS.fullmatch(version)
            found.setdefault(package[1] if package else name, set()).add(shown(path))
    return found


def told() -> set[str]:
    """The names in the first column of the page's tables."""
    return {
        name.lower()
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }


def test_every_dependency_is_told_and_nothing_else() -> None:
    asked = declared()
    assert {"duckdb", "pytest", "httpx", "aws-sam-cli"} <= asked.keys()
    assert {name: sorted(asked[name]) for name in asked.keys() - told()} == {}
    assert told() - asked.keys() == set()


def test_every_row_has_a_reason_and_a_licence() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) >= 3, row
        assert all(cells), row


def test_every_requirement_is_pinned_to_one_version() -> None:
    loose = [
        f"{shown(path)}: {requirement}"
        for path in requirement_files()
        for requirement in pins(path)
        if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z_,]+\])?==[0-9][A-Za-z0-9.]*", requirement)
    ]
    assert loose == []


@pytest.mark.parametrize("programs", PROGRAMS, ids=shown)
def test_what_comes_from_npm_is_pinned_and_its_lock_names_no_registry(programs: Path) -> None:
    asked = json.loads(programs.read_text())["dependencies"]
    for asked_version in asked.values():
        alias = _ALIAS.fullmatch(asked_version)
        version = alias[2] if alias else asked_version
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+(-beta\.[0-9]+)?", version)
    lock = json.loads(programs.with_name("package-lock.json").read_text())
    packages = {path: one for path, one in lock["packages"].items() if path}
    assert {f"node_modules/{name}" for name in asked} <= packages.keys()
    for one in packages.values():
        assert one["integrity"].startswith("sha512-")
        assert "resolved" not in one


def test_the_extensions_of_duckdb_are_of_its_version() -> None:
    versions = {
        requirement.split("==")[1]
        for path in requirement_files()
        for requirement in pins(path)
        if name_of(requirement).startswith("duckdb")
    }
    assert len(versions) == 1
