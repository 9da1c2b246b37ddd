"""Every command that a page shows in a block is run by a test, or cannot be and is parsed."""

from collections import Counter

import pytest

from tests.unit.docs.blocks import NOT_RUN, RUN_BY, Block, blocks, is_run, pages
from tests.unit.docs.checkout import ROOT
from tests.unit.docs.commands import calls, problem_of, script_is_whole

SHOWN = [block for page in pages() for block in blocks(page)]
PARSED = [block for block in SHOWN if not is_run(block)]


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_block_is_run_by_a_test_or_is_told_why_it_cannot_be(block: Block) -> None:
    assert is_run(block) <= (block.page in RUN_BY), f"no test runs {block}"


@pytest.mark.parametrize("page", sorted(RUN_BY))
def test_the_test_that_runs_a_page_names_it(page: str) -> None:
    text = (ROOT / RUN_BY[page]).read_text("utf-8")
    assert page in text or '"docs" / "client.md"' in text
    assert any(is_run(block) for block in blocks(page))


def test_what_is_listed_as_not_run_is_on_its_page_once() -> None:
    shown = Counter((block.page, block.first) for block in SHOWN)
    listed = [(page, first) for page, named in NOT_RUN.items() for first in named]
    assert {one: shown[one] for one in listed} == dict.fromkeys(listed, 1)


@pytest.mark.parametrize("block", PARSED, ids=str)
def test_the_commands_of_a_block_that_is_not_run_are_there(block: Block) -> None:
    assert script_is_whole(block.text)
    found = list(calls(block.text))
    assert found
    problems = {" ".join(words): why for words in found if (why := problem_of(words))}
    assert problems == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("make nonsense", "make nonsense"),
        ("make chaos SEED_COUNT=3", "make chaos SEED_COUNT=3"),
        ("make bench BENCH='peers --go-off'", "make bench BENCH=peers --go-off"),
        ("true && headrace-admin catalog chek", "true"),
        ("headrace-admin catalog chek | cat", "headrace-admin catalog chek"),
        ("A=$(aws sts get-caller-id)", "aws sts get-caller-id"),
        ("aws iam create-policy --policy-name x", "aws iam create-policy --policy-name x"),
        ("aws logs describe-log-groups --x 1", "aws logs describe-log-groups --x 1"),
        (".venv/bin/pytest tests/nowhere", ".venv/bin/pytest tests/nowhere"),
        ("curl $API/connect/tokens", "curl $API/connect/tokens"),
        ("headrace pull --formats csv", "headrace pull --formats csv"),
        ("python -m benchmarks.cost --cheaply", "python -m benchmarks.cost --cheaply"),
    ],
)
def test_a_wrong_command_is_found(text: str, wrong: str) -> None:
    assert next(" ".join(words) for words in calls(text) if problem_of(words)) == wrong
