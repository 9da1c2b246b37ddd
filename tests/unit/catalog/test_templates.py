"""Templates of a catalog, against what their source holds."""

from dataclasses import replace

import pytest

from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import CatalogText
from headrace.catalog.model import CatalogRefused, ChoosingColumn, PublishedTemplate
from headrace.exports.sources import Column, ColumnType, Table
from headrace.templates.definitions import ApplicationVersion, Template
from tests.unit.catalog.builders import FakeDatabases
from tests.unit.catalog.test_compiling import EMPLOYEES, FakeSchemas, a_column

TEMPLATES = """\
tenants:
  - {id: northwind, name: Northwind}
  - {id: harbour, name: Harbour}
sources: [{name: hr, kind: KIND, options: {path: /x}}]
templates:
  - id: persons
    name: Persons
    source: hr
    table: employees
    columns: [id, {source: salary, name: pay}]
    order: [id]
    date_column: born
    anonymized_column: active
    minimum_version: "2019.2603"
    tenant_column: tenant_id
"""


def published(
    old: str = "", new: str = "", schemas: FakeSchemas | None = None, kind: str = "duckdb"
) -> PublishedTemplate:
    assert old in TEMPLATES
    text = TEMPLATES.replace(old, new, 1).replace("KIND", kind)
    catalog = compile_catalog(
        [CatalogText("c.yaml", text)], {}, schemas or FakeSchemas(), FakeDatabases()
    )
    [template] = catalog.templates
    return template


def refusal(
    old: str = "", new: str = "", schemas: FakeSchemas | None = None, kind: str = "duckdb"
) -> list[str]:
    with pytest.raises(CatalogRefused) as refused:
        published(old, new, schemas, kind)
    return str(refused.value.problems[0]).split(": ", 2)[1:]


def test_a_template_is_published_with_what_is_read_for_it() -> None:
    assert published() == PublishedTemplate(
        template=Template(
            template_id="persons",
            name="Persons",
            columns=("id", "pay"),
            has_date=True,
            has_anonymised=True,
            minimum_version=ApplicationVersion(2019, 2603),
        ),
        source="hr",
        table=Table(
            name="persons",
            source="hr.employees",
            columns=(
                Column("id", "id", ColumnType.BIGINT, nullable=False),
                Column("pay", "salary", ColumnType.DECIMAL, True, 12, 2),
            ),
            primary_key=("id",),
            ordered=True,
        ),
        tenant_column=ChoosingColumn("tenant_id", ColumnType.STRING),
        date_column=ChoosingColumn("born", ColumnType.DATE),
        anonymised_column=ChoosingColumn("active", ColumnType.BOOLEAN),
    )


def test_a_custom_template_for_one_tenant_needs_no_column_that_says_whose_rows_are() -> None:
    found = published("    tenant_column: tenant_id\n", "    tenants: [harbour]\n")
    assert found.template.tenants == frozenset({"harbour"})
    assert not found.template.is_standard
    assert found.tenant_column is None


def test_a_query_is_described_and_read_in_place_of_a_table() -> None:
    found = published("table: employees", "query: SELECT * FROM hr.employees")
    assert (found.table.source, found.table.query) == ("", "SELECT * FROM hr.employees")
    assert [column.nullable for column in found.table.columns] == [True, True]


