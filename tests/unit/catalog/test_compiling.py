"""A catalog against what its sources hold, with a source that is a dictionary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from headrace.catalog import document
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import CatalogText
from headrace.catalog.model import CatalogRefused, Client, QueryRefused, Tenant
from headrace.catalog.schema import SourceEntry
from headrace.exports.model import Compression, FileFormat, OperationKind
from headrace.exports.schedules import Schedule
from headrace.exports.sources import (
    Column,
    ColumnType,
    Configuration,
    Resync,
    RowFilter,
    Source,
    Table,
)
from headrace.exports.warehouses import SourceColumn
from headrace.kernel.errors import SourceUnavailable
from tests.unit.catalog.builders import FakeDatabases, a_catalog, a_configuration

HEAD = """\
tenants: [{id: northwind, name: Northwind, time_zone: Europe/Oslo, kms_key: alias/n}]
clients: [{id: integrator, name: I, tenants: [northwind], daily_quota: 7, scopes: [data:read]}]
sources: [{name: hr, kind: KIND, options: {path: /x}}]
configurations:
- id: full
  client: integrator
  tenant: northwind
  default: true
  source: hr
  tables:
"""
TABLE = """\
  - name: people
    source: hr.employees
    primary_key: [id]
    tenant_column: tenant_id
    columns: [id, {source: salary, name: pay}]
