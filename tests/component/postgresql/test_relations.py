"""What is read need not be a table: views, materialized ones, foreign tables, partitions."""

from dataclasses import replace

import pytest

from headrace.exports.model import Compression, FileFormat
from headrace.exports.slices import KeyRange
from headrace.exports.sources import Source
from tests.component.postgresql.server import Server
from tests.component.postgresql.test_plan import planned
from tests.component.warehouse.places import WAREHOUSE, a_table_of, document, rows_of

NAMES = ("things", "seen", "kept", "away", "parted")


@pytest.fixture(scope="module")
def relations(postgresql: Server) -> Source:
    """The same rows in a table, a view, a materialized view, a foreign table, and partitions."""
    far, near = postgresql.new_database(), postgresql.new_database()
    rows = "SELECT n AS id, 'row ' || n AS v, n % 7 = 0 AS odd FROM generate_series(1, 5000) n"
    postgresql.run(f"CREATE TABLE things AS {rows}", far)
    postgresql.run(
        f"""
        CREATE TABLE things(id int PRIMARY KEY, v text, odd boolean);
        INSERT INTO things {rows};
        CREATE VIEW seen AS SELECT * FROM things;
        CREATE MATERIALIZED VIEW kept AS SELECT * FROM things;
        CREATE TABLE parted(id int PRIMARY KEY, v text, odd boolean) PARTITION BY HASH (id);
        CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO parted {rows};
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '{postgresql.folder}', dbname '{far}');
        CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'postgres');
        CREATE FOREIGN TABLE away(id int NOT NULL, v text, odd boolean)
            SERVER far OPTIONS (table_name 'things');
        ANALYZE;
        """,
        near,
    )
    return postgresql.source(near)


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_relation_has_all_its_rows_in_order_of_its_key(
    relations: Source, name: str, file_format: FileFormat
) -> None:
    table = replace(a_table_of(relations, f"public.{name}"), primary_key=("id",), ordered=True)
    made = document(relations, table, file_format, Compression.GZIP)
    rows = rows_of(made.stored, file_format, Compression.GZIP)
    assert [(int(row["id"]), row["v"]) for row in rows] == [
        (number, f"row {number}") for number in range(1, 5001)
    ]
    assert WAREHOUSE.count(relations, "", table) == made.rows == 5000


def test_only_tables_are_cut_as_only_they_promise_that_a_key_is_never_null(
    relations: Source,
) -> None:
    cut = {
        name: len(planned(relations, replace(a_table_of(relations, f"public.{name}"),
                                             primary_key=("id",)), max_ranges=3))
        for name in NAMES
    }  # fmt: skip
    assert cut == {"things": 3, "parted": 3, "seen": 1, "kept": 1, "away": 1}


def test_a_range_of_a_view_is_that_of_its_key(relations: Source) -> None:
    table = replace(a_table_of(relations, "public.seen"), primary_key=("id",))
    part = document(relations, table, FileFormat.CSV, ranges=(KeyRange(("10",), ("12",), 2),))
    assert [row["id"] for row in rows_of(part.stored, FileFormat.CSV)] == ["11", "12"]
