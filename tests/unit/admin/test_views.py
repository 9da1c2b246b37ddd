"""What operators are shown of a published catalog."""

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from headrace.catalog.model import Publication
from headrace_admin.catalog_views import catalog_json, print_catalog, summary
from tests.unit.catalog.builders import a_catalog
from tests.unit.catalog.test_applications import the_application


def test_an_application_is_shown_with_its_environment_and_definitions() -> None:
    catalog = a_catalog(applications=(the_application("northwind"),))
    publication = Publication(3, "abc", datetime(2026, 3, 1, tzinfo=UTC))
    text = StringIO()
    print_catalog(Console(file=text, width=200), publication, catalog)
    [line] = [line for line in text.getvalue().splitlines() if "shop" in line]
    assert line.split() == ["shop", "northwind", "TEST", "4.24.1", "ALL", "ZIP", "PRODUCTS"]
    [shown] = catalog_json(publication, catalog)["applications"]
    assert shown["identifier"] == "TEST"
    assert ", 1 application, " in summary(catalog)
    assert "application" not in summary(a_catalog())
