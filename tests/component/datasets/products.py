"""A small application of these tests' own: products with options and limits, rates, logic, events.

Its records are rows of ``Rows`` in Python as well, so that what a data set is to hold can be worked
out a second time, by other code.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from headrace.datasets.definitions import (
    Application,
    Definition,
    OutputFormat,
    Reference,
    Table,
)
from tests.component.postgresql.server import Server

LOGIC, RATES, RATE_LINES, PRODUCTS, OPTIONS, LIMITS, EVENTS, CURRENCIES = 1, 2, 3, 4, 5, 6, 7, 9

SCHEMA = """
CREATE TABLE currencies(id int PRIMARY KEY, uuid uuid UNIQUE, code text);
CREATE TABLE logic(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text, body text,
    base_id bigint REFERENCES logic);
CREATE TABLE rates(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text, amount numeric,
    currency_id int, logic_id bigint REFERENCES logic);
CREATE TABLE rate_lines(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text,
    rate_id bigint NOT NULL REFERENCES rates, logic_id bigint REFERENCES logic);
CREATE TABLE products(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text,
    "Weird ""name\\ é" text, rate_id bigint REFERENCES rates,
    successor_id bigint REFERENCES products, logic_id bigint REFERENCES logic);
CREATE TABLE options(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text, since date,
    product_id bigint NOT NULL REFERENCES products, rate_id bigint REFERENCES rates);
CREATE TABLE limits(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text,
    option_id bigint NOT NULL REFERENCES options, product_id bigint REFERENCES products);
CREATE TABLE events(id bigint PRIMARY KEY, uuid uuid UNIQUE NOT NULL, code text, since date,
    product_id bigint REFERENCES products, rate_id bigint REFERENCES rates);
"""

NAMES = {
    LOGIC: "logic",
    RATES: "rates",
    RATE_LINES: "rate_lines",
    PRODUCTS: "products",
    OPTIONS: "options",
    LIMITS: "limits",
    EVENTS: "events",
    CURRENCIES: "currencies",
}


def _table(number: int, *columns: str, owner: Reference | None = None, **more: Any) -> Table:
    name = NAMES[number]
    return Table(
        number,
        name.upper(),
        f"public.{name}",
        columns or ("code",),
        functional_key=("code",),
        owner=owner,
        **more,
    )


TABLES = (
    _table(LOGIC, "code", "body", references=(Reference("base_id", LOGIC),)),
    _table(
        RATES,
        "code",
        "amount",
        references=(Reference("currency_id", CURRENCIES), Reference("logic_id", LOGIC)),
    ),
    _table(
        RATE_LINES,
        owner=Reference("rate_id", RATES),
        references=(Reference("logic_id", LOGIC),),
    ),
    _table(
        PRODUCTS,
        "code",
        'Weird "name\\ é',
        references=(
            Reference("rate_id", RATES),
            Reference("successor_id", PRODUCTS),
            Reference("logic_id", LOGIC),
        ),
    ),
    _table(
        OPTIONS,
        "code",
        "since",
        owner=Reference("product_id", PRODUCTS),
        references=(Reference("rate_id", RATES),),
        inclusion_date_column="since",
    ),
    _table(
        LIMITS,
        owner=Reference("option_id", OPTIONS),
        references=(Reference("product_id", PRODUCTS),),
    ),
    _table(
        EVENTS,
        "code",
        "since",
        references=(Reference("product_id", PRODUCTS), Reference("rate_id", RATES)),
        inclusion_date_column="since",
    ),
)

DEFINITION = Definition(
    "PRODUCTS",
    "Products and what happened to them",
    OutputFormat.ZIP,
    TABLES,
    top_level=(PRODUCTS, EVENTS),
    reference_data=(LOGIC, RATES),
    others=(_table(CURRENCIES),),
)


def an_application(server: Server, database: str, **changes: Any) -> Application:
    """The application over the database."""
    options = dict(server.source(database).options)
    values: dict[str, Any] = {
        "application_id": "products",
        "tenant": "north",
        "name": "Products",
        "identifier": "TEST",
        "version": "3.1.4",
        "options": options,
        "definitions": (DEFINITION,),
    }
    return Application(**values | changes)


def a_database(server: Server, rows: "Rows | None" = None) -> str:
    """A database with the application's tables, and perhaps records."""
    name = server.new_database()
    server.run(SCHEMA, name)
    if rows is not None:
        server.run(rows.inserts(), name)
    return name