"""


def a_column(
    name: str,
    engine_type: str = "VARCHAR",
    column_type: ColumnType | None = ColumnType.STRING,
    *,
    nullable: bool = True,
    **more: object,
) -> SourceColumn:
    return SourceColumn(name, engine_type, column_type, nullable, **more)  # type: ignore[arg-type]


EMPLOYEES = (
    a_column("id", "BIGINT", ColumnType.BIGINT, nullable=False),
    a_column("tenant_id", nullable=False),
    a_column("salary", "DECIMAL(12,2)", ColumnType.DECIMAL, precision=12, scale=2),
    a_column("number", "INTEGER", ColumnType.INTEGER),
    a_column("active", "BOOLEAN", ColumnType.BOOLEAN),
    a_column("external_id", "UUID", ColumnType.UUID),
    a_column("born", "DATE", ColumnType.DATE),
    a_column("hours", "DOUBLE", ColumnType.DOUBLE),
    a_column("tenure", "INTERVAL", None, reason="an interval has no canonical form"),
)


@dataclass
class FakeSchemas:
    """A source that is a dictionary; ``counted`` are the tables whose rows were asked for."""

    tables: Mapping[str, tuple[SourceColumn, ...]] = field(
        default_factory=lambda: {"hr.employees": EMPLOYEES, "hr.employments": EMPLOYEES[:1]}
    )
    counted: list[Table] = field(default_factory=list)
    opened: int = 0
    keys: tuple[frozenset[str], ...] | None = None

    def current_version(self, source: Source) -> str:
        if source.options.get("path") == "/gone":
            raise SourceUnavailable("The file is not there.")
        self.opened += 1
        return "v1"

    def schema(self, source: Source) -> Mapping[str, tuple[SourceColumn, ...]]:
        return self.tables

    def describe_query(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        if "FROM" not in query:
            raise QueryRefused('syntax error at or near ";"')
        return tuple(replace(column, nullable=True, promised=False) for column in EMPLOYEES)

    def unique_keys(self, source: Source, table: str) -> tuple[frozenset[str], ...] | None:
        return self.keys

    def counts(self, source: Source, version: str, tables: Sequence[Table]) -> tuple[int, ...]:
        assert version == "v1"
        self.counted += tables
        return tuple(1000 + len(self.counted) for _ in tables)


def compiled(
    tables: str = TABLE, schemas: FakeSchemas | None = None, kind: str = "duckdb", more: str = ""
) -> tuple[Configuration, ...]:
    text = HEAD.replace("KIND", kind) + tables + more
    catalog = compile_catalog(
        [CatalogText("c.yaml", text)], {}, schemas or FakeSchemas(), FakeDatabases()
    )
    return catalog.configurations


def refusal(
    tables: str, schemas: FakeSchemas | None = None, kind: str = "duckdb", more: str = ""
) -> list[str]:
    with pytest.raises(CatalogRefused) as refused:
        compiled(tables, schemas, kind, more)
    assert refused.value.detail.splitlines() == [str(p) for p in refused.value.problems]
    return [str(problem).removeprefix("c.yaml:") for problem in refused.value.problems]


def test_types_and_nullability_come_from_the_source() -> None:
    assert compiled() == (
        Configuration(
            "full",
            "northwind",
            "integrator",
            True,
            "hr",
            (
                Table(
                    name="people",
                    source="hr.employees",
                    columns=(
                        Column("id", "id", ColumnType.BIGINT, nullable=False),
                        Column("pay", "salary", ColumnType.DECIMAL, True, 12, 2),
                    ),
                    primary_key=("id",),
                    filters=(RowFilter("tenant_id", ("northwind",), ColumnType.STRING),),
                    row_estimate=1001,
                ),
            ),
        ),
    )


def test_tenants_and_clients_are_as_declared() -> None:
    text = HEAD.replace("KIND", "duckdb") + TABLE
    catalog = compile_catalog([CatalogText("c.yaml", text)], {}, FakeSchemas(), FakeDatabases())
    assert catalog.tenants == (Tenant("northwind", "Northwind", "Europe/Oslo", "alias/n"),)
    assert catalog.clients == (Client("integrator", "I", ("northwind",), ("data:read",), 7),)
    assert catalog.sources == (Source("hr", "duckdb", {"path": "/x"}),)


@pytest.mark.abuse(76)
def test_only_chosen_columns_are_in_the_catalog() -> None:
    [configuration] = compiled()
    shown = str(document.configuration_to_json(configuration))
    assert "salary" in shown
    for unchosen in ("born", "external_id", "tenure", "active"):
        assert unchosen not in shown


def test_increments_refuse_what_cannot_be_told_unless_the_operator_chose_otherwise() -> None:
    [usual] = compiled()
    [chosen] = compiled(more="  resync: document\n")
    assert (usual.resync, chosen.resync) == (Resync.REFUSE, Resync.DOCUMENT)
    written = document.configuration_to_json(chosen)
    assert document.configuration_from_json(written) == chosen
    del written["resync"]  # as of a catalog that an earlier release published
    assert document.configuration_from_json(written).resync is Resync.REFUSE


@pytest.mark.parametrize("days", ["1", "14", "365"])
def test_changes_are_kept_for_as_many_days_as_is_said(days: str) -> None:
    entry = SourceEntry(name="hr", kind="postgresql", options={"change_retention_days": days})
    assert entry.options["change_retention_days"] == days


@pytest.mark.parametrize("days", ["", "0", "-1", "014", "1.5", "366", "١٤", "two weeks"])
def test_a_retention_that_is_no_number_of_days_is_refused(days: str) -> None:
    with pytest.raises(ValidationError, match="must be 1 to 365"):
        SourceEntry(name="hr", kind="postgresql", options={"change_retention_days": days})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("90m", timedelta(minutes=90)),
        ("26h", timedelta(hours=26)),
        ("1d", timedelta(days=1)),
        (None, None),
    ],
)
def test_a_source_may_say_how_old_its_newest_data_may_be(
    said: str | None, meant: timedelta | None
) -> None:
    entry = {"name": "hr", "kind": "ducklake", "options": {"catalog": "sqlite:/x"}}
    given = SourceEntry.model_validate(entry | ({"expected_every": said} if said else {}))
    assert given.expected_within == meant
    source = Source("hr", "ducklake", {"catalog": "sqlite:/x"}, meant)
    written = document.source_to_json(source)
    assert document.source_from_json(written) == source
    # What says nothing is written as an earlier release did, and is no other catalog for it.
    assert ("expectedEverySeconds" in written) == (said is not None)


@pytest.mark.parametrize("said", ["", "0h", "h", "26", "26 h", "1.5h", "-1h", "26H", "2w", "٢h"])
def test_a_span_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ValidationError, match="expected_every"):
        SourceEntry(name="hr", kind="duckdb", options={"path": "/x"}, expected_every=said)


@pytest.mark.parametrize(
    ("kind", "options"), [("postgresql", {}), ("athena", {"database": "lake"})]
)
def test_nothing_is_expected_of_a_source_that_cannot_tell_its_age(
    kind: str, options: dict[str, str]
) -> None:
    entry = {"name": "hr", "kind": kind, "options": options}
    SourceEntry.model_validate(entry)
    with pytest.raises(ValidationError, match="cannot tell how old"):
        SourceEntry.model_validate(entry | {"expected_every": "26h"})


def test_what_is_expected_of_a_source_is_published_with_it() -> None:
    text = (HEAD.replace("KIND", "duckdb") + TABLE).replace(
        "kind: duckdb", "kind: duckdb, expected_every: 26h"
    )
    catalog = compile_catalog([CatalogText("c.yaml", text)], {}, FakeSchemas(), FakeDatabases())
    assert [one.expected_every for one in catalog.sources] == [timedelta(hours=26)]


def test_schedules_are_on_the_tenants_clock_unless_they_name_another() -> None:
    declared = """\
