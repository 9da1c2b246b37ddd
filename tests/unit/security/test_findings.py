"""What is said of what security tools find."""

from pathlib import Path

import pytest

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
