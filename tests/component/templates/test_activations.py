"""Templates of a published catalog, and for whom they are active, in DynamoDB (moto)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import moto
import pytest

from headrace.adapters.dynamodb.catalogs import DynamoCatalogs
from headrace.adapters.dynamodb.table import Table
from headrace.adapters.dynamodb.templates import CatalogTemplates, DynamoActivations
from headrace.exports.sources import ColumnType, RowFilter
from headrace.kernel.errors import NotFound
from headrace.templates.definitions import ApplicationVersion
from tests.unit.catalog.builders import a_catalog, a_template
from tests.world import create_tables

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 13, tzinfo=UTC)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Table]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        create_tables(client)
        yield {name: Table(client, name) for name in ("CatalogTable", "TemplatesTable")}


def test_before_the_first_publication_there_are_none(tables: dict[str, Table]) -> None:
    templates = CatalogTemplates(tables["CatalogTable"])
    assert templates.all_now() == (0, ())
    assert templates.find("persons") is None
    assert templates.application_version("northwind") is None


def test_templates_are_those_of_the_version_that_is_current(tables: dict[str, Table]) -> None:
    catalogs, templates = (
        DynamoCatalogs(tables["CatalogTable"]),
        CatalogTemplates(tables["CatalogTable"]),
    )
    catalogs.publish(a_catalog(), 0, NOON)
    persons, sessions = (one.template for one in a_catalog().templates)
    assert templates.all_now() == (1, (persons, sessions))
    assert templates.find("persons") == (1, persons)
    catalogs.publish(a_catalog(templates=(a_template(),)), 1, LATER)
    assert templates.all_now() == (2, (persons,))
    assert templates.find("sessions") is None


@pytest.mark.parametrize("odd", ["", "#", "persons#x", "Persons", "x" * 3000, "персоны"])
def test_an_odd_id_is_no_template(tables: dict[str, Table], odd: str) -> None:
    DynamoCatalogs(tables["CatalogTable"]).publish(a_catalog(), 0, NOON)
    assert CatalogTemplates(tables["CatalogTable"]).find(odd) is None


def test_the_version_of_a_tenants_application_is_what_was_published(
    tables: dict[str, Table],
) -> None:
    DynamoCatalogs(tables["CatalogTable"]).publish(a_catalog(), 0, NOON)
    templates = CatalogTemplates(tables["CatalogTable"])
    assert templates.application_version("northwind") == ApplicationVersion(2019, 2603)
    assert templates.application_version("harbour") is None
    assert templates.application_version("nobody") is None


def test_the_rows_of_a_template_are_the_tenants_own() -> None:
    [mine] = a_template().table_for("northwind").filters
    assert mine == RowFilter("tenant_id", ("northwind",), ColumnType.STRING)
    alone = a_template(tenants=("northwind",), tenant_column=None)
    assert alone.table_for("northwind").filters == ()


def test_a_template_for_one_tenant_is_read_for_no_other_even_if_somebody_asked_for_it() -> None:
    alone = a_template(tenants=("northwind",), tenant_column=None)
    with pytest.raises(NotFound):
        alone.table_for("harbour")


def test_a_template_is_active_for_the_tenant_that_it_was_activated_for_until_it_is_no_more(
    tables: dict[str, Table],
) -> None:
    activations = DynamoActivations(tables["TemplatesTable"])
    assert not activations.is_active("northwind", "persons")
    assert activations.activate("northwind", "persons", NOON)
    assert not activations.activate("northwind", "persons", LATER)
    assert activations.active("northwind") == {"persons": NOON}
    assert activations.is_active("northwind", "persons")
    assert not activations.is_active("harbour", "persons")
    assert activations.active("harbour") == {}
    assert activations.deactivate("northwind", "persons")
    assert not activations.deactivate("northwind", "persons")
    assert not activations.is_active("northwind", "persons")
