"""The pages: links that lead somewhere, commands that exist, tables that agree with the code."""

import re
import string
from functools import cache
from pathlib import Path

import pytest

from headrace.exports.model import MOVES, Status
from tests.unit.docs.checkout import ROOT, functions, markdown, shown, template

PAGES = list(markdown())
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+(?:\([^()\s]*\))?)\)")
_MAKE = re.compile(r"(?:^|[;&])\s*(?:[A-Z_]+=\S+ +)*make +([a-z][a-z-]*)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


@cache
def prose(path: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", path.read_text())


@cache
def anchors(path: Path) -> frozenset[str]:
    """What GitHub makes of the page's headings."""
    kept = string.ascii_letters + string.digits + " -_"
    found: list[str] = []
    for heading in _HEADING.findall(prose(path)):
        text = _LINK.sub(lambda match: match[0][1 : match[0].index("]")], heading)
        slug = "".join(c for c in text if c in kept or c.isalnum()).lower().replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return frozenset(found)


def problem_with(link: str, page: Path) -> str | None:
    """Why a relative link leads nowhere, or None."""
    target, _, anchor = link.partition("#")
    path = (page.parent / target).resolve() if target else page
    if not path.is_relative_to(ROOT):
        return "leads out of the checkout"
    if not path.exists():
        return "there is no such file"
    if anchor and path.suffix == ".md" and anchor not in anchors(path):
        return "there is no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(prose(page)) if "://" not in link]
    links = [link for link in links if not link.startswith("mailto:")]
    broken = {link: why for link in links if (why := problem_with(link, page))}
    assert broken == {}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_make_target_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    code = "\n".join(match[0] for match in _FENCE.finditer(page.read_text()))
    code += "\n" + "\n".join(re.findall(r"`([^`\n]+)`", prose(page)))
    named = set(_MAKE.findall(code))
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"/(work|root|home/[a-z]+|Users/[A-Za-z]+)/", text)


def rows_of(page: str, first: str) -> list[list[str]]:
    """The cells of every row of all tables whose first heading is this."""
    rows: list[list[str]] = []
    inside = False
    for line in (ROOT / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not cells[0].startswith("---"):
            rows.append(cells)
    return rows


def test_the_deployment_page_has_every_parameter_with_its_default() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows_of("docs/deploy.md", "parameter")}
    wanted = {
        name: f"`{parameter['Default']}`" if str(parameter["Default"]) else "empty"
        for name, parameter in template()["Parameters"].items()
    }
    assert told == wanted


def test_the_deployment_page_warns_of_a_second_stack_while_the_schedules_name_is_fixed() -> None:
    [schedule] = functions()["Sweep"]["Events"].values()
    fixed = not {"Name", "OmitName"} & schedule["Properties"].keys()
    assert ("`SweepSchedule`" in (ROOT / "docs" / "deploy.md").read_text()) == fixed


def test_the_architecture_page_has_just_the_moves_of_the_model() -> None:
    told = {
        (origin, target.strip("`"))
        for origins, target, _ in rows_of("docs/architecture.md", "from")
        for origin in re.findall(r"`(\w+)`", origins)
    }
    assert told == {(str(origin), str(target)) for origin in Status for target in MOVES[origin]}


def test_every_decision_is_in_the_list_under_its_own_title() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = dict(
        re.findall(r"^\| \[(\d+)\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text(), re.M)
    )
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert sorted(listed.values()) == records
    for number, name in listed.items():
        text = (folder / name).read_text()
        assert name.startswith(f"{int(number):04d}-")
        assert re.match(rf"# {number}\. .+\n\n20\d\d-\d\d-\d\d\n", text), name
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in text, name


def test_every_row_of_the_five_systems_is_shown_by_a_test_of_that_name() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\[([^]]+)\]\((tests/[^)]+\.py)\)", page)
    assert len(links) > 30
    for name, file in links:
        defined = f"def test_{name.replace(' ', '_')}("
        assert defined in (ROOT / file).read_text("utf-8"), f"{file} has no {defined}"
