"""A benchmark tells values that are wrong from those that are only spelt otherwise."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from benchmarks.values import BLURRED, FORM, KINDS, LOST, Deviation, deviations, read_truth

TRUTH = {
    "id": "7",
    "person": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "number": "0042",
    "full_name": 'Ünal, "Jo"',
    "job_title": "",
    "salary": "115028.90",
    "allowance": None,
    "started_on": "1969-12-31",
    "active": "true",
    "changed_at": "1706702400000000",
    "remarks": None,
    "attributes": '{"grade": "A", "hours": 1.5, "remote": true, "skills": ["x"], "note": null}',
}
OURS = TRUTH | {"changed_at": "2024-01-31T12:00:00.000000Z"}


def as_csv(row: dict[str, str | None]) -> str:
    cells = (
        "" if value is None else '"' + value.replace('"', '""') + '"' for value in row.values()
    )
    return f"{','.join(KINDS)}\n{','.join(cells)}\n"


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., tuple[Deviation, ...]]:
    """What is said of a document of one row."""

    def look(row: dict[str, str | None], *, canonical: bool) -> tuple[Deviation, ...]:
        truth, document = tmp_path / "truth.csv", tmp_path / "document.csv"
        truth.write_text(as_csv(TRUTH))
        document.write_text(as_csv(row))
        with duckdb.connect() as connection:
            read_truth(connection, truth)
            return deviations(connection, document, "csv", canonical=canonical)

    return look


def test_a_right_row_has_nothing_wrong(found: Callable[..., tuple[Deviation, ...]]) -> None:
    assert found(OURS, canonical=True) == ()


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("salary", "115028.91", LOST),
        ("active", "f", LOST),
        ("changed_at", "2024-01-31T12:00:00.000001Z", LOST),
        ("full_name", "Ünal", LOST),
        ("job_title", None, BLURRED),
        ("allowance", "0", LOST),
        ("attributes", '{"grade": "B"}', LOST),
    ],
)
def test_a_wrong_value_is_named(
    found: Callable[..., tuple[Deviation, ...]], column: str, value: str | None, what: str
) -> None:
    assert found(OURS | {column: value}, canonical=False) == (Deviation(column, what, 1),)


@pytest.mark.parametrize(
    ("column", "value"),
    [("salary", "115028.9"), ("active", "t"), ("changed_at", "2024-01-31 12:00:00+00")],
)
def test_another_spelling_is_wrong_of_ours_only(
    found: Callable[..., tuple[Deviation, ...]], column: str, value: str
) -> None:
    assert found(OURS | {column: value}, canonical=False) == ()
    assert found(OURS | {column: value}, canonical=True) == (Deviation(column, FORM, 1),)
