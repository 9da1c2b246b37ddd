"""The reference page says what the models do."""

from pathlib import Path

import pytest

from headrace.catalog import reference
from headrace.catalog.declarations import CatalogText, read_declarations
from headrace.catalog.sections import SECTIONS

CHECKOUT = Path(__file__).parents[3]


def test_the_page_is_up_to_date() -> None:
    written = (CHECKOUT / reference.PAGE).read_text(encoding="utf-8")
    assert written == reference.page(), "run: python -m headrace.catalog.reference"


def test_its_example_is_right() -> None:
    declared = read_declarations(
        [CatalogText("example", reference.EXAMPLE)], {"HEADRACE_WAREHOUSE": "/x"}
    )
    assert declared.problems == []
    assert reference.EXAMPLE in reference.page()


def test_every_key_is_on_it() -> None:
    page = reference.page()
    for model in SECTIONS.values():
        for name, field in model.model_fields.items():
            assert f"| `{name}` |" in page
            assert field.description


def test_check_tells_an_outdated_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert reference.main(["--check"]) == 1
    assert "python -m headrace.catalog.reference" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / reference.PAGE).write_text("old")
    assert reference.main(["--check"]) == 1
