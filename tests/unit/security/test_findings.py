"""What is said of what security tools find."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.security import __main__ as running
from tests.security.__main__ import note_of_run
from tests.security.findings import Answer, Finding, answers_in, judged
from tests.security.page import main as page
from tests.security.tools import ANSWERS, TOOLS

FOUND = Finding("checkov", "CKV_1", "AuditTable", "a table without a key")


def an_answer(check: str = "CKV_1", where: str = "*Table", tool: str = "checkov") -> Answer:
    return Answer(tool, check, (where,), "it has one")


def test_a_finding_without_an_answer_is_open() -> None:
    assert judged([FOUND], []).open == (FOUND,)


@pytest.mark.parametrize(
    "other", [an_answer("CKV_2"), an_answer(where="*Bucket"), an_answer(tool="bandit")], ids=str
)
def test_an_answer_to_something_else_is_none(other: Answer) -> None:
    judgement = judged([FOUND], [other])
    assert judgement.open == (FOUND,)
    assert judgement.idle == (other,)


def test_an_answer_is_given_to_all_places_that_it_names() -> None:
    another = Finding("checkov", "CKV_1", "UsersTable", "a table without a key")
    judgement = judged([FOUND, another], [an_answer()])
    assert not judgement.open and not judgement.idle
    assert judgement.answered == {an_answer(): (FOUND, another)}


def test_an_answer_without_a_reason_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text('[[answer]]\ntool = "bandit"\ncheck = "B101"\nwhere = ["*"]\n')
    with pytest.raises(KeyError, match="because"):
        answers_in(file)


def test_every_answer_is_to_a_tool_that_is_run() -> None:
    assert {answer.tool for answer in answers_in(ANSWERS)} <= TOOLS.keys()


def test_the_page_tells_what_is_answered() -> None:
    assert page(["--check"]) == 0


def test_a_run_that_leaves_nothing_open_is_noted_with_its_day(tmp_path: Path) -> None:
    file = tmp_path / "ran.json"
    note_of_run("bandit", 34, file)
    note_of_run("schemathesis", 0, file)
    noted = json.loads(file.read_text())
    assert noted["bandit"]["found"] == 34
    assert date.fromisoformat(noted["bandit"]["on"])
    assert noted["schemathesis"]["examples"] >= 1
    note_of_run("bandit", 0, file)
    assert json.loads(file.read_text())["bandit"]["found"] == 0


def test_only_a_clean_run_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(running, "note_of_run", lambda name, found: noted.append(name))
    monkeypatch.setattr(running, "TOOLS", {"checkov": lambda: iter([FOUND])})
    assert not running.clean("checkov", [])
    assert not running.clean("checkov", [an_answer(), an_answer("CKV_2")])
    assert noted == []
    assert running.clean("checkov", [an_answer()])
    assert noted == ["checkov"]