def test_an_order_that_its_table_enforces_is_taken() -> None:
    told = FakeSchemas(keys=(frozenset({"number"}), frozenset({"id"})))
    assert published(schemas=told).table.primary_key == ("id",)


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        (
            "    table: employees\n",
            "",
            "templates[0]",
            "says nothing of what is read: add table, or query",
        ),
        (
            "    table: employees\n",
            "    table: employees\n    query: SELECT 1 FROM x\n",
            "templates[0]",
            "has a table and a query; take one of them out",
        ),
        (
            "table: employees",
            "table: employes",
            "templates[0].table",
            'the source "hr" has no table "employes"; did you mean "hr.employees"?',
        ),
        (
            "table: employees",
            "query: SELECT 1 FROM x;",
            "templates[0].query",
            "must be one SELECT, without a semicolon at its end",
        ),
        (
            "table: employees",
            "query: SELECT 1",
            "templates[0].query",
            'cannot be run: syntax error at or near ";"',
        ),
        (
            "    tenant_column: tenant_id\n",
            "",
            "templates[0]",
            "is for several tenants and says nothing of whose rows are whose: add tenant_column",
        ),
        (
            "    tenant_column: tenant_id\n",
            "    tenants: [northwind, harbour]\n",
            "templates[0]",
            "is for several tenants and says nothing of whose rows are whose: add tenant_column",
        ),
        (
            "    tenant_column: tenant_id\n",
            "    tenants: [harbor]\n",
            "templates[0].tenants[0]",
            'there is no tenant "harbor"; did you mean "harbour"?',
        ),
        (
            "    tenant_column: tenant_id\n",
            "    tenants: []\n",
            "templates[0].tenants",
            "must not be empty",
        ),
        (
            "tenant_column: tenant_id",
            "tenant_column: number",
            "templates[0].tenant_column",
            '"number" of hr.employees is INTEGER; it must be a text, as tenants\' ids are',
        ),
        (
            "tenant_column: tenant_id",
            "tenant_column: external_id",
            "templates[0].tenant_column",
            '"external_id" of hr.employees holds UUIDs, and the id of the tenant "northwind" is '
            "none",
        ),
        (
            "date_column: born",
            "date_column: salary",
            "templates[0].date_column",
            '"salary" of hr.employees is DECIMAL(12,2); it must be a date or a time stamp',
        ),
        (
            "date_column: born",
            "date_column: birth",
            "templates[0].date_column",
            'hr.employees has no column "birth"; it has id, tenant_id, salary, number, active, '
            "external_id, born, hours, tenure",
        ),
        (
            "anonymized_column: active",
            "anonymized_column: number",
            "templates[0].anonymized_column",
            '"number" of hr.employees is INTEGER; it must be true or false',
        ),
        (
            "order: [id]",
            "order: [pay]",
            "templates[0].order[0]",
            '"salary" of hr.employees may be NULL, so it cannot be part of a key; in the source: '
            'ALTER TABLE hr.employees ALTER COLUMN "salary" SET NOT NULL, or leave it out of the '
            "key",
        ),
        (
            "order: [id]",
            "order: [salary]",
            "templates[0].order[0]",
            '"salary" is not among the columns; callers see it as "pay", so write that',
        ),
        (
            "columns: [id, {source: salary, name: pay}]",
            "columns: [id, tenure]",
            "templates[0].columns[1]",
            '"tenure" of hr.employees is INTERVAL, which cannot be carried exactly: an interval '
            "has no canonical form; leave it out, or have the source hold it as another type",
        ),
        (
            "columns: [id, {source: salary, name: pay}]",
            "columns: [id, {source: salary, name: ID}]",
            "templates[0].columns[1]",
            'the column "id" is there already; names that differ in case only are the same to many',
        ),
        (
            'minimum_version: "2019.2603"',
            "minimum_version: latest",
            "templates[0].minimum_version",
            '"latest" is no version; write it as in "2019.2603"',
        ),
        (
            "source: hr\n",
            "source: hrm\n",
            "templates[0].source",
            'there is no source "hrm"; did you mean "hr"?',
        ),
    ],
)
def test_each_mistake_is_named_with_what_to_do(old: str, new: str, path: str, said: str) -> None:
    assert refusal(old, new) == [path, said]


def test_an_order_that_no_unique_index_enforces_is_refused_where_there_are_such() -> None:
    path, said = refusal(schemas=FakeSchemas(keys=(frozenset({"number"}),)))
    assert path == "templates[0].order"
    assert said.startswith(
        'no unique index is over "id" of hr.employees, so rows may share a place'
    )


def test_rows_are_not_ordered_by_what_sources_order_differently() -> None:
    columns = (*EMPLOYEES, a_column("share", "DOUBLE", ColumnType.DOUBLE, nullable=False))
    path, said = refusal(
        "columns: [id, {source: salary, name: pay}]\n    order: [id]",
        "columns: [id, share]\n    order: [share]",
        FakeSchemas({"hr.employees": columns}),
    )
    assert path == "templates[0].order[0]"
    assert said.startswith('"share" of hr.employees is DOUBLE, which rows cannot be ordered by')


def test_a_text_that_stands_for_a_type_of_the_source_does_not_tell_tenants_apart() -> None:
    columns = tuple(
        replace(column, text_of="inet") if column.name == "tenant_id" else column
        for column in EMPLOYEES
    )
    path, _ = refusal(schemas=FakeSchemas({"hr.employees": columns}))
    assert path == "templates[0].tenant_column"


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_files_run_no_queries(kind: str) -> None:
    assert refusal("table: employees", "query: SELECT 1 FROM x", kind=kind) == [
        "templates[0].query",
        f"a {kind} source runs no queries; ducklake, duckdb, postgresql do",
    ]


def test_two_templates_have_ids_of_their_own() -> None:
    again = TEMPLATES.split("templates:\n")[1]
    path, said = refusal(again, again + again)
    assert path == "templates[1].id"
    assert said.startswith('the template "persons" is declared already at c.yaml:')
