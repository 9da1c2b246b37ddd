"""What is gathered for a data set: compared with a second, plain account of what it is to hold."""

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from headrace.adapters.payload.zip_writer import ZipPayloadWriter
from headrace.adapters.postgresql.application import PostgresqlApplication
from headrace.adapters.postgresql.gathering import Plan, ordered
from headrace.datasets.definitions import Application, Reference
from headrace.datasets.model import Exclusion, Item, Options, Selection
from headrace.datasets.payload import Record, Referred
from headrace.kernel.errors import ValidationFailed, ValueNotExportable
from tests.component.datasets.expected import Expected, Key
from tests.component.datasets.payloads import a_manifest, read_back
from tests.component.datasets.products import (
    CURRENCIES,
    DEFINITION,
    EVENTS,
    LIMITS,
    LOGIC,
    OPTIONS,
    PRODUCTS,
    RATE_LINES,
    RATES,
    Rows,
    a_database,
    an_application,
    random_rows,
    references_of,
)
from tests.component.postgresql.server import Server

DATABASE = PostgresqlApplication()
NO_OPTIONS = Options()
EVERYTHING = (Selection(PRODUCTS), Selection(EVENTS))


def gathered(
    application: Application, items: Iterable[Item], options: Options = NO_OPTIONS
) -> dict[int, list[Record]]:
    """The records by table, in the order they came; counts are checked on the way."""
    found: dict[int, list[Record]] = {}
    with DATABASE.gather(application, DEFINITION, items, options) as gathering:
        for table in gathering.tables():
            lines = b"".join(table.lines).splitlines(keepends=True)
            records = found[table.table.table_id] = [Record.of_line(line) for line in lines]
            assert [record.line() for record in records] == lines
            assert len(records) == table.records
        assert gathering.records == sum(map(len, found.values()))
        numbers = {record.item for records in found.values() for record in records}
        assert numbers == set(range(gathering.items))
    return found


def chosen(rows: Rows, seed: int) -> list[Item]:
    rng = random.Random(seed)
    return [
        Item(table, number, row["uuid"])
        for table in (PRODUCTS, EVENTS)
        for number, row in rows.by_table[table].items()
        if rng.random() < 0.4
    ]


def options_of(seed: int) -> Options:
    rng = random.Random(seed)
    pairs = [(top, other) for top in (PRODUCTS, EVENTS, RATES, LOGIC)
             for other in (LOGIC, RATES, RATE_LINES, OPTIONS, LIMITS)]  # fmt: skip
    return Options(
        tuple(Exclusion(*pair) for pair in rng.sample(pairs, rng.choice((0, 0, 1, 3)))),
        rng.choice(((), (), (LOGIC,), (RATES, PRODUCTS))),
        inclusion_date=rng.choice((None, "2023-12-31")),
    )


@pytest.mark.parametrize("seed", range(25))
def test_a_set_holds_what_belongs_to_its_items_and_each_record_behind_what_it_refers_to(
    postgresql: Server, seed: int
) -> None:
    rows, options = random_rows(seed), options_of(seed)
    items = chosen(rows, seed)
    application = an_application(postgresql, a_database(postgresql, rows))
    expected = Expected(rows, DEFINITION, options)
    for item in items:
        expected.follow((item.table_id, item.record_id))
    for table in options.global_includes:
        for number in rows.by_table[table]:
            expected.follow((table, number))

    found = gathered(application, items, options)

    by_uuid = {row["uuid"]: (table, n) for table, there in rows.by_table.items()
               for n, row in there.items()}  # fmt: skip
    records = {by_uuid[record.uuid]: record for of in found.values() for record in of}
    assert set(records) == expected.found
    for table, of in found.items():
        assert [(r.item, r.uuid) for r in of] == sorted((r.item, r.uuid) for r in of)
        assert {by_uuid[r.uuid][0] for r in of} <= {table}
    numbers = {expected.top(key): record.item for key, record in records.items()}
    assert len(set(numbers.values())) == len(numbers) == len(expected.items())
    for key, record in records.items():
        _is_as_in_the_database(rows, key, record)
        assert record.item == numbers[expected.top(key)]
        for reference, number in references_of(
            DEFINITION.table(key[0]), rows.by_table[key[0]][key[1]]
        ):
            referred = (reference.table_id, number)
            if referred in records:
                assert records[referred].item <= record.item


