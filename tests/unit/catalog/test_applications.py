"""Applications in themselves and against what their databases hold, which are dictionaries."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from headrace.catalog import document
from headrace.catalog.compiling import compile_catalog
from headrace.catalog.declarations import CatalogText, read_declarations
from headrace.catalog.model import Catalog, CatalogRefused
from headrace.catalog.ports import (
    ApplicationDatabase,
    DatabaseColumn,
    DatabaseTable,
    ForeignKey,
    Kind,
    UniqueIndex,
)
from headrace.datasets.definitions import Application, OutputFormat, Reference
from tests.unit.catalog.builders import FakeDatabases
from tests.unit.catalog.test_compiling import FakeSchemas

HEAD = """\
tenants: [{id: north, name: North}, {id: south, name: South}]
applications:
- id: shop
  tenant: north
  name: Shop
  environment: TEST
  version: 4.24.1
  database: {database: shop}
"""
TABLES = """\
  tables:
  - {id: 1, name: BRANDS, relation: s.brands, functional_key: [code]}
  - id: 2
    name: PRODUCTS
    relation: s.products
    functional_key: [code]
    references: [{column: brand_id, table: BRANDS}]
  - id: 3
    name: PARTS
    relation: s.parts
    functional_key: [code]
    owner: {column: product_id, table: PRODUCTS}
"""
DEFINITIONS = """\
  definitions:
  - {code: ALL, description: All, top_level: [PRODUCTS], reference_data: [BRANDS]}