Row = dict[str, Any]


@dataclass
class Rows:
    """Records by table and id; each has ``id``, ``uuid`` and the table's other columns."""

    by_table: dict[int, dict[int, Row]] = field(
        default_factory=lambda: {number: {} for number in NAMES}
    )

    def add(self, table: int, number: int, **values: Any) -> Row:
        """A record whose code and UUID its id tells."""
        # The UUIDs of a table are in another order than its ids.
        uuid = str(UUID(int=random.Random(f"{table}.{number}").getrandbits(128)))
        row = {"id": number, "uuid": uuid, "code": f"{NAMES[table]} {number}", **values}
        self.by_table[table][number] = row
        return row

    def inserts(self) -> str:
        """As SQL. The keys to other tables are checked by the server in the end."""
        statements = ["SET session_replication_role = replica"]
        for table, rows in self.by_table.items():
            for row in rows.values():
                names = ", ".join('"' + name.replace('"', '""') + '"' for name in row)
                values = ", ".join(_literal(value) for value in row.values())
                statements.append(f"INSERT INTO {NAMES[table]}({names}) VALUES ({values})")
        return ";\n".join([*statements, ""])


def _literal(value: object) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def random_rows(seed: int, size: int = 12, *, circles: bool = False) -> Rows:
    """Records that refer to one another at random; items in circles only if that is wanted."""
    rng, rows = random.Random(seed), Rows()

    def some(table: int, below: int | None = None, missing: float = 0.4) -> int | None:
        there = [n for n in rows.by_table[table] if below is None or n < below]
        return None if not there or rng.random() < missing else rng.choice(there)

    def day() -> str | None:
        return rng.choice((None, "2023-06-30", "2023-12-31", "2024-01-01"))

    rows.add(CURRENCIES, 1)
    rows.add(CURRENCIES, 2)
    for number in range(1, size):
        rows.add(LOGIC, number, body=f"return {number};\n", base_id=some(LOGIC))
    for number in range(1, size):
        rows.add(
            RATES, number, amount=f"{number}.50", currency_id=some(CURRENCIES), logic_id=some(LOGIC)
        )
        for line in range(rng.randrange(3)):
            rows.add(RATE_LINES, number * 10 + line, rate_id=number, logic_id=some(LOGIC))
    for number in range(1, size):
        rows.add(
            PRODUCTS,
            number,
            rate_id=some(RATES),
            logic_id=some(LOGIC, missing=0.7),
            successor_id=some(PRODUCTS),
        )
        for option in range(rng.randrange(3)):
            rows.add(
                OPTIONS, number * 10 + option, since=day(), product_id=number, rate_id=some(RATES)
            )
            for limit in range(rng.randrange(3)):
                rows.add(
                    LIMITS,
                    number * 100 + option * 10 + limit,
                    option_id=number * 10 + option,
                    product_id=some(PRODUCTS, None if circles else number + 1),
                )
    for number in range(1, size):
        rows.add(EVENTS, number, since=day(), product_id=some(PRODUCTS), rate_id=some(RATES))
    return rows  # fmt: skip


def references_of(table: Table, row: Row) -> Iterable[tuple[Reference, int]]:
    """What a record refers to, its parent included."""
    for reference in table.all_references:
        if row[reference.column] is not None:
            yield reference, row[reference.column]