def _is_as_in_the_database(rows: Rows, key: Key, record: Record) -> None:
    table, row = DEFINITION.table(key[0]), rows.by_table[key[0]][key[1]]
    assert record.values == {name: row.get(name) for name in table.columns}
    referred = {
        reference.column: rows.by_table[reference.table_id][number]
        for reference, number in references_of(table, row)
    }
    assert record.references == {
        reference.column: Referred(reference.table_id, one["uuid"], (one["code"],))
        if (one := referred.get(reference.column))
        else None
        for reference in table.all_references
    }


def a_set_of(rows: Rows, *keys: Key) -> list[Item]:
    """Items as they were listed when the set was created."""
    return [Item(table, number, rows.by_table[table][number]["uuid"]) for table, number in keys]


def codes(found: dict[int, list[Record]], table: int) -> set[str | None]:
    return {record.values["code"] for record in found[table]}


def test_what_was_updated_since_is_in_what_is_new_is_not_and_what_was_deleted_is_left_out(
    postgresql: Server,
) -> None:
    rows = Rows()
    for number in (1, 2, 3):
        rows.add(PRODUCTS, number)
    rows.add(OPTIONS, 10, product_id=1)
    database = a_database(postgresql, rows)
    application = an_application(postgresql, database)
    items = list(DATABASE.items(application, DEFINITION, [Selection(PRODUCTS)]))
    postgresql.run(
        """
        UPDATE products SET code = 'renamed' WHERE id = 1;
        INSERT INTO options(id, uuid, code, product_id) VALUES (11, gen_random_uuid(), 'more', 1);
        INSERT INTO products(id, uuid, code) VALUES (4, gen_random_uuid(), 'new');
        DELETE FROM products WHERE id IN (2, 3);
        -- Another record that has come by the id of one that was deleted.
        INSERT INTO products(id, uuid, code) VALUES (3, gen_random_uuid(), 'changeling');
        """,
        database,
    )

    found = gathered(application, items)

    assert codes(found, PRODUCTS) == {"renamed"}
    assert codes(found, OPTIONS) == {"options 10", "more"}


def test_all_is_of_one_moment_whatever_is_written_while_it_is_read(postgresql: Server) -> None:
    rows = random_rows(7)
    database = a_database(postgresql, rows)
    application = an_application(postgresql, database)
    items = list(DATABASE.items(application, DEFINITION, EVERYTHING))
    before = gathered(application, items)
    found: dict[int, list[Record]] = {}
    with DATABASE.gather(application, DEFINITION, items, NO_OPTIONS) as gathering:
        for table in gathering.tables():
            postgresql.run(
                "SET session_replication_role = replica; UPDATE products SET code = 'x'; "
                "DELETE FROM limits; DELETE FROM rates; UPDATE logic SET base_id = NULL",
                database,
            )
            found[table.table.table_id] = [
                Record.of_line(line) for line in b"".join(table.lines).splitlines(keepends=True)
            ]
    assert found == before


def test_items_are_listed_by_table_and_uuid_each_once(postgresql: Server) -> None:
    rows = random_rows(3)
    application = an_application(postgresql, a_database(postgresql, rows))
    asked = [
        *(Selection(EVENTS), Selection(EVENTS, 2)),
        *(Selection(PRODUCTS, 5), Selection(PRODUCTS, 2), Selection(PRODUCTS, 5)),
    ]
    found = list(DATABASE.items(application, DEFINITION, asked))
    expected = [(PRODUCTS, number) for number in (2, 5)] + [
        (EVENTS, n) for n in rows.by_table[EVENTS]
    ]
    assert found == sorted(a_set_of(rows, *expected), key=lambda item: (item.table_id, item.uuid))


def test_a_record_that_is_not_there_and_a_table_without_items_are_said_so(
    postgresql: Server,
) -> None:
    application = an_application(postgresql, a_database(postgresql, random_rows(3)))
    with pytest.raises(ValidationFailed, match="table 4 has no record 998, 999"):
        list(
            DATABASE.items(application, DEFINITION, [Selection(PRODUCTS, n) for n in (999, 1, 998)])
        )
    for table in (OPTIONS, LOGIC, 77):
        told = rf"table {table} has no top-level items .*; those are of {PRODUCTS} \(PRODUCTS\), "
        with pytest.raises(ValidationFailed, match=told):
            list(DATABASE.items(application, DEFINITION, [Selection(table)]))  # fmt: skip


def test_an_option_that_names_no_table_of_the_definition_is_refused(postgresql: Server) -> None:
    application = an_application(postgresql, a_database(postgresql))
    for options in (
        Options((Exclusion(PRODUCTS, 77),)),
        Options(global_includes=(OPTIONS,)),
        Options(global_includes=(CURRENCIES,)),
    ):
        with pytest.raises(ValidationFailed):
            gathered(application, [], options)