"""


def a_column(name: str, kind: Kind = Kind.OTHER, **more: object) -> DatabaseColumn:
    written = {Kind.NUMBER: "bigint", Kind.UUID: "uuid", Kind.TIME: "date"}.get(kind, "text")
    values = {"written": written, "nullable": False, **more}
    return DatabaseColumn(name=name, kind=kind, **values)  # type: ignore[arg-type]


def a_table(*columns: DatabaseColumn, unique: tuple[str, ...] = ("code",)) -> DatabaseTable:
    own = (
        a_column("id", Kind.NUMBER, default=True, counted=True),
        a_column("uuid", Kind.UUID, default=True),
        a_column("code"),
    )
    return DatabaseTable(
        {column.name: column for column in (*own, *columns)},
        tuple(UniqueIndex(frozenset(names)) for names in (("id",), ("uuid",), unique)),
    )


SHOP: Mapping[str, DatabaseTable] = {
    "s.brands": a_table(a_column("note", nullable=True)),
    "s.products": replace(
        a_table(a_column("brand_id", Kind.NUMBER, nullable=True)),
        foreign_keys=(ForeignKey("brand_id", "s.brands", "id"),),
    ),
    "s.parts": replace(
        a_table(a_column("product_id", Kind.NUMBER), unique=("product_id", "code")),
        foreign_keys=(ForeignKey("product_id", "s.products", "id"),),
    ),
}


def changed(relation: str, *columns: DatabaseColumn, **more: object) -> Mapping[str, DatabaseTable]:
    """The shop with a table that is otherwise; columns are put in place of those of their names."""
    table = SHOP[relation]
    table = replace(table, columns={**table.columns, **{one.name: one for one in columns}})
    return {**SHOP, relation: replace(table, **more)}  # type: ignore[arg-type]


def compiled(
    tables: str = TABLES,
    definitions: str = DEFINITIONS,
    database: Mapping[str, DatabaseTable] = SHOP,
    head: str = HEAD,
    functions: frozenset[str] = frozenset(),
) -> Catalog:
    databases = FakeDatabases({"shop": ApplicationDatabase(database, functions)})
    texts = [CatalogText("c.yaml", head + tables + definitions)]
    return compile_catalog(texts, {}, FakeSchemas(), databases)


def refusal(
    tables: str = TABLES,
    definitions: str = DEFINITIONS,
    database: Mapping[str, DatabaseTable] = SHOP,
    head: str = HEAD,
    functions: frozenset[str] = frozenset(),
) -> list[str]:
    with pytest.raises(CatalogRefused) as refused:
        compiled(tables, definitions, database, head, functions)
    return [str(problem).removeprefix("c.yaml:") for problem in refused.value.problems]


def the_application(tenant: str = "north") -> Application:
    """The shop, as it is published."""
    [application] = compiled().applications
    return replace(application, tenant=tenant)


# --- what is published ----------------------------------------------------------------------------


def test_an_application_has_its_definitions_with_their_tables_in_order() -> None:
    application = the_application()
    assert (application.tenant, application.identifier, application.version) == (
        *("north", "TEST"),
        "4.24.1",
    )
    assert application.options == {"database": "shop"}
    [definition] = application.definitions
    assert definition.output is OutputFormat.ZIP
    assert [table.name for table in definition.tables] == ["BRANDS", "PRODUCTS", "PARTS"]
    assert (definition.top_level, definition.reference_data) == ((2,), (1,))
    assert definition.others == ()
    brands, products, parts = definition.tables
    assert brands.columns == ("code", "note")
    assert products.references == (Reference("brand_id", 1),)
    assert parts.owner == Reference("product_id", 2)


def test_tables_that_are_referred_to_and_not_carried_are_known_all_the_same() -> None:
    one = DEFINITIONS.replace(", reference_data: [BRANDS]", "")
    [application] = compiled(definitions=one).applications
    [definition] = application.definitions
    assert [table.name for table in definition.others] == ["BRANDS"]
    assert definition.top_of(1) is None
    assert definition.top_of(3) == 2


def test_of_a_dependent_that_is_referred_to_its_owners_are_known() -> None:
    tables = TABLES + (
        "  - {id: 4, name: OFFERS, relation: s.offers, functional_key: [code],\n"
        "     references: [{column: part_id, table: PARTS}]}\n"
    )
    database = {**SHOP, "s.offers": a_table(a_column("part_id", Kind.NUMBER))}
    one = "  definitions: [{code: OFFERS, description: Offers, top_level: [OFFERS]}]\n"
    [application] = compiled(tables, one, database).applications
    [definition] = application.definitions
    assert {table.name for table in definition.others} == {"PARTS", "PRODUCTS"}
    assert definition.top_of(3) is None


def test_computed_and_left_out_columns_are_not_carried() -> None:
    tables = TABLES.replace("[code]}\n", "[code], leave_out: [note]}\n", 1)
    database = changed("s.brands", a_column("size", Kind.NUMBER, computed=True))
    [application] = compiled(tables, database=database).applications
    assert application.definitions[0].table(1).columns == ("code",)


def test_an_application_comes_back_from_json_as_it_was() -> None:
    application = the_application()
    there = document.application_to_json(application)
    assert document.application_from_json(there) == application


def test_another_version_is_another_catalog() -> None:
    one, other = compiled(), compiled(head=HEAD.replace("4.24.1", "4.24.2"))
    assert document.digest(one) != document.digest(other)
    without = replace(one, applications=())
    assert "applications" not in document.catalog_to_json(without)


# --- what is wrong in itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            *("id: 3\n", "id: 2\n"),
            "16: applications[0].tables[2].id: the number 2 is that of the table at line 11 "
            "already; each table has one of its own",
        ),
        (
            *("relation: s.parts", "relation: s.products"),
            "18: applications[0].tables[2].relation: the relation "
            '"s.products" is that of the table at line 11 already; each table has one of its own',
        ),
        (
            *("table: PRODUCTS}", "table: PRODUCT}"),
            "20: applications[0].tables[2].owner.table: there is no table "
            '"PRODUCT"; did you mean "PRODUCTS"?',
        ),
        (
            *("{id: 1, name", '{id: "1", name'),
            '10: applications[0].tables[0].id: must be a whole number, and is the text "1"',
        ),
        (
            *("{id: 1, name", "{id: 0, name"),
            "10: applications[0].tables[0].id: must be 1 to 9007199254740991",
        ),
        (
            *("relation: s.brands", "relation: brands"),
            '10: applications[0].tables[0].relation: "brands" does not name a table with its '
            'schema, as "claims.brands"',
        ),
        (
            *("{column: brand_id, table: BRANDS}", "{column: uuid, table: BRANDS}"),
            '11: applications[0].tables[1]: names the column "uuid" for two things',
        ),
        (
            *("product_id, table: PRODUCTS}", "product_id, table: PARTS}"),
            "20: applications[0].tables[2].owner: is owned by itself: PARTS → PARTS",
        ),
    ],
    ids=[
        *("one number of two tables", "one relation of two tables", "an unknown owner"),
        *("a number in quotes", "zero", "no schema", "a column for two things", "its own owner"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_in_itself(old: str, new: str, problem: str) -> None:
    assert problem in refusal(TABLES.replace(old, new))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("columns: [code, note], leave_out: [note]", "has columns and leave_out; take one"),
        ("columns: [note]", 'has "code" in its functional_key and does not carry it'),
        ("leave_out: [code]", 'has "code" in its functional_key and does not carry it'),
        ("columns: [code, id]", 'carries "id" as a value; it is its id, UUID or a reference'),
    ],
)
def test_columns_that_contradict_each_other(more: str, problem: str) -> None:
    [told] = refusal(TABLES.replace("[code]}\n", f"[code], {more}}}\n", 1))
    assert told.startswith("10: applications[0].tables[0]: " + problem)


def test_a_reference_is_no_functional_key() -> None:
    [told] = refusal(
        TABLES.replace("key: [code]\n    references", "key: [brand_id]\n    references")
    )
    assert 'has "brand_id" in its functional_key, which is of values that are the same' in told


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (
            "{code: ALL, description: All, top_level: [PARTS]}",
            'definitions[0].top_level[0]: "PARTS" is owned by "PRODUCTS", and goes along with it',
        ),
        (
            "{code: ALL, description: All, top_level: [BRANDS], reference_data: [BRANDS]}",
            'definitions[0].reference_data[0]: "BRANDS" is a top-level table of this definition',
        ),
        (
            "{code: ALL, description: All, top_level: [BRAND]}",
            'definitions[0].top_level[0]: there is no table "BRAND"; did you mean "BRANDS"?',
        ),
        ("{code: ALL, description: All, top_level: []}", "definitions[0].top_level: must not be"),
        (
            "{code: ALL, description: All, top_level: [BRANDS], output: JSON}",
            'definitions[0].output: "JSON" is none of ZIP or XML',
        ),
    ],
    ids=["a dependent", "both", "unknown", "none", "no format"],
)
def test_a_definition_that_is_wrong_in_itself(definition: str, problem: str) -> None:
    [told] = refusal(definitions=f"  definitions:\n  - {definition}\n")
    assert told.startswith(f"22: applications[0].{problem}")


def test_a_code_is_that_of_one_definition() -> None:
    again = DEFINITIONS + "  - {code: ALL, description: Again, top_level: [BRANDS]}\n"
    [told] = refusal(definitions=again)
    assert told == '23: applications[0].definitions[1].code: there is a definition "ALL" already'


def test_tables_that_refer_to_each_other_in_a_circle() -> None:
    tables = TABLES.replace(
        "functional_key: [code]}\n",
        "functional_key: [code], references: [{column: best_id, table: PARTS}]}\n",
        1,
    )
    database = changed("s.brands", a_column("best_id", Kind.NUMBER, nullable=True))
    [told] = refusal(tables, database=database)
    assert told.startswith("22: applications[0].definitions[0]: the records of its tables refer")
    assert "PRODUCTS → BRANDS → PRODUCTS" in told or "BRANDS → PRODUCTS → BRANDS" in told


def test_a_table_may_refer_to_itself() -> None:
    tables = TABLES.replace(
        "functional_key: [code]}\n",
        "functional_key: [code], references: [{column: in_id, table: BRANDS}]}\n",
        1,
    )
    database = changed("s.brands", a_column("in_id", Kind.NUMBER, nullable=True))
    assert compiled(tables, database=database).applications


def test_a_tenant_has_one_application() -> None:
    other = (
        (HEAD + TABLES + DEFINITIONS).split("applications:\n")[1].replace("id: shop", "id: other")
    )
    [told] = refusal(definitions=DEFINITIONS + other)
    assert told == (
        '24: applications[1].tenant: the tenant "north" has the application at c.yaml:3 already; '
        "it can have one only"
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("4.24.1", '"v4"', '"v4" is no version; write numbers with dots'),
        ("tenant: north", "tenant: nort", 'there is no tenant "nort"; did you mean "north"?'),
        ("{database: shop}", "{databse: shop}", 'a database has no option "databse"; did you mean'),
        ("{database: shop}", "{replica_host: a, database: shop}", 'no option "replica_host"'),
    ],
)
def test_an_application_that_is_wrong_in_itself(old: str, new: str, problem: str) -> None:
    told = refusal(head=HEAD.replace(old, new))
    assert any(problem in one for one in told), told


def test_all_is_found_without_asking_the_database() -> None:
    text = HEAD + TABLES.replace("table: PRODUCTS}", "table: X}") + DEFINITIONS
    declared = read_declarations([CatalogText("c.yaml", text)], {})
    assert [problem.line for problem in declared.problems] == [20]


# --- what is wrong against the database -----------------------------------------------------------


def test_a_database_that_cannot_be_read() -> None:
    head = HEAD.replace("{database: shop}", "{database: gone}")
    assert refusal(head=head) == [
        "8: applications[0].database: its database cannot be read: The source does not accept a "
        "connection now."
    ]


def test_an_unknown_table() -> None:
    assert refusal(TABLES.replace("s.parts", "s.part")) == [
        '18: applications[0].tables[2].relation: the database has no table "s.part"; did you mean '
        '"s.parts"?'
    ]


OTHERWISE: dict[str, tuple[Mapping[str, DatabaseTable], str]] = {
    "a view": (
        changed("s.brands", is_table=False),
        "tables[0].relation: s.brands is no table, but a view or the like; name its table",
    ),
    "unreadable": (
        changed("s.brands", readable=False),
        "tables[0].relation: the database's role may not read s.brands: GRANT SELECT ON s.brands",
    ),
    "hidden rows": (
        changed("s.brands", rows_hidden=True),
        "tables[0].relation: policies of row-level security hide rows of s.brands",
    ),
    "an id without a sequence": (
        changed("s.brands", a_column("id", Kind.NUMBER)),
        'tables[0].id_column: "id" of s.brands is no identity column and has no sequence',
    ),
    "an id that is a text": (
        changed("s.brands", a_column("id")),
        'tables[0].id_column: "id" of s.brands is text; ids are whole numbers',
    ),
    "a UUID that is a text": (
        changed("s.brands", a_column("uuid")),
        'tables[0].uuid_column: "uuid" of s.brands is text; it must be uuid',
    ),
    "a UUID that may be NULL": (
        changed("s.brands", a_column("uuid", Kind.UUID, nullable=True)),
        'tables[0].uuid_column: "uuid" of s.brands may be NULL; ALTER TABLE s.brands',
    ),
    "a computed UUID": (
        changed("s.brands", a_column("uuid", Kind.UUID, computed=True)),
        'tables[0].uuid_column: "uuid" of s.brands is computed by the database',
    ),
    "a UUID without an index": (
        changed("s.brands", unique=SHOP["s.brands"].unique[::2]),
        'tables[0].uuid_column: no unique index is over "uuid" of s.brands; CREATE UNIQUE INDEX ON',
    ),
    "a key without an index": (
        changed("s.brands", unique=SHOP["s.brands"].unique[:2]),
        'tables[0].functional_key: no unique index is over "code" of s.brands; CREATE UNIQUE INDEX '
        'ON s.brands ("code")',
    ),
    "a dependent's key without an index": (
        changed("s.parts", unique=SHOP["s.parts"].unique[:2]),
        'tables[2].functional_key: no unique index is over "code", "product_id" of s.parts',
    ),
    "a key that may be NULL": (
        changed("s.brands", a_column("code", nullable=True)),
        'tables[0].functional_key[0]: "code" of s.brands may be NULL, and to its unique index two',
    ),
    "a reference that is a text": (
        changed("s.products", a_column("brand_id"), foreign_keys=()),
        'tables[1].references[0].column: "brand_id" of s.products is text; ids are whole numbers',
    ),
    "a reference elsewhere": (
        changed("s.products", foreign_keys=(ForeignKey("brand_id", "s.parts", "id"),)),
        'tables[1].references[0].table: "brand_id" of s.products refers to s.parts.id in the',
    ),
    "an owner that may be NULL": (
        changed("s.parts", a_column("product_id", Kind.NUMBER, nullable=True)),
        'tables[2].owner.column: "product_id" of s.parts may be NULL, and a record without an',
    ),
    "an undeclared reference": (
        changed(
            "s.brands",
            a_column("part_id", Kind.NUMBER),
            foreign_keys=(ForeignKey("part_id", "s.parts", "id"),),
        ),
        'tables[0]: "part_id" of s.brands refers to s.parts, whose ids are other ones in each',
    ),
    "a type without a text": (
        changed("s.brands", a_column("note", written="regclass", no_text="it names something")),
        'tables[0]: "note" of s.brands is regclass, which has no text that means the same',
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERWISE)
def test_a_table_that_is_otherwise_in_the_database(what: str) -> None:
    database, problem = OTHERWISE[what]
    told = refusal(database=database)
    assert len(told) == 1, told
    assert told[0].partition(": ")[2].startswith(f"applications[0].{problem}")


def test_a_key_may_be_null_where_the_index_takes_nulls_for_the_same() -> None:
    alike = (*SHOP["s.brands"].unique[:2], UniqueIndex(frozenset({"code"}), nulls_alike=True))
    database = changed("s.brands", a_column("code", nullable=True), unique=alike)
    assert compiled(database=database).applications


def test_unknown_columns_are_named_with_those_that_are_meant() -> None:
    tables = TABLES.replace(
        "[code]}\n", "[cod], columns: [cod, notes], inclusion_date: since}\n", 1
    )
    told = refusal(tables)
    for place, problem in (
        ("functional_key[0]", 'has no column "cod"; did you mean "code"?'),
        ("columns[1]", 'has no column "notes"; did you mean "note"?'),
        ("inclusion_date", 'has no column "since"; it has id, uuid, code, note'),
    ):
        assert f"10: applications[0].tables[0].{place}: s.brands {problem}" in told


def test_what_a_record_needs_must_be_carried() -> None:
    tables = TABLES.replace("[code]}\n", "[code], leave_out: [note]}\n", 1)
    [told] = refusal(tables, database=changed("s.brands", a_column("note")))
    assert told.startswith(
        '10: applications[0].tables[0].leave_out: "note" of s.brands is NOT NULL'
    )
    assert compiled(
        tables, database=changed("s.brands", a_column("note", default=True))
    ).applications


def test_an_inclusion_date_is_a_date_or_time() -> None:
    tables = TABLES.replace("[code]}\n", "[code], inclusion_date: note}\n", 1)
    [told] = refusal(tables)
    assert 'tables[0].inclusion_date: "note" of s.brands is text; it must be a date' in told
    assert compiled(tables, database=changed("s.brands", a_column("note", Kind.TIME))).applications


def test_functions_of_task_processing_are_there() -> None:
    processing = "  task_processing: {stop: s.stop, start: s.start, status: s.state}\n"
    functions = frozenset({"s.stop", "s.start", "s.status"})
    [told] = refusal(head=HEAD + processing, functions=functions)
    assert told.startswith(
        '9: applications[0].task_processing.status: the database has no function "s.state" without'
    )
    good = processing.replace("s.state", "s.status")
    [application] = compiled(head=HEAD + good, functions=functions).applications
    assert application.task_processing == {
        "stop": "s.stop",
        "start": "s.start",
        "status": "s.status",
    }
