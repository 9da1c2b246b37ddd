"""The page that a full run writes."""

import pytest

from tests.containers.page import MARK, written
from tests.containers.running import Outcome

SEEN = Outcome("GetMetadata", "200 application/json", 4.25)
ROUTE = Outcome("POST /connect/token", "200 application/json", 1.0)


def test_a_run_takes_the_place_of_the_one_before() -> None:
    first = written(
        [Outcome("Sweep", "void", 1)], [], 60, f"# Page\n\nText.\n\n{MARK}\nNone yet.\n"
    )
    page = written([SEEN], [ROUTE], 300, first)
    assert page.startswith("# Page\n\nText.\n\n")
    assert "| `GetMetadata` | 200 application/json | 4.2 |" in page
    assert "1 functions and 1 calls by HTTP, 5 minutes" in page
    assert "Sweep" not in page
    assert "None yet" not in page


def test_a_page_without_the_place_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no heading"):
        written([SEEN], [ROUTE], 300, "# Page\n")