def test_a_record_without_uuid_or_with_a_reference_to_nothing_is_not_carried(
    postgresql: Server,
) -> None:
    rows = Rows()
    rows.add(CURRENCIES, 1)
    rows.add(RATES, 1, currency_id=1)
    rows.add(PRODUCTS, 1, rate_id=1)
    database = a_database(postgresql, rows)
    application = an_application(postgresql, database)
    items = a_set_of(rows, (PRODUCTS, 1))
    assert codes(gathered(application, items), RATES) == {"rates 1"}
    postgresql.run("DELETE FROM currencies", database)
    with pytest.raises(ValueNotExportable, match="RATES refers by currency_id"):
        gathered(application, items)
    postgresql.run("INSERT INTO currencies(id) VALUES (1)", database)
    with pytest.raises(ValueNotExportable, match="RATES refers by currency_id"):
        gathered(application, items)
    postgresql.run("ALTER TABLE products ALTER uuid DROP NOT NULL", database)
    postgresql.run("INSERT INTO products(id) VALUES (2)", database)
    with pytest.raises(ValueNotExportable, match="PRODUCTS has no UUID"):
        list(DATABASE.items(application, DEFINITION, [Selection(PRODUCTS)]))


@pytest.mark.parametrize(
    ("options", "incomplete"),
    [
        (NO_OPTIONS, set()),
        (Options(inclusion_date="2023-12-31"), {OPTIONS, LIMITS, EVENTS}),
        (Options((Exclusion(PRODUCTS, OPTIONS),)), {OPTIONS, LIMITS}),
        (Options((Exclusion(PRODUCTS, LIMITS),)), {LIMITS}),
        (Options((Exclusion(PRODUCTS, RATE_LINES),)), {RATE_LINES}),
        (Options((Exclusion(PRODUCTS, RATES),)), set()),
    ],
    ids=("all", "date", "dependents", "theirs", "reference_datas", "reference_data"),
)
def test_a_table_that_something_was_left_out_of_is_not_complete(
    postgresql: Server, options: Options, incomplete: set[int]
) -> None:
    application = an_application(postgresql, a_database(postgresql))
    with DATABASE.gather(application, DEFINITION, [], options) as gathering:
        found = {
            one.table.table_id: one.complete for one in gathering.tables() if not list(one.lines)
        }
    assert found == {
        table.table_id: table.table_id not in incomplete for table in DEFINITION.tables
    }


def test_items_that_refer_to_one_another_in_a_circle_are_all_there(postgresql: Server) -> None:
    rows = Rows()
    for number in range(1, 6):
        rows.add(PRODUCTS, number, successor_id=number % 3 + 1)
    application = an_application(postgresql, a_database(postgresql, rows))
    items = list(DATABASE.items(application, DEFINITION, [Selection(PRODUCTS)]))
    assert len(gathered(application, items)[PRODUCTS]) == 5


def test_a_long_chain_of_items_is_numbered_from_its_end(postgresql: Server) -> None:
    rows = Rows()
    for number in range(1, 301):
        rows.add(PRODUCTS, number, successor_id=number + 1 if number < 300 else None)
    application = an_application(postgresql, a_database(postgresql, rows))
    items = list(DATABASE.items(application, DEFINITION, [Selection(PRODUCTS)]))
    found = gathered(application, items)[PRODUCTS]
    assert [record.values["code"] for record in found] == [
        f"products {number}" for number in range(300, 0, -1)
    ]


def test_items_come_behind_those_that_their_dependents_refer_to() -> None:
    # In the definition PRODUCTS come first, but their options refer to what is behind them.
    behind = replace(DEFINITION.table(EVENTS), references=())
    options = replace(DEFINITION.table(OPTIONS), references=(Reference("event_id", EVENTS),))
    definition = replace(
        DEFINITION, tables=(DEFINITION.table(PRODUCTS), behind, options), reference_data=()
    )
    groups = ordered(Plan(definition, NO_OPTIONS))
    assert [[top.table_id for top in group.tops] for group in groups] == [[EVENTS], [PRODUCTS]]


def test_what_was_built_of_a_database_is_read_back_as_it_is(postgresql: Server) -> None:
    rows = random_rows(11, circles=True)
    application = an_application(postgresql, a_database(postgresql, rows))
    items = list(DATABASE.items(application, DEFINITION, EVERYTHING))
    with DATABASE.gather(application, DEFINITION, items, NO_OPTIONS) as gathering:
        payload = b"".join(ZipPayloadWriter().write(a_manifest(gathering.items), gathering))
    manifest, read = read_back(payload)
    assert manifest.items == gathering.items
    assert read == gathered(application, items)
