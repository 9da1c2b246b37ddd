"""Tables of services: whose rows they have must be said, and an access filter can but narrow."""

from dataclasses import replace

import pytest

from headrace.catalog import document
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import CatalogText
from headrace.catalog.model import CatalogRefused
from headrace.exports.sources import AccountColumn, ColumnType, Configuration, RowFilter, SharedRows
from tests.unit.catalog.builders import FakeDatabases
from tests.unit.catalog.test_compiling import FakeSchemas

CATALOG = """\
tenants: [{id: northwind, name: Northwind}]
clients:
- {id: portal, name: P, tenants: [northwind], service: {kind: external}}
- {id: plain, name: P, tenants: [northwind]}
sources: [{name: hr, kind: duckdb, options: {path: /x}}]
configurations:
- id: full
  client: portal
  tenant: northwind
  source: hr
  tables: &tables
  - name: people
    source: hr.employees
    primary_key: [id]
    tenant_column: tenant_id
    account_column: external_id
    columns: [id, {source: salary, name: pay}, born]
  - name: jobs
    source: hr.employments
    primary_key: [id]
    all_rows: true
    public: true
    columns: [id]
- {id: full, client: plain, tenant: northwind, source: hr, tables: *tables}
"""


def compiled(*changes: tuple[str, str]) -> dict[str, Configuration]:
    """The configurations by their clients, after changes of the text."""
    text = CATALOG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    catalog = compile_catalog([CatalogText("c.yaml", text)], {}, FakeSchemas(), FakeDatabases())
    return {one.client_id: one for one in catalog.configurations}


def narrowed(access: str) -> dict[str, Configuration]:
    """With an access filter."""
    return compiled(("{kind: external}", f"{{kind: external, access: {access}}}"))


def refusal(*changes: tuple[str, str]) -> str:
    """What is wrong, one problem a line."""
    with pytest.raises(CatalogRefused) as refused:
        compiled(*changes)
    return refused.value.detail


def test_a_services_table_knows_whose_a_row_is() -> None:
    service = compiled()["portal"]
    assert service.by_consent
    people, jobs = service.tables
    assert people.account == AccountColumn("external_id", ColumnType.UUID)
    assert jobs.account is None


def test_rows_without_an_account_are_public_if_that_is_written() -> None:
    written = ("external_id\n", "external_id\n    rows_without_account: public\n")
    [people, _] = compiled(written)["portal"].tables
    assert people.account is not None
    assert people.account.with_public


def test_for_a_client_that_is_no_service_nothing_is_otherwise() -> None:
    plain = compiled()["plain"]
    assert not plain.by_consent
    assert [table.account for table in plain.tables] == [None, None]
    before = compiled(
        ("    account_column: external_id\n", ""), (", service: {kind: external}", "")
    )
    assert _uncounted(plain) == _uncounted(before["plain"])


def _uncounted(configuration: Configuration) -> document.Json:
    tables = tuple(replace(table, row_estimate=0) for table in configuration.tables)
    return document.configuration_to_json(replace(configuration, tables=tables))


def test_a_services_configuration_survives_its_document() -> None:
    service = compiled()["portal"]
    assert document.configuration_from_json(document.configuration_to_json(service)) == service


def test_who_shares_changes_nothing_of_what_is_granted() -> None:
    [people, _] = compiled()["portal"].tables
    shared = replace(people, shared=SharedRows(("ann",), ("bob",), "m"))
    assert shared.grant_hash == people.grant_hash
    [plain, _] = compiled()["plain"].tables
    assert plain.grant_hash != people.grant_hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("account_column: external_id", "ordered: false", "add account_column, or public: true"),
        ("    public: true\n", "", "nothing says whose rows these are"),
        ("account_column: external_id", "account_column: patient", 'no column "patient"'),
        ("account_column: external_id", "account_column: hours", "accounts are told by a text"),
        ("account_column: external_id", "account_column: born", "accounts are told by a text"),
        (
            "    public: true\n",
            "    public: true\n    account_column: id\n",
            "take one of them out",
        ),
        (
            "    public: true\n",
            "    public: true\n    rows_without_account: public\n",
            "has no account_column",
        ),
        ("kind: duckdb, options: {path: /x}", "kind: athena, options: {database: d, path: /x}", ""),
        (
            "external_id\n",
            "external_id\n    rows_without_account: all\n",
            "none of hidden or public",
        ),
    ],
)
def test_a_table_of_which_nobody_knows_whose_rows_it_has_is_refused(
    old: str, new: str, said: str
) -> None:
    assert said in refusal((old, new))


def test_an_access_filter_leaves_out_tables_columns_and_rows() -> None:
    access = "[{table: people, columns: [id, born], rows: [{column: active, values: [true]}]}]"
    services = narrowed(access)
    [people] = services["portal"].tables
    assert [column.name for column in people.columns] == ["id", "born"]
    assert people.filters == (
        RowFilter("tenant_id", ("northwind",), ColumnType.STRING),
        RowFilter("active", (True,), ColumnType.BOOLEAN),
    )
    assert people.account is not None
    assert len(services["plain"].tables) == 2


@pytest.mark.abuse(76)
def test_what_an_access_filter_leaves_out_is_nowhere_in_what_is_published() -> None:
    services = narrowed("[{table: people, columns: [id]}]")
    shown = str(document.configuration_to_json(services["portal"]))
    for hidden in ("salary", "pay", "born", "jobs"):
        assert hidden not in shown


def test_without_a_filter_all_is_granted_and_with_an_empty_one_nothing() -> None:
    assert len(compiled()["portal"].tables) == 2
    assert narrowed("[]")["portal"].tables == ()


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ("[{table: peple}]", 'grants a table "peple"; did you mean "people"'),
        ("[{table: people, columns: [id, salary]}]", 'grants no column "salary"'),
        ("[{table: people, columns: [id, hours]}]", "can but narrow"),
        ("[{table: people, columns: [born]}]", 'lacks "id", which is of the primary key'),
        ("[{table: people, rows: [{column: hours, values: [1]}]}]", "rows cannot be chosen by"),
        ("[{table: people, rows: [{column: nobody, values: [1]}]}]", 'no column "nobody"'),
        ("[{table: people}, {table: people}]", 'names "people" more than once'),
        ("[{table: people, all: true}]", 'unknown key "all"'),
    ],
)
def test_an_access_filter_that_grants_more_or_nothing_known_is_refused(
    access: str, said: str
) -> None:
    assert said in refusal(("{kind: external}", f"{{kind: external, access: {access}}}"))
