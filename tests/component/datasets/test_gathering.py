"""What is gathered for a data set: compared with a second, plain account of what it is to hold."""

import random
from collections.abc import Iterable

import pytest

from headrace.adapters.postgresql.application import PostgresqlApplication
from headrace.datasets.definitions import Application
from headrace.datasets.model import Exclusion, Item, Options, Selection
from headrace.datasets.payload import Record, Referred
from tests.component.datasets.expected import Expected, Key
from tests.component.datasets.products import (
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