schedules:
- {name: nightly, client: integrator, tenant: northwind, configuration: full, cron: 0 2 * * *}
- name: weekly
  client: integrator
  tenant: northwind
  configuration: full
  cron: 0 4 * * SUN
  time_zone: Europe/Amsterdam
  kind: incremental
  file_format: parquet
  compression: zstd
  entity: people
  enabled: false
  webhook: ends
"""
    text = HEAD.replace("KIND", "duckdb") + TABLE + declared
    webhooks = "webhooks: [{name: ends, url: https://hooks.bureau.example/}]"
    text = text.replace("daily_quota: 7", f"daily_quota: 7, {webhooks}")
    catalog = compile_catalog([CatalogText("c.yaml", text)], {}, FakeSchemas(), FakeDatabases())
    nightly, weekly = catalog.schedules
    assert nightly == Schedule(
        "nightly", "northwind", "integrator", "full", "0 2 * * *", "Europe/Oslo"
    )
    assert (weekly.time_zone, weekly.kind) == ("Europe/Amsterdam", OperationKind.INCREMENTAL)
    assert (weekly.file_format, weekly.compression) == (FileFormat.PARQUET, Compression.ZSTD)
    assert (weekly.entity, weekly.enabled) == ("people", False)
    assert (nightly.webhook, weekly.webhook) == (None, "ends")
    written = document.catalog_to_json(catalog)["schedules"]
    assert tuple(map(document.schedule_from_json, written)) == catalog.schedules
    assert document.digest(catalog) != document.digest(replace(catalog, schedules=(nightly,)))


def test_the_schema_may_be_left_out_where_the_name_is_clear() -> None:
    [configuration] = compiled(TABLE.replace("hr.employees", "employees"))
    assert configuration.tables[0].source == "hr.employees"
    schemas = FakeSchemas({"a.employees": EMPLOYEES, "b.employees": EMPLOYEES})
    assert refusal(TABLE.replace("hr.employees", "employees"), schemas) == [
        '12: configurations[0].tables[0].source: "employees" may be a.employees or b.employees; '
        "write which"
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "salary",
            "salry",
            '15: configurations[0].tables[0].columns[1]: hr.employees has no column "salry"; did '
            'you mean "salary"?',
        ),
        (
            "salary",
            "SALARY",
            '15: configurations[0].tables[0].columns[1]: hr.employees has no column "SALARY"; did '
            'you mean "salary"?',
        ),
        (
            "{source: salary, name: pay}",
            "zzz",
            '15: configurations[0].tables[0].columns[1]: hr.employees has no column "zzz"; it has '
            "id, tenant_id, salary, number, active, external_id, born, hours, tenure",
        ),
        (
            "{source: salary, name: pay}",
            "tenure",
            '15: configurations[0].tables[0].columns[1]: "tenure" of hr.employees is INTERVAL, '
            "which cannot be carried exactly: an interval has no canonical form; leave it out, or "
            "have the source hold it as another type",
        ),
        (
            "hr.employees",
            "hr.employes",
            '12: configurations[0].tables[0].source: the source "hr" has no table "hr.employes"; '
            'did you mean "hr.employees"?',
        ),
        (
            "hr.employees",
            "payslips",
            '12: configurations[0].tables[0].source: the source "hr" has no table "payslips"; it '
            "has hr.employees, hr.employments",
        ),
        (
            "tenant_id",
            "tenant",
            "14: configurations[0].tables[0].tenant_column: hr.employees has no column "
            '"tenant"; did you mean "tenant_id"?',
        ),
        (
            "tenant_column: tenant_id",
            "tenant_column: number",
            '14: configurations[0].tables[0].tenant_column: "number" of hr.employees is INTEGER, '
            "and tenant ids are texts: use rows, with the id that the source knows the tenant by",
        ),
        (
            "primary_key: [id]",
            "primary_key: [id, pay]",
            '13: configurations[0].tables[0].primary_key[1]: "salary" of hr.employees may be NULL, '
            "so it cannot be part of a key; in the source: ALTER TABLE hr.employees ALTER COLUMN "
            '"salary" SET NOT NULL, or leave it out of the key',
        ),
        (
            "tenant_column: tenant_id",
            "rows: [{column: nmber, values: [1]}]",
            "14: configurations[0].tables[0].rows[0].column: hr.employees has no column "
            '"nmber"; did you mean "number"?',
        ),
        (
            "tenant_column: tenant_id",
            "rows: [{column: number, values: [1, true]}]",
            "14: configurations[0].tables[0].rows[0].values[1]: true is no integer value, as "
            '"number" of hr.employees holds',
        ),
        (
            "tenant_column: tenant_id",
            'rows: [{column: number, values: ["1"]}]',
            '14: configurations[0].tables[0].rows[0].values[0]: "1" is no integer value, as '
            '"number" of hr.employees holds',
        ),
        (
            "tenant_column: tenant_id",
            "rows: [{column: active, values: [1]}]",
            "14: configurations[0].tables[0].rows[0].values[0]: 1 is no boolean value, as "
            '"active" of hr.employees holds',
        ),
        (
            "tenant_column: tenant_id",
            "rows: [{column: born, values: [20260101]}]",
            "14: configurations[0].tables[0].rows[0].values[0]: 20260101 is no date value, as "
            '"born" of hr.employees holds',
        ),
        (
            "tenant_column: tenant_id",
            "rows: [{column: external_id, values: [x]}]",
            '14: configurations[0].tables[0].rows[0].values[0]: "x" is no uuid value, as '
            '"external_id" of hr.employees holds',
        ),
        (
            "tenant_column: tenant_id",
            "rows: [{column: hours, values: [1]}]",
            '14: configurations[0].tables[0].rows[0].column: rows cannot be chosen by "hours" of '
            "hr.employees, as it is DOUBLE; choose by a text, whole number, boolean, date or UUID",
        ),
    ],
)
def test_what_the_source_does_not_hold_is_refused(old: str, new: str, said: str) -> None:
    assert refusal(TABLE.replace(old, new, 1)) == [said]


def test_all_mistakes_are_named_at_once_those_of_the_files_too() -> None:
    broken = TABLE.replace("salary", "salry").replace("people", "one")
    another = TABLE.replace("tenant_id", "tenant").replace("people", "two")
    said = refusal(broken + another, more="nonsense: 1\n")
    assert [line.split(":")[0] for line in said] == ["15", "19", "21"]


def test_rows_are_chosen_by_any_filterable_type() -> None:
    rows = (
        "rows: [{column: number, values: [4, -5]}, {column: active, values: [true]}, "
        "{column: born, values: [2026-01-31]}, {column: external_id, values: "
        "[00000000-0000-4000-8000-000000000000]}, {column: tenant_id, values: ['a', 'b']}]"
    )
    [configuration] = compiled(TABLE.replace("tenant_column: tenant_id", rows))
    assert configuration.tables[0].filters == (
        RowFilter("number", (4, -5), ColumnType.INTEGER),
        RowFilter("active", (True,), ColumnType.BOOLEAN),
        RowFilter("born", ("2026-01-31",), ColumnType.DATE),
        RowFilter("external_id", ("00000000-0000-4000-8000-000000000000",), ColumnType.UUID),
        RowFilter("tenant_id", ("a", "b"), ColumnType.STRING),
    )


def test_rows_narrow_the_tenants_own() -> None:
    both = "tenant_column: tenant_id\n    rows: [{column: active, values: [true]}]"
    [configuration] = compiled(TABLE.replace("tenant_column: tenant_id", both))
    assert [f.column for f in configuration.tables[0].filters] == ["tenant_id", "active"]


def test_all_rows_are_handed_out_only_if_that_is_written() -> None:
    [configuration] = compiled(TABLE.replace("tenant_column: tenant_id", "all_rows: true"))
    assert configuration.tables[0].filters == ()


def test_what_cannot_say_not_null_may_have_keys() -> None:
    key = TABLE.replace("primary_key: [id]", "primary_key: [id, pay]")
    unpromised = tuple(replace(column, promised=False) for column in EMPLOYEES)
    [configuration] = compiled(key, FakeSchemas({"hr.employees": unpromised}), kind="parquet")
    assert configuration.tables[0].primary_key == ("id", "pay")


def test_a_source_that_cannot_be_read_is_named_once() -> None:
    text = (HEAD.replace("KIND", "duckdb") + TABLE).replace("/x", "/gone")
    again = TABLE.replace("people", "again")
    with pytest.raises(CatalogRefused) as refused:
        compile_catalog([CatalogText("c.yaml", text + again)], {}, FakeSchemas(), FakeDatabases())
    assert str(refused.value) == (
        'c.yaml:3: sources[0]: the source "hr" cannot be read: The file is not there.'
    )


def test_a_table_that_a_role_of_postgresql_may_not_read_looks_as_if_there_were_none() -> None:
    head = HEAD.replace("KIND, options: {path: /x}", "postgresql, options: {database: hr}")
    text = head + TABLE.replace("hr.employees", "secret")
    with pytest.raises(CatalogRefused) as refused:
        compile_catalog([CatalogText("c.yaml", text)], {}, FakeSchemas(), FakeDatabases())
    assert refused.value.detail.endswith(
        'no table "secret"; it has hr.employees, hr.employments (its role sees what it may SELECT)'
    )


def test_a_source_without_tables() -> None:
    assert refusal(TABLE, FakeSchemas({})) == [
        '12: configurations[0].tables[0].source: the source "hr" shows no table at all'
    ]


def test_a_database_whose_role_sees_no_table_is_answered_with_what_it_lacks() -> None:
    head = HEAD.replace("KIND, options: {path: /x}", "postgresql, options: {database: hr}")
    with pytest.raises(CatalogRefused) as refused:
        compile_catalog([CatalogText("c.yaml", head + TABLE)], {}, FakeSchemas({}), FakeDatabases())
    [problem] = refused.value.problems
    assert problem.message.endswith("its role sees what it may SELECT: GRANT it that")


def test_the_same_rows_are_counted_once() -> None:
    schemas = FakeSchemas()
    narrower = (
        "- id: narrow\n  client: integrator\n  tenant: northwind\n  source: hr\n  tables:\n"
        + TABLE.replace("[id, {source: salary, name: pay}]", "[id]")
    )
    full, narrow = compiled(TABLE, schemas, more=narrower)
    assert len(schemas.counted) == 1
    assert schemas.opened == 1
    assert full.tables[0].row_estimate == narrow.tables[0].row_estimate == 1001


# --- the document ---------------------------------------------------------------------------


def test_a_catalog_survives_its_document() -> None:
    catalog = a_catalog(a_configuration(), a_configuration("other", default=False))
    written = document.catalog_to_json(catalog)
    assert tuple(map(document.configuration_from_json, written["configurations"])) == (
        catalog.configurations
    )
    assert {document.tenant_from_json(t) for t in written["tenants"]} == set(catalog.tenants)
    assert {document.client_from_json(c) for c in written["clients"]} == set(catalog.clients)
    assert [document.source_from_json(s) for s in written["sources"]] == list(catalog.sources)
    assert [document.region_from_json(r) for r in written["regions"]] == list(catalog.regions)
    assert {document.template_from_json(t) for t in written["templates"]} == set(catalog.templates)


def test_the_digest_ignores_order() -> None:
    one, two = a_configuration("one"), a_configuration("two", default=False)
    assert document.digest(a_catalog(one, two)) == document.digest(a_catalog(two, one))
    assert document.digest(a_catalog(one, two)) != document.digest(a_catalog(one))
